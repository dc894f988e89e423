/// The journal of partitions: what the machine decided becomes durable here, and only here.
///
/// Everything is batched and asynchronous. Every write carries its partition's epoch and is refused (`fenced`) if somebody has opened the
/// partition since. Calls of `commit` for one partition don't overlap and are made in the machine's order.
package protocol JobStore: ReleaseStore {
    /// Takes the partition over: raises its epoch, so that whoever had it can't write any more, and gives what is journalled besides the
    /// jobs. Throws `JobQueueError`.
    func open(_ partition: PartitionID) async throws -> RecoveredPartition

    /// A page of the journalled jobs, open and finished, numbers ascending from after `after`; empty at the end. To be read after `open`
    /// and before the first `commit`.
    func recoveredJobs(after: JobNumber, limit: Int, in partition: PartitionID) async throws -> [RecoveredJob]

    /// Makes a batch durable. When it returns, it is.
    ///
    /// Throws `JobQueueError`: `.diskFull` means that nothing of it was written and the same batch may be committed again later;
    /// `.commitUnknown` means that nobody knows: accept nothing more, open the partition again, from disk (a store whose disk has failed
    /// refuses that in this process: exit 70).
    func commit(_ batch: JournalBatch) async throws

    /// Envelopes and payloads of open jobs and of dead letters, in the order of `jobs`, checked against their SHA-256.
    func contents(of jobs: [JobNumber], in partition: PartitionID) async throws -> [JobContent]

    /// Outcomes with the envelopes of their jobs, in the order of `sequences`; those that aren't kept are left out.
    func outcomes(_ sequences: [Sequence], in partition: PartitionID) async throws -> [StoredOutcome]

    /// What is known of forgotten jobs, in the order of `keys`.
    func tombstones(of keys: [JobKey], in partition: PartitionID) async throws -> [Tombstone?]

    /// Makes lookups of tombstones that were there at `open` fast; may take as long as reading them all does, and lookups are right before it ends.
    func indexTombstones(in partition: PartitionID) async throws

    /// What people look at: jobs, in the order of `jobs`; those that aren't kept are left out.
    func describe(_ jobs: [JobNumber], in partition: PartitionID) async throws -> [JobDescription]

    /// Dead letters, oldest first, from after `after` on.
    func deadLetters(after: JobNumber, limit: Int, in partition: PartitionID) async throws -> [JobDescription]

    /// Deletes dead letters and their content; gives how many there were.
    func removeDeadLetters(_ jobs: [JobNumber], in partition: PartitionID) async throws -> Int

    /// Removes every byte of these finished jobs (envelope, payload, outcome's body, id) from the files, not only from the tables.
    func erase(_ jobs: [JobNumber], in partition: PartitionID) async throws

    /// Removes every byte of payloads of `service` that no job needs any more from the files: finished jobs' payloads stay where they lie until
    /// their file goes, and deleted rows in the log until it is cut.
    func eraseLeftovers(of service: String, in partition: PartitionID) async throws

    /// Drops tombstones older than `age` or beyond `limit`, whole days at a time; gives the age of the oldest that is left.
    func expireTombstones(olderThan age: Duration, keeping limit: Int, now: WallTime, in partition: PartitionID) async throws -> Duration

    /// Copies everything, as it is at one moment, into a folder that does not exist yet.
    func backUp(to folder: String) async throws

    /// The room on the disk, of the figures: cheap enough to be asked after each commit.
    func room() async -> StoreFigures

    /// Sizes and counts for metrics.
    func figures() async -> StoreFigures

    /// Writes down what is left and lets go of the files.
    func close() async throws
}

/// What a job consists of.
package enum JobContent: Sendable {
    case intact(JobNumber, envelope: [UInt8], payload: [UInt8])
    /// The bytes are not the ones that were accepted, or are gone.
    case corrupt(JobNumber, reason: String)
}

/// An outcome as sinks get it.
package struct StoredOutcome: Sendable {
    package let sequence: Sequence
    package let job: JobNumber
    /// The job's id.
    package let id: String
    package let producer: String
    package let service: String
    package let kind: OutcomeKind
    package let finished: WallTime
    package let attempts: Int
    /// What the producer's submission had as its envelope.
    package let envelope: [UInt8]
    /// The worker's answer; empty for jobs that died without one.
    package let body: [UInt8]

    package init(
        sequence: Sequence, job: JobNumber, id: String, producer: String, service: String, kind: OutcomeKind, finished: WallTime,
        attempts: Int, envelope: [UInt8], body: [UInt8]
    ) {
        self.sequence = sequence
        self.job = job
        self.id = id
        self.producer = producer
        self.service = service
        self.kind = kind
        self.finished = finished
        self.attempts = attempts
        self.envelope = envelope
        self.body = body
    }
}

/// A job for people.
package struct JobDescription: Hashable, Sendable {
    package let number: JobNumber
    package let id: String
    package let producer: String
    package let service: String
    package let priority: Priority
    package let accepted: WallTime
    package let deadline: WallTime?
    package let attempts: Int
    package let crashes: Int
    package let parent: JobNumber?
    package let envelopeBytes: Int
    package let payloadBytes: Int
    package let outcome: OutcomeKind?
    package let sequence: Sequence?
    package let finished: WallTime?

    package init(
        number: JobNumber, id: String, producer: String, service: String, priority: Priority, accepted: WallTime, deadline: WallTime? = nil,
        attempts: Int, crashes: Int, parent: JobNumber? = nil, envelopeBytes: Int, payloadBytes: Int, outcome: OutcomeKind? = nil,
        sequence: Sequence? = nil, finished: WallTime? = nil
    ) {
        self.number = number
        self.id = id
        self.producer = producer
        self.service = service
        self.priority = priority
        self.accepted = accepted
        self.deadline = deadline
        self.attempts = attempts
        self.crashes = crashes
        self.parent = parent
        self.envelopeBytes = envelopeBytes
        self.payloadBytes = payloadBytes
        self.outcome = outcome
        self.sequence = sequence
        self.finished = finished
    }
}

/// What a store found of a partition, besides its jobs.
package struct RecoveredPartition: Sendable {
    package var partition: PartitionID
    package var epoch: Epoch
    package var secret: LeaseSecret
    /// The highest numbers ever given.
    package var lastJob: JobNumber
    package var lastSequence: Sequence
    package var names: [JournalBatch.NameRecord]
    package var groups: [GroupRecord]
    package var modes: [JournalBatch.ServiceModeRecord]
    /// False if the process before did not end by `close`.
    package var wasClean: Bool

    package init(
        partition: PartitionID, epoch: Epoch, secret: LeaseSecret, lastJob: JobNumber, lastSequence: Sequence,
        names: [JournalBatch.NameRecord], groups: [GroupRecord], modes: [JournalBatch.ServiceModeRecord], wasClean: Bool
    ) {
        self.partition = partition
        self.epoch = epoch
        self.secret = secret
        self.lastJob = lastJob
        self.lastSequence = lastSequence
        self.names = names
        self.groups = groups
        self.modes = modes
        self.wasClean = wasClean
    }
}

/// A journalled job without its content.
package struct RecoveredJob: Hashable, Sendable {
    package var number: JobNumber
    package var key: JobKey
    package var digest: JobDigest
    package var producer: UInt32
    package var service: UInt32
    package var priority: Priority
    package var accepted: WallTime
    package var deadline: WallTime?
    package var notBefore: WallTime?
    package var attempts: Int
    package var crashes: Int
    package var isSuspect: Bool
    /// Of envelope and payload together.
    package var bytes: Int
    /// Nil: open.
    package var finished: Finish?

    package struct Finish: Hashable, Sendable {
        package var sequence: Sequence
        package var kind: OutcomeKind

        package init(sequence: Sequence, kind: OutcomeKind) {
            self.sequence = sequence
            self.kind = kind
        }
    }

    package init(
        number: JobNumber, key: JobKey, digest: JobDigest, producer: UInt32, service: UInt32, priority: Priority, accepted: WallTime,
        deadline: WallTime? = nil, notBefore: WallTime? = nil, attempts: Int, crashes: Int, isSuspect: Bool, bytes: Int,
        finished: Finish? = nil
    ) {
        self.number = number
        self.key = key
        self.digest = digest
        self.producer = producer
        self.service = service
        self.priority = priority
        self.accepted = accepted
        self.deadline = deadline
        self.notBefore = notBefore
        self.attempts = attempts
        self.crashes = crashes
        self.isSuspect = isSuspect
        self.bytes = bytes
        self.finished = finished
    }
}

/// Sizes and counts of a store.
package struct StoreFigures: Hashable, Sendable {
    package var commits: UInt64 = 0
    package var rows: UInt64 = 0
    /// Calls that made something durable.
    package var syncs: UInt64 = 0
    package var databaseBytes: UInt64 = 0
    package var payloadBytes: UInt64 = 0
    package var freeBytes: UInt64 = .max
    /// Below this, producers are told to wait.
    package var lowestBytes: UInt64 = 0
    package var isDiskLow: Bool { freeBytes < lowestBytes }
    package var tombstones: UInt64 = 0
    package var deadLetters: UInt64 = 0

    package init() {}
}
