internal import CLIP
internal import Crypto
internal import Foundation
internal import JobQueue
internal import Logging
internal import Messages
internal import Synchronization
internal import Transport
internal import Tuning

/// A dispatcher's releases: answers one request after the other, and tells everyone of each change (the Clone pattern, ZeroMQ RFC 12).
final class ReleaseDesk: Sendable {
    /// A question and where its answer goes: an envelope, and a part of a content.
    struct Request: Sendable {
        let call: ReleaseRequest
        /// What followed the envelope.
        let content: [Frame]
        /// Who asks.
        let caller: String
        let answer: @Sendable (ReleaseReply, [UInt8]?) -> Void
    }

    private struct State {
        var sequence: UInt64 = 0
        var states: [ReleaseState] = []
        /// The content that was asked for last: a fleet asks for the same one.
        var content: (sha256: Messages.Digest, bytes: [UInt8])?
        var scoring = FleetScoring()
    }

    /// Requests that wait; more are told to come again.
    private static let waiting = 256

    private let store: any JobStore
    private let epoch: Epoch
    private let events: Sender?
    /// Where those are sent, with their real ports.
    private let endpoints: [String]
    private let logger: Logger
    private let state = Mutex(State())
    private let requests: AsyncStream<Request>
    private let inlet: AsyncStream<Request>.Continuation

    init(store: any JobStore, epoch: Epoch, events: Sender?, endpoints: [String], logger: Logger) async throws {
        self.store = store
        self.epoch = epoch
        self.events = events
        self.endpoints = endpoints
        self.logger = logger
        (requests, inlet) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.waiting))
        try await load()
    }

    /// What is in place.
    var figures: [DispatcherStatus.Release] {
        state.withLock { $0.states }.flatMap { state in
            [("live", state.live), ("shadow", state.shadow)].compactMap { mode, release in
                (try? release?.unverifiedManifest()).map {
                    DispatcherStatus.Release(
                        classSet: state.classSet.name, mode: mode, version: $0.version, model: $0.model.sha256.hex)
                }
            }
        }
    }

    func take(_ request: Request) {
        if case .enqueued = inlet.yield(request) { return }
        request.answer(ReleaseReply(code: "release.busy", message: "too many requests wait; ask again"), nil)
    }

    /// Answers until `stop`.
    func run() async {
        for await request in requests {
            do {
                let (reply, content) = try await answer(request)
                request.answer(reply, content)
            } catch {
                request.answer(Self.refusal(error, request.call), nil)
            }
        }
    }

    func stop() { inlet.finish() }

    /// What all workers have answered.
    var scoring: [ScoringCounts] { state.withLock { $0.scoring.sums } }

    /// Tells everyone which change was the last: who has missed it notices.
    func beacon() { publish(ReleaseEvent(sequence: state.withLock { $0.sequence })) }

    private func publish(_ event: ReleaseEvent) {
        guard let events, let bytes = try? event.encode(), let frame = try? Frame(bytes) else { return }
        // PUB never blocks: what a subscriber doesn't take is dropped for it, and it notices the gap.
        try? events.send([frame], timeout: .milliseconds(100))
    }

    private func load() async throws {
        let found = try await store.releaseSlots(in: PartitionID())
        var signed: [String: SignedRelease] = [:]
        for release in found.releases { signed["\(release.classSet)/\(release.version)"] = try SignedRelease(bytes: release.signed) }
        let states = found.slots.map { slot in
            ReleaseState(
                classSet: Provenance(slot.classSet, hex: slot.classSetSHA256), live: signed["\(slot.classSet)/\(slot.live)"],
                shadow: signed["\(slot.classSet)/\(slot.shadow)"], previous: slot.previous, pinned: slot.pinned, last: slot.last)
        }
        state.withLock { ($0.sequence, $0.states) = (found.sequence, states) }
    }

    // MARK: Answers

    private func answer(_ request: Request) async throws -> (ReleaseReply, [UInt8]?) {
        var reply = ReleaseReply()
        switch request.call {
        case .snapshot:
            state.withLock { (reply.sequence, reply.states) = ($0.sequence, $0.states) }
            reply.events = endpoints
        case .content(let sha256, let offset):
            guard let bytes = try await content(sha256) else {
                return (ReleaseReply(code: "release.gone", message: "the content \(sha256.hex.prefix(12)) is not kept"), nil)
            }
            reply.contentBytes = bytes.count
            let start = min(offset, bytes.count)
            return (reply, Array(bytes[start..<min(start + ReleaseRequest.chunkBytes, bytes.count)]))
        case .publish(let release): reply.version = try await publish(release, request)
        case .list(let name, let before):
            let rows = try await store.releases(
                of: name, before: before == 0 ? .max : before, limit: ReleaseRequest.listPage, in: PartitionID())
            for row in rows {
                reply.entries.append(
                    ReleaseEntry(
                        release: try SignedRelease(bytes: row.signed), acceptedUnixMilliseconds: row.accepted.milliseconds,
                        isKept: row.hasContent))
            }
        case .pin(let name, let version): try await commit(.pin(classSet: name, version: version), request)
        case .unpin(let name): try await commit(.unpin(classSet: name), request)
        case .dropShadow(let name): try await commit(.dropShadow(classSet: name), request)
        case .classSet(let name):
            guard let text = try await store.classSetText(named: name, in: PartitionID()) else {
                return (ReleaseReply(code: "release.unknown", message: "there is no class set \(name)"), nil)
            }
            reply.classSet = text
        case .report(let report): state.withLock { $0.scoring.take(report) }
        case .scoring(let name): reply.scoring = state.withLock { $0.scoring.sums(of: name) }
        case .putClassSet(let text):
            let set = try ClassSet(canonicalText: text, origin: "the class set")
            try await commit(.putClassSet(ClassSetRow(name: set.name, sha256: set.sha256, text: set.canonicalText)), request)
        }
        return (reply, nil)
    }

    private func content(_ sha256: Messages.Digest) async throws -> [UInt8]? {
        if let cached = state.withLock({ $0.content }), cached.sha256 == sha256 { return cached.bytes }
        guard let bytes = try await store.releaseContent(sha256.bytes, in: PartitionID()) else { return nil }
        state.withLock { $0.content = (sha256, bytes) }
        return bytes
    }

    /// Takes a release in, if it is whole and what its manifest says. Gives its version.
    private func publish(_ release: SignedRelease, _ request: Request) async throws -> UInt64 {
        let manifest = try release.unverifiedManifest()
        let name = manifest.displayName
        guard release.isSignedByItsKey else { throw ReleaseError.badSignature(name) }
        var bytes = request.content.flatMap(\.bytes)
        let isNew = !bytes.isEmpty
        if !isNew {
            guard let kept = try await content(manifest.contentSHA256) else { throw ReleaseRefusal.contentGone }
            bytes = kept
        }
        guard bytes.count == manifest.contentBytes, Array(SHA256.hash(data: bytes)) == manifest.contentSHA256.bytes else {
            throw ReleaseError.wrongContent(name, reason: "the content's hash or length is not the manifest's")
        }
        let content: ReleaseContent
        do throws(TuningError) {
            content = try ReleaseContent(bytes: bytes, name: name)
        } catch {
            throw ReleaseError.invalid(name, reason: "\(error)")
        }
        try manifest.check(content)
        let set = content.classSet
        let row = StoredRelease(
            classSet: set.name, version: manifest.version, parent: manifest.parent, isShadow: manifest.mode == .shadow,
            contentSHA256: manifest.contentSHA256.bytes, signed: try release.encode(), accepted: SQLiteStore.systemWall())
        try await commit(
            .publish(row, content: isNew ? bytes : nil, ClassSetRow(name: set.name, sha256: set.sha256, text: set.canonicalText)), request)
        return manifest.version
    }

    private func commit(_ change: ReleaseChange, _ request: Request) async throws {
        let name = change.classSet
        guard (1...MessageLimits.idBytes).contains(name.utf8.count) else {
            throw ReleaseError.refused(code: "release.invalid", message: "a class set's name has 1 to \(MessageLimits.idBytes) bytes")
        }
        let committed = try await store.commit(change, epoch: epoch, in: PartitionID())
        logger.notice(
            "administration",
            metadata: [
                "audit.who": "\(request.caller)", "audit.call": "\(request.call.verb)", "class_set.name": "\(name)",
                "release.live": "\(committed.slot.live)", "release.shadow": "\(committed.slot.shadow)",
                "release.pinned": "\(committed.slot.pinned)",
            ])
        try await load()
        let changed = state.withLock { $0.states.first { $0.classSet.name == name } }
        publish(ReleaseEvent(sequence: committed.sequence, change: changed))
    }

    // MARK: Refusals

    private static func refusal(_ error: any Error, _ call: ReleaseRequest) -> ReleaseReply {
        switch error {
        case ReleaseRefusal.conflict(let live):
            ReleaseReply(code: "release.conflict", message: "version \(live) is live", version: live)
        case ReleaseRefusal.notNewer(let last):
            ReleaseReply(code: "release.older", message: "version \(last) was given already", version: last)
        case ReleaseRefusal.pinned(let version):
            ReleaseReply(code: "release.pinned", message: "it is pinned at version \(version)", version: version)
        case ReleaseRefusal.unknown: ReleaseReply(code: "release.unknown", message: "there is no such class set, release or shadow")
        case ReleaseRefusal.contentGone: ReleaseReply(code: "release.gone", message: "its content is no longer kept")
        case ReleaseRefusal.tooMany(let limit):
            ReleaseReply(code: "release.too_many", message: "\(limit) class sets are kept, and no more")
        case let error as ReleaseError: ReleaseReply(code: error.code, message: "\(error)")
        case let error as MessageError: ReleaseReply(code: error.code, message: "\(error)")
        case let error as CLIPError: ReleaseReply(code: error.code, message: "\(error)")
        case let error as JobQueueError: ReleaseReply(code: error.code, message: "\(error)")
        default: ReleaseReply(code: "release.failed", message: "\(error)")
        }
    }
}

extension ReleaseManifest {
    /// Whether it speaks of this content. Throws `ReleaseError`.
    func check(_ content: ReleaseContent) throws(ReleaseError) {
        let origin = content.tuning.origin
        guard content.classSet.name == classSet.name, content.classSet.sha256 == classSet.sha256.hex else {
            throw .wrongClassSet(displayName, reason: "its content is for another class set, \(content.classSet.name)")
        }
        guard origin.modelSHA256 == model.sha256.hex, origin.bits == bits, origin.classSetSHA256 == learnedOn.sha256.hex else {
            throw .wrongModel(displayName, reason: "its content was learned for \(origin.model) at \(origin.bits) bits")
        }
    }
}

extension ReleaseRequest {
    /// For the log.
    var verb: String {
        switch self {
        case .snapshot: "snapshot"
        case .content: "content"
        case .publish: "publish"
        case .list: "list"
        case .pin(_, let version): "pin \(version)"
        case .unpin: "unpin"
        case .dropShadow: "drop shadow"
        case .classSet: "class set"
        case .putClassSet: "put class set"
        case .report: "report"
        case .scoring: "scoring"
        }
    }

    /// Who may ask.
    var roles: Set<Role> {
        switch self {
        case .publish, .pin, .unpin, .dropShadow, .putClassSet: [.publisher, .admin]
        case .report: [.worker, .admin]
        case .snapshot, .content, .list, .classSet, .scoring: [.worker, .trainer, .publisher, .admin]
        }
    }
}
