package import CLIP
package import Foundation
package import Logging
internal import ServiceLifecycle

/// Takes class set files into a registry, and again whenever they change. A file that has become unusable changes nothing and is logged.
package struct ClassSetWatcher: Service {
    private let files: [URL]
    private let registry: ClassSetRegistry
    private let logger: Logger
    private let interval: Duration

    /// - Parameter interval: between looks; a second, since nobody edits class sets faster.
    package init(files: [URL], registry: ClassSetRegistry, logger: Logger, interval: Duration = .seconds(1)) {
        self.files = files
        self.registry = registry
        self.logger = logger
        self.interval = interval
    }

    /// Puts every file's set into the registry.
    package func load() throws(CLIPError) {
        for file in files { try registry.put(ClassSet(contentsOf: file)) }
    }

    package func run() async throws {
        var seen = files.map(Self.stamp)
        while !Task.isShuttingDownGracefully && !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: interval) }
            for (index, file) in files.enumerated() {
                let stamp = Self.stamp(file)
                if stamp == seen[index] { continue }
                seen[index] = stamp
                reload(file)
            }
        }
    }

    private func reload(_ file: URL) {
        do {
            let classSet = try ClassSet(contentsOf: file)
            if registry.classSet(named: classSet.name) == classSet { return }
            try registry.put(classSet)
            logger.info("class set changed", metadata: ["class_set.name": "\(classSet.name)", "class_set.sha256": "\(classSet.sha256)"])
        } catch {
            logger.error(
                "a changed class set can't be used; the one before stays", metadata: ["file": "\(file.path)", "error": "\(error)"])
        }
    }

    private static func stamp(_ file: URL) -> [String] {
        let attributes = try? FileManager.default.attributesOfItem(atPath: file.path)
        return [FileAttributeKey.modificationDate, .size, .systemFileNumber].map { "\(attributes?[$0] ?? "")" }
    }
}
