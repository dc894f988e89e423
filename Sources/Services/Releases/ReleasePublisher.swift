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
    func publish(_ content: ReleaseContent, parent: UInt64, mode: ReleaseMode, note: String) async throws -> UInt64
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
