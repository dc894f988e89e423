import Foundation
import Logging
import ServiceLifecycle
import Synchronization

/// A process of this program that is started again when it ends by itself.
struct ChildProcess: Service {
    let name: String
    let arguments: [String]
    let logger: Logger

    /// So many ends within so long are a part that keeps crashing.
    private static let crashes = 5
    private static let window = Duration.seconds(60)
    private static let stopLimit = Duration.seconds(25)
    /// Wrong usage, something unusable, something missing: the next start would find the same.
    private static let finalCodes: Set<Int32> = [64, 65, 66]

    private let running = Running()

    init(name: String, arguments: [String], logger: Logger) {
        (self.name, self.arguments, self.logger) = (name, arguments, logger)
    }

    /// Thrown when starting it again has not helped, or can't.
    struct KeepsCrashing: Error, CustomStringConvertible {
        let part: String
        let status: String
        let isFinal: Bool
        var description: String {
            (isFinal ? "\(part) has ended (\(status)), and would again" : "\(part) keeps ending (\(status))")
                + "; its last lines above say why"
        }
    }

    /// Sends a signal to the process, if one runs.
    func send(_ signal: Int32) { if let pid = running.pid { kill(pid, signal) } }

    /// The process that runs now; who stops it looks here.
    private final class Running: Sendable {
        private let value = Mutex<Int32?>(nil)
        var pid: Int32? {
            get { value.withLock { $0 } }
            set { value.withLock { $0 = newValue } }
        }
    }

    func run() async throws {
        var ends: [ContinuousClock.Instant] = []
        while !Task.isShuttingDownGracefully && !Task.isCancelled {
            let process = try await runOnce()
            if Task.isShuttingDownGracefully || Task.isCancelled { break }
            let isExit = process.terminationReason == .exit
            let status = (isExit ? "exit" : "signal") + " \(process.terminationStatus)"
            logger.error("ended by itself", metadata: ["part": "\(name)", "status": "\(status)"])
            ends = ends.filter { ContinuousClock.now - $0 < Self.window } + [.now]
            let isFinal = isExit && Self.finalCodes.contains(process.terminationStatus)
            if isFinal || ends.count >= Self.crashes { throw KeepsCrashing(part: name, status: status, isFinal: isFinal) }
            let wait = Duration.milliseconds(100 << min(ends.count * 2, 6))
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: wait) }
        }
    }

    /// From a start to an end, which comes soon after a graceful shutdown or a cancellation.
    private func runOnce() async throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        let lifeline = Pipe()
        process.standardInput = lifeline
        process.environment = ProcessInfo.processInfo.environment.merging([Lifeline.variable: "1"]) { $1 }
        defer { try? lifeline.fileHandleForWriting.close() }
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await start(process)
            } onGracefulShutdown: {
                stop()
            }
        } onCancel: {
            stop()
        }
        running.pid = nil
        return process
    }

    /// Returns when the process has ended.
    private func start(_ process: Process) async throws {
        try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in ended.resume() }
            do {
                try process.run()
                running.pid = process.processIdentifier
                logger.info("started", metadata: ["part": "\(name)", "pid": "\(process.processIdentifier)"])
                // The handlers may have looked before there was anything to stop.
                if Task.isShuttingDownGracefully || Task.isCancelled { stop() }
            } catch {
                ended.resume(throwing: error)
            }
        }
    }

    private func stop() {
        guard let pid = running.pid else { return }
        kill(pid, SIGTERM)
        Task {
            try? await Task.sleep(for: Self.stopLimit)
            if running.pid == pid { kill(pid, SIGKILL) }
        }
    }
}
