package import Foundation

/// The folder of reference values and test data that lies beside a developer's checkout; a user's machine need not have it.
///
/// `P4Q_SHARED` names it, or it is `../shared` beside the package. Tests that need it are marked
/// `.enabled(if: SharedFolder.isPresent, SharedFolder.skipReason)` so that a run says they were skipped.
package enum SharedFolder {
    package static let url: URL? = {
        let environment = ProcessInfo.processInfo.environment["P4Q_SHARED"].map { URL(fileURLWithPath: $0) }
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let candidate = environment ?? package.deletingLastPathComponent().appendingPathComponent("shared")
        return FileManager.default.fileExists(atPath: candidate.appendingPathComponent("oracles").path) ? candidate : nil
    }()

    package static var isPresent: Bool { url != nil }
    package static let skipReason = "the reference values (P4Q_SHARED, or ../shared) are not on this machine"

    /// The URL of `path` inside the folder. Only for tests that are enabled by `isPresent`.
    package static func file(_ path: String) throws -> URL {
        guard let url else { throw Missing() }
        return url.appendingPathComponent(path)
    }

    package struct Missing: Error {}
}
