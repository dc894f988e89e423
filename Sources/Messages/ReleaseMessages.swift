internal import FoundationEssentials

/// What is asked of a dispatcher's releases.
package enum ReleaseRequest: Hashable, Sendable {
    /// What it is sent to.
    package static let service = "p4q/releases"
    /// Bytes of a frame of content.
    package static let chunkBytes = 1 << 20
    /// Releases of one answer to `list`.
    package static let listPage = 64

    case snapshot
    case content(Digest, offset: Int)
    /// Followed by the content in frames of at most `chunkBytes`, or by none if it is the content of a release that is kept.
    case publish(SignedRelease)
    /// Newest first; `before` 0: from the newest on.
    case list(classSet: String, before: UInt64)
    case pin(classSet: String, version: UInt64)
    case unpin(classSet: String)
    case dropShadow(classSet: String)
    case classSet(String)
    /// Its canonical text.
    case putClassSet(String)
    /// What a worker has answered so far.
    case report(ScoringReport)
    /// What all workers have answered for a class set.
    case scoring(classSet: String)

    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_ReleaseRequest()
        switch self {
        case .snapshot: wire.snapshot = P4q_V1_Nothing()
        case .content(let digest, let offset):
            wire.content.sha256 = Data(digest.bytes)
            wire.content.offset = UInt64(clamping: offset)
        case .publish(let release): wire.publish = P4q_V1_SignedRelease(release)
        case .list(let name, let before):
            wire.list.classSet = name
            wire.list.before = before
        case .pin(let name, let version):
            wire.pin.classSet = name
            wire.pin.version = version
        case .unpin(let name): wire.unpin = name
        case .dropShadow(let name): wire.dropShadow = name
        case .classSet(let name): wire.classSet = name
        case .putClassSet(let text): wire.putClassSet = text
        case .report(let report): wire.report = report.wire
        case .scoring(let name): wire.scoring = name
        }
        let bytes = try FieldChecks(item: "the request").bytes(of: wire)
        try MessageError.checkEnvelope(bytes: bytes.count)
        return bytes
    }

    package init(envelope: [UInt8]) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: envelope.count)
        let checks = FieldChecks(item: "the request")
        let wire: P4q_V1_ReleaseRequest = try checks.message(envelope)
        switch wire.call {
        case nil: throw .missingField("call", item: checks.item)
        case .snapshot: self = .snapshot
        case .content(let range):
            guard range.offset <= UInt64(ReleaseManifest.maximumContentBytes) else {
                throw checks.invalid("offset", "\(range.offset) is out of range")
            }
            self = .content(try checks.digest(range.sha256, "sha256"), offset: Int(range.offset))
        case .publish(let release): self = .publish(try SignedRelease(release, FieldChecks(item: "the release")))
        case .list(let listing): self = .list(classSet: try checks.required(listing.classSet, "class_set"), before: listing.before)
        case .pin(let pin): self = .pin(classSet: try checks.required(pin.classSet, "class_set"), version: pin.version)
        case .unpin(let name): self = .unpin(classSet: try checks.required(name, "class_set"))
        case .dropShadow(let name): self = .dropShadow(classSet: try checks.required(name, "class_set"))
        case .classSet(let name): self = .classSet(try checks.required(name, "class_set"))
        case .putClassSet(let text): self = .putClassSet(try checks.required(text, "class_set", limit: MessageLimits.envelopeBytes))
        case .report(let report): self = .report(try ScoringReport(report, FieldChecks(item: "the report")))
        case .scoring(let name): self = .scoring(classSet: try checks.required(name, "class_set"))
        }
    }
}

/// What is in place for one class set.
package struct ReleaseState: Hashable, Sendable {
    package var classSet: Provenance
    package var live: SignedRelease?
    package var shadow: SignedRelease?
    /// Versions; 0: none.
    package var previous: UInt64
    package var pinned: UInt64
    /// The highest ever given.
    package var last: UInt64

    package init(
        classSet: Provenance, live: SignedRelease? = nil, shadow: SignedRelease? = nil, previous: UInt64 = 0, pinned: UInt64 = 0,
        last: UInt64 = 0
    ) {
        self.classSet = classSet
        self.live = live
        self.shadow = shadow
        self.previous = previous
        self.pinned = pinned
        self.last = last
    }

    fileprivate init(_ wire: P4q_V1_ReleaseState) throws(MessageError) {
        let checks = FieldChecks(item: "the state")
        self.init(
            classSet: try Provenance(wire.classSet.name, wire.classSet.sha256, "class_set", checks),
            live: wire.hasLive ? try SignedRelease(wire.live, checks) : nil,
            shadow: wire.hasShadow ? try SignedRelease(wire.shadow, checks) : nil, previous: wire.previous, pinned: wire.pinned,
            last: wire.last)
    }

    fileprivate var wire: P4q_V1_ReleaseState {
        var wire = P4q_V1_ReleaseState()
        wire.classSet = P4q_V1_ClassSetReference(classSet)
        if let live { wire.live = P4q_V1_SignedRelease(live) }
        if let shadow { wire.shadow = P4q_V1_SignedRelease(shadow) }
        wire.previous = previous
        wire.pinned = pinned
        wire.last = last
        return wire
    }
}

/// A release in a list.
package struct ReleaseEntry: Hashable, Sendable {
    package var release: SignedRelease
    package var acceptedUnixMilliseconds: Int64
    /// Its content is still there.
    package var isKept: Bool

    package init(release: SignedRelease, acceptedUnixMilliseconds: Int64, isKept: Bool) {
        self.release = release
        self.acceptedUnixMilliseconds = acceptedUnixMilliseconds
        self.isKept = isKept
    }
}

/// The answer to a `ReleaseRequest`.
package struct ReleaseReply: Hashable, Sendable {
    /// Empty, or why it was not done; stable and for programs.
    package var code = ""
    package var message = ""
    /// Of the last change that `states` hold.
    package var sequence: UInt64 = 0
    package var states: [ReleaseState] = []
    package var entries: [ReleaseEntry] = []
    /// Of the whole content.
    package var contentBytes = 0
    /// Canonical text.
    package var classSet = ""
    /// The version that stands in the way, or was made.
    package var version: UInt64 = 0
    /// With a snapshot: where the dispatcher publishes events, as it bound them.
    package var events: [String] = []
    /// Sums over the fleet.
    package var scoring: [ScoringCounts] = []

    package init() {}

    package init(code: String, message: String, version: UInt64 = 0) {
        self.code = code
        self.message = message
        self.version = version
    }

    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_ReleaseReply()
        wire.code = code
        wire.message = message.prefix(utf8Bytes: MessageLimits.failureTextBytes)
        wire.sequence = sequence
        wire.states = states.map(\.wire)
        wire.entries = entries.map { entry in
            var item = P4q_V1_ReleaseEntry()
            item.release = P4q_V1_SignedRelease(entry.release)
            item.acceptedUnixMs = entry.acceptedUnixMilliseconds
            item.kept = entry.isKept
            return item
        }
        wire.contentBytes = UInt64(clamping: contentBytes)
        wire.classSet = classSet
        wire.version = version
        wire.events = events
        wire.scoring = scoring.map(\.wire)
        return try FieldChecks(item: "the reply").bytes(of: wire)
    }

    package init(envelope: [UInt8]) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: envelope.count)
        let checks = FieldChecks(item: "the reply")
        let wire: P4q_V1_ReleaseReply = try checks.message(envelope)
        code = try checks.bounded(wire.code, "code")
        message = wire.message
        sequence = wire.sequence
        for state in wire.states { states.append(try ReleaseState(state)) }
        for entry in wire.entries {
            entries.append(
                ReleaseEntry(
                    release: try SignedRelease(entry.release, checks), acceptedUnixMilliseconds: entry.acceptedUnixMs, isKept: entry.kept))
        }
        guard wire.contentBytes <= UInt64(ReleaseManifest.maximumContentBytes) else {
            throw checks.invalid("content_bytes", "\(wire.contentBytes) is out of range")
        }
        contentBytes = Int(wire.contentBytes)
        classSet = wire.classSet
        version = wire.version
        try checks.count(wire.events.count, "events", limit: MessageLimits.itemsPerBatch)
        for endpoint in wire.events { events.append(try checks.bounded(endpoint, "events", limit: MessageLimits.uriBytes)) }
        for item in wire.scoring { scoring.append(try ScoringCounts(item, checks)) }
    }
}

/// What the publishing socket sends.
package struct ReleaseEvent: Hashable, Sendable {
    /// Of the last change.
    package var sequence: UInt64
    /// Nil in a beacon.
    package var change: ReleaseState?

    package init(sequence: UInt64, change: ReleaseState? = nil) {
        self.sequence = sequence
        self.change = change
    }

    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_ReleaseEvent()
        wire.sequence = sequence
        if let change { wire.change = change.wire }
        return try FieldChecks(item: "the event").bytes(of: wire)
    }

    package init(frame: [UInt8]) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: frame.count)
        let wire: P4q_V1_ReleaseEvent = try FieldChecks(item: "the event").message(frame)
        self.init(sequence: wire.sequence, change: wire.hasChange ? try ReleaseState(wire.change) : nil)
    }
}
