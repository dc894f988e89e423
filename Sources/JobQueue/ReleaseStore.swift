/// Where class sets and releases are kept: values that every worker shares, beside the jobs. Bytes in, bytes out.
///
/// A release's row, its content and the class set's slot change in one transaction, so that nobody ever sees a part of it.
package protocol ReleaseStore: Sendable {
    /// What is in place, and the number of the last change.
    func releaseSlots(in partition: PartitionID) async throws -> ReleaseSlots

    /// Makes a change durable. When it returns, it is.
    ///
    /// Throws: `ReleaseRefusal`, and nothing has changed; `JobQueueError` as `JobStore.commit` does.
    func commit(_ change: ReleaseChange, epoch: Epoch, in partition: PartitionID) async throws -> CommittedRelease

    /// A class set's releases, newest first, from below `before` on.
    func releases(of classSet: String, before: UInt64, limit: Int, in partition: PartitionID) async throws -> [StoredRelease]

    /// A content by its SHA-256; nil if it is not kept, or damaged.
    func releaseContent(_ sha256: [UInt8], in partition: PartitionID) async throws -> [UInt8]?

    /// The canonical text of the class set in place; nil if there is none of this name.
    func classSetText(named name: String, in partition: PartitionID) async throws -> String?
}

/// What is in place for one class set. Pure: decides which change is allowed.
package struct ReleaseSlot: Hashable, Sendable {
    package let classSet: String
    /// SHA-256 of the class set's canonical form, hex.
    package var classSetSHA256: String
    /// Versions; 0: none.
    package var live: UInt64 = 0
    package var previous: UInt64 = 0
    package var shadow: UInt64 = 0
    /// The version that it is held at.
    package var pinned: UInt64 = 0
    /// The highest ever given.
    package var last: UInt64 = 0

    package init(classSet: String, classSetSHA256: String = "") {
        self.classSet = classSet
        self.classSetSHA256 = classSetSHA256
    }

    /// The slot after `change`. A shadow ends when something is made live, whatever it is.
    func applying(_ change: ReleaseChange) throws(ReleaseRefusal) -> ReleaseSlot {
        var slot = self
        switch change {
        case .publish(let release, _, let classSet):
            guard release.parent == live else { throw .conflict(live: live) }
            guard release.version > last else { throw .notNewer(last: last) }
            slot.last = release.version
            if release.isShadow {
                slot.shadow = release.version
            } else {
                guard pinned == 0 else { throw .pinned(version: pinned) }
                (slot.previous, slot.live, slot.shadow) = (live, release.version, 0)
                slot.classSetSHA256 = classSet.sha256
            }
        case .pin(_, let version):
            guard version == live, version > 0 else { throw .conflict(live: live) }
            slot.pinned = version
        case .unpin: slot.pinned = 0
        case .dropShadow:
            guard shadow > 0 else { throw .unknown }
            slot.shadow = 0
        case .putClassSet(let classSet): slot.classSetSHA256 = classSet.sha256
        }
        return slot
    }

    /// Versions whose content must stay.
    var needed: Set<UInt64> { Set([live, previous, shadow, pinned]).subtracting([0]) }
}

/// Everything in place.
package struct ReleaseSlots: Hashable, Sendable {
    /// Of the last change, from 1; never given twice.
    package var sequence: UInt64 = 0
    /// By class set, names ascending.
    package var slots: [ReleaseSlot] = []
    /// The releases that are live or shadow, in the order of the slots.
    package var releases: [StoredRelease] = []

    package init() {}
}

/// A change and its number.
package struct CommittedRelease: Hashable, Sendable {
    package let sequence: UInt64
    package let slot: ReleaseSlot
}

/// What can change.
package enum ReleaseChange: Hashable, Sendable {
    /// `content` is nil where the same bytes are kept already.
    case publish(StoredRelease, content: [UInt8]?, ClassSetRow)
    case pin(classSet: String, version: UInt64)
    case unpin(classSet: String)
    case dropShadow(classSet: String)
    case putClassSet(ClassSetRow)

    package var classSet: String {
        switch self {
        case .publish(let release, _, _): release.classSet
        case .pin(let name, _), .unpin(let name), .dropShadow(let name): name
        case .putClassSet(let row): row.name
        }
    }
}

/// A class set as it is kept.
package struct ClassSetRow: Hashable, Sendable {
    package let name: String
    /// Hex.
    package let sha256: String
    /// Its canonical form.
    package let text: String

    package init(name: String, sha256: String, text: String) { (self.name, self.sha256, self.text) = (name, sha256, text) }
}

/// A release as it is kept.
package struct StoredRelease: Hashable, Sendable {
    package let classSet: String
    package let version: UInt64
    package let parent: UInt64
    package let isShadow: Bool
    /// 32 bytes.
    package let contentSHA256: [UInt8]
    /// The manifest with its signature.
    package let signed: [UInt8]
    package let accepted: WallTime
    /// Whether its content is still kept; true in a change.
    package var hasContent = true

    package init(
        classSet: String, version: UInt64, parent: UInt64, isShadow: Bool, contentSHA256: [UInt8], signed: [UInt8], accepted: WallTime
    ) {
        self.classSet = classSet
        self.version = version
        self.parent = parent
        self.isShadow = isShadow
        self.contentSHA256 = contentSHA256
        self.signed = signed
        self.accepted = accepted
    }
}

/// Why a change is not made.
package enum ReleaseRefusal: Error, Hashable, Sendable {
    /// Another version is live than the one that was named.
    case conflict(live: UInt64)
    case notNewer(last: UInt64)
    case pinned(version: UInt64)
    /// There is no such class set or shadow.
    case unknown
    /// The content that it refers to is not kept.
    case contentGone
    /// No room for another class set.
    case tooMany(limit: Int)
}

/// Bounds of what is kept.
package enum ReleaseLimits {
    /// Class sets; all of their manifests go into one message.
    package static let classSets = 64
    /// The newest releases of a class set whose content is kept, besides those in place: enough to go back a month of nights.
    package static let contents = 32
}
