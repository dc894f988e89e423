package import Messages
package import Tuning

/// Where releases are handed to, and where the one in service is looked up.
package protocol ReleasePublisher: Sendable {
    /// The live release of a class set; nil if there is none.
    func current(classSet: String) async throws -> PublishedRelease?

    /// Publishes, and gives the new version.
    ///
    /// - Parameters:
    ///   - parent: the version that was live when this one was compared with it; 0: none.
    ///   - note: why, for people.
    /// - Throws: `ReleaseError.conflict` if another release has become live since; nothing is changed then.
    func publish(
        _ content: ReleaseContent, parent: UInt64, mode: ReleaseMode, note: String, gate: GateEvidence?
    ) async throws -> UInt64

    /// The release that is tried in shadow; nil if there is none.
    func shadow(classSet: String) async throws -> PublishedRelease?

    /// What all workers have answered for a class set, by release.
    func scoring(classSet: String) async throws -> [ScoringCounts]

    /// Makes a shadow live, under a new version, which it gives.
    func promote(_ version: UInt64, classSet: String, note: String) async throws -> UInt64

    /// Ends a shadow.
    func dropShadow(classSet: String) async throws
}

extension ReleasePublisher {
    package func publish(_ content: ReleaseContent, parent: UInt64, mode: ReleaseMode, note: String) async throws -> UInt64 {
        try await publish(content, parent: parent, mode: mode, note: note, gate: nil)
    }
}

/// A release as it was published.
package struct PublishedRelease: Sendable {
    package let manifest: ReleaseManifest
    package let content: ReleaseContent

    package init(manifest: ReleaseManifest, content: ReleaseContent) {
        self.manifest = manifest
        self.content = content
    }
}
