/// Changes to a partition that become durable together or not at all.
///
/// A store applies them in the order of the properties; within one property, in the order of the elements.
package struct JournalBatch: Sendable {
    package var partition = PartitionID()
    package var epoch = Epoch(0)
    /// New names of producers and services; numbers are given by the machine, from 0, and never change.
    package var names: [NameRecord] = []
    package var accepted: [AcceptedJob] = []
    package var updated: [JobUpdate] = []
    package var finished: [FinishedJob] = []
    package var removedGroups: [String] = []
    /// The state of groups that changed; the last one of a name counts.
    package var groups: [GroupRecord] = []
    package var modes: [ServiceModeRecord] = []
    /// Jobs whose outcomes are no longer kept: a tombstone stays.
    package var forgotten: [ForgottenJob] = []

    package init() {}

    package var isEmpty: Bool {
        accepted.isEmpty && finished.isEmpty && updated.isEmpty && groups.isEmpty && forgotten.isEmpty && names.isEmpty
            && removedGroups.isEmpty && modes.isEmpty
    }

    /// Rows that change.
    package var count: Int {
        names.count + accepted.count + updated.count + finished.count + groups.count + removedGroups.count + modes.count + forgotten.count
    }

    package struct NameRecord: Hashable, Sendable {
        package let number: UInt32
        package let name: String

        package init(number: UInt32, name: String) {
            self.number = number
            self.name = name
        }
    }

    package struct ServiceModeRecord: Hashable, Sendable {
        package let service: UInt32
        package let mode: ServiceMode

        package init(service: UInt32, mode: ServiceMode) {
            self.service = service
            self.mode = mode
        }
    }
}

/// A job as it is journalled.
package struct AcceptedJob: Sendable {
    package let number: JobNumber
    package let key: JobKey
    package let digest: JobDigest
    package let id: String
    package let producer: UInt32
    package let service: UInt32
    package let priority: Priority
    package let accepted: WallTime
    package let deadline: WallTime?
    package let notBefore: WallTime?
    package let parent: JobNumber?
    package let envelope: [UInt8]
    package let payload: [UInt8]

    package init(
        number: JobNumber, key: JobKey, digest: JobDigest, id: String, producer: UInt32, service: UInt32, priority: Priority,
        accepted: WallTime, deadline: WallTime? = nil, notBefore: WallTime? = nil, parent: JobNumber? = nil, envelope: [UInt8],
        payload: [UInt8]
    ) {
        self.number = number
        self.key = key
        self.digest = digest
        self.id = id
        self.producer = producer
        self.service = service
        self.priority = priority
        self.accepted = accepted
        self.deadline = deadline
        self.notBefore = notBefore
        self.parent = parent
        self.envelope = envelope
        self.payload = payload
    }
}

/// What changes about an open job.
package struct JobUpdate: Hashable, Sendable {
    package let number: JobNumber
    /// Attempts it has used.
    package let attempts: Int
    /// Workers that died of it.
    package let crashes: Int
    /// It runs alone from now on.
    package let isSuspect: Bool
    /// When the next attempt may begin.
    package let notBefore: WallTime?

    package init(number: JobNumber, attempts: Int, crashes: Int, isSuspect: Bool, notBefore: WallTime? = nil) {
        self.number = number
        self.attempts = attempts
        self.crashes = crashes
        self.isSuspect = isSuspect
        self.notBefore = notBefore
    }
}

/// A job with its outcome.
package struct FinishedJob: Sendable {
    package let number: JobNumber
    package let sequence: Sequence
    package let kind: OutcomeKind
    package let finished: WallTime
    package let attempts: Int
    package let body: [UInt8]

    package init(number: JobNumber, sequence: Sequence, kind: OutcomeKind, finished: WallTime, attempts: Int, body: [UInt8]) {
        self.number = number
        self.sequence = sequence
        self.kind = kind
        self.finished = finished
        self.attempts = attempts
        self.body = body
    }
}

/// A group as it is journalled.
package struct GroupRecord: Hashable, Sendable {
    package var settings: GroupSettings
    /// All outcomes up to here are read.
    package var cursor: Sequence
    /// The last outcome of its services that an exclusive group has read; 0: none.
    package var lastRead: Sequence
    /// What is read beyond the cursor; shared groups.
    package var read: SequenceRanges
    package var generation: Generation
    /// Outcomes that were lost to `expire`.
    package var expired: UInt64

    package init(
        settings: GroupSettings, cursor: Sequence, lastRead: Sequence, read: SequenceRanges, generation: Generation, expired: UInt64
    ) {
        self.settings = settings
        self.cursor = cursor
        self.lastRead = lastRead
        self.read = read
        self.generation = generation
        self.expired = expired
    }
}

/// A job that is forgotten.
package struct ForgottenJob: Hashable, Sendable {
    package let number: JobNumber
    package let key: JobKey
    package let tombstone: Tombstone

    package init(number: JobNumber, key: JobKey, tombstone: Tombstone) {
        self.number = number
        self.key = key
        self.tombstone = tombstone
    }
}
