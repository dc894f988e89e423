import Dispatch
import Foundation
import Logging
import ServiceLifecycle

/// Calls back at SIGHUP, and when a configuration file has changed.
struct ConfigurationWatcher: Service {
    enum Cause: String { case signal = "SIGHUP", file = "file" }

    /// Nil: only the signal.
    let path: String?
    /// Between looks at the file: a second, since nobody edits it faster.
    var interval: Duration = .seconds(1)
    let changed: @Sendable (Cause) async -> Void

    func run() async throws {
        let (causes, inlet) = AsyncStream.makeStream(of: Cause.self, bufferingPolicy: .bufferingOldest(4))
        signal(SIGHUP, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler { inlet.yield(.signal) }
        source.resume()
        defer { source.cancel() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await cause in causes { await changed(cause) }
            }
            group.addTask {
                var seen = stamp
                while !Task.isShuttingDownGracefully && !Task.isCancelled {
                    try? await cancelWhenGracefulShutdown { try await Task.sleep(for: interval) }
                    let now = stamp
                    if now != seen { inlet.yield(.file) }
                    seen = now
                }
                inlet.finish()
            }
            try await group.waitForAll()
        }
    }

    private var stamp: [String] {
        guard let path else { return [] }
        // A mounted configuration is often a link that is pointed elsewhere.
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let attributes = try? FileManager.default.attributesOfItem(atPath: target)
        return [target] + [FileAttributeKey.modificationDate, .size, .systemFileNumber].map { "\(attributes?[$0] ?? "")" }
    }
}

extension ConfigurationWatcher {
    /// For processes that read their options at the start only: SIGHUP must not end them, and a person should know.
    static func unchanging(_ logger: Logger) -> ConfigurationWatcher {
        ConfigurationWatcher(path: nil) { _ in logger.info("SIGHUP: this process reads its options when it starts; nothing has changed") }
    }
}
