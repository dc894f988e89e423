package import CLIP
internal import Crypto
internal import Foundation
package import Messages
package import Tensors
package import Transport
package import Tuning

/// Publishes to a dispatcher: computes the golden scores, signs, and compares and sets.
package struct DispatcherReleasePublisher: ReleasePublisher {
    private let endpoint: Endpoint
    private let socketOptions: SocketOptions
    private let context: ZeroMQContext
    private let key: PublisherKey
    private let model: CLIPModel
    private let pool: ThreadPool

    /// How often a version that somebody else has taken meanwhile is exchanged for a higher one.
    private static let attempts = 5

    /// - Parameter model: the quantized model without a tuning, which the goldens are computed with.
    package init(
        dispatcher: Endpoint, socketOptions: SocketOptions, context: ZeroMQContext, key: PublisherKey, model: CLIPModel, pool: ThreadPool
    ) {
        endpoint = dispatcher
        self.socketOptions = socketOptions
        self.context = context
        self.key = key
        self.model = model
        self.pool = pool
    }

    package func current(classSet: String) async throws -> PublishedRelease? { try await published(classSet) { $0.live } }

    package func shadow(classSet: String) async throws -> PublishedRelease? { try await published(classSet) { $0.shadow } }

    package func scoring(classSet: String) async throws -> [ScoringCounts] {
        try await onThread { [self] in
            try DispatcherClient(to: endpoint, in: context, options: socketOptions).ask(.scoring(classSet: classSet)).reply.scoring
        }
    }

    package func promote(_ version: UInt64, classSet: String, note: String) async throws -> UInt64 {
        try await onThread { [self] in
            try DispatcherClient(to: endpoint, in: context, options: socketOptions)
                .republish(version, of: classSet, signedBy: key, note: note, now: Date())
        }
    }

    package func dropShadow(classSet: String) async throws {
        try await onThread { [self] in
            _ = try DispatcherClient(to: endpoint, in: context, options: socketOptions).ask(.dropShadow(classSet: classSet))
        }
    }

    private func published(
        _ classSet: String, _ which: @escaping @Sendable (ReleaseState) -> SignedRelease?
    ) async throws -> PublishedRelease? {
        try await onThread { [self] in
            let client = try DispatcherClient(to: endpoint, in: context, options: socketOptions)
            guard let release = try client.releaseState(of: classSet).flatMap(which) else { return nil }
            let manifest = try release.unverifiedManifest()
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-release-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: file) }
            try client.download(manifest, to: file)
            return PublishedRelease(
                manifest: manifest, content: try ReleaseContent(contentsOf: file, name: manifest.displayName))
        }
    }

    package func publish(
        _ content: ReleaseContent, parent: UInt64, mode: ReleaseMode, note: String, gate: GateEvidence?
    ) async throws -> UInt64 {
        try await onThread { [self] in
            let client = try DispatcherClient(to: endpoint, in: context, options: socketOptions)
            let bytes = try content.encoded()
            var manifest = try Self.manifest(
                content, bytes: bytes, version: parent + 1, parent: parent, mode: mode, maker: key.name, note: note, model: model,
                pool: pool)
            manifest.gate = gate
            for attempt in 1...Self.attempts {
                let state = try client.releaseState(of: content.classSet.name)
                let live = try state?.live?.unverifiedManifest()
                if live?.version ?? 0 != parent {
                    // An answer that got lost: it was published.
                    if let live, live.parent == parent, live.contentSHA256 == manifest.contentSHA256, live.mode == mode {
                        return live.version
                    }
                    throw ReleaseError.conflict(classSet: content.classSet.name, expected: parent, live: live?.version ?? 0)
                }
                manifest.version = (state?.last ?? 0) + 1
                do {
                    return try client.ask(.publish(try key.sign(manifest)), content: bytes, timeout: .seconds(60)).reply.version
                } catch let error as ReleaseError {
                    guard case .older = error, attempt < Self.attempts else { throw error }
                }
            }
            throw ReleaseError.dispatcher(reason: "others take every version")
        }
    }

    /// What the maker of a release says of it, with the answers that `model` gives. Throws if the content is not what this model computes.
    package static func manifest(
        _ content: ReleaseContent, bytes: [UInt8], version: UInt64, parent: UInt64, mode: ReleaseMode, maker: String, note: String = "",
        model: CLIPModel, pool: ThreadPool
    ) throws -> ReleaseManifest {
        guard let digest = Digest(bytes: Array(SHA256.hash(data: bytes))) else { preconditionFailure("SHA-256 has 32 bytes") }
        let origin = content.tuning.origin
        var manifest = ReleaseManifest(
            version: version, parent: parent, mode: mode, classSet: Provenance(content.classSet.name, hex: content.classSet.sha256),
            learnedOn: Provenance(origin.classSet, hex: origin.classSetSHA256), model: Provenance(model.name, hex: model.sha256),
            bits: model.bits, contentSHA256: digest, contentBytes: bytes.count, maker: maker,
            createdUnixMilliseconds: Int64(Date().timeIntervalSince1970 * 1000), goldens: [], note: note)
        let classifier = LiveClassifier(
            ZeroShotClassifier(
                classSet: content.classSet, textFeatures: content.textFeatures, scale: model.scale / content.temperature,
                unknownThreshold: content.unknownThreshold),
            adapter: content.tuning.adapter)
        manifest.goldens = GoldenPictures.scores(model, classifier, pool: pool)
        _ = try LiveRelease(manifest, content, model: model, pool: pool)
        return manifest
    }

    /// On a thread of its own, because sockets block and belong to one thread.
    private func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread { continuation.resume(with: Swift.Result { try body() }) }
            thread.name = "p4q-publish"
            thread.stackSize = 4 << 20
            thread.start()
        }
    }
}
