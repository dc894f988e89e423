/// A job as a producer hands it in.
package struct Submission: Sendable {
    /// The producer's name for it, 1 to 128 bytes.
    package var id: String
    package var key: JobKey
    package var digest: JobDigest
    /// What the dispatcher wants to find again with the job: opaque here, kept until the job is forgotten.
    package var envelope: [UInt8]
    /// The image's bytes; empty for a payload by reference. Kept until the job has its outcome (longer for dead letters).
    package var payload: [UInt8]
    package var priority: Priority
    /// After this moment the job is worth nothing.
    package var deadline: Uptime?
    /// Not leased before this moment.
    package var notBefore: Uptime?
    /// The dead letter that this job runs again.
    package var parent: JobNumber?
    /// What the store knows of the key since before the job was forgotten; see `JobStore.tombstones(of:)`.
    package var tombstone: Tombstone?
    /// The producer waits for the outcome: `Action.finished` tells it.
    package var wantsOutcome: Bool

    package init(
        id: String, key: JobKey, digest: JobDigest, envelope: [UInt8] = [], payload: [UInt8] = [], priority: Priority = .standard,
        deadline: Uptime? = nil, notBefore: Uptime? = nil, parent: JobNumber? = nil, tombstone: Tombstone? = nil, wantsOutcome: Bool = false
    ) {
        self.id = id
        self.key = key
        self.digest = digest
        self.envelope = envelope
        self.payload = payload
        self.priority = priority
        self.deadline = deadline
        self.notBefore = notBefore
        self.parent = parent
        self.tombstone = tombstone
        self.wantsOutcome = wantsOutcome
    }

    /// What counts against limits.
    var bytes: Int { envelope.count + payload.count }
}

/// 0 to 9; all ready jobs of a higher one are leased before those of a lower one. 4 unless said otherwise.
package struct Priority: Hashable, Sendable, Comparable {
    package let rawValue: UInt8
    /// Values above 9 are taken for 9.
    package init(_ value: UInt8) { rawValue = min(value, 9) }
    package static let standard = Priority(4)
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    static let levels = 10
}

/// Jobs that one producer hands to one service together; they share nothing but the answer.
package struct SubmissionBatch: Sendable {
    package var request: RequestID
    /// The producer's identity: its key's name, or what stands for one.
    package var producer: String
    package var service: String
    package var jobs: [Submission]
    /// When the tombstones were looked up. One that is older than `QueueConfiguration.lookupLifetime` is answered busy.
    package var lookedUp: Uptime

    package init(request: RequestID, producer: String, service: String, jobs: [Submission], lookedUp: Uptime) {
        self.request = request
        self.producer = producer
        self.service = service
        self.jobs = jobs
        self.lookedUp = lookedUp
    }
}

/// The answer to one submitted job. It may leave only after the commit.
package enum SubmissionVerdict: Hashable, Sendable {
    case accepted(JobNumber)
    /// The job is known already.
    case duplicate(JobStatus)
    /// Another job has this id.
    case conflict
    /// No room, now; the same job may come again after this long.
    case busy(reason: BusyReason, retryAfter: Duration)
}

/// Which limit is reached.
package enum BusyReason: String, Hashable, Sendable, CaseIterable {
    case serviceJobs = "service.jobs"
    case serviceBytes = "service.bytes"
    case producerJobs = "producer.jobs"
    case producerBytes = "producer.bytes"
    /// Jobs that the dispatcher holds in memory, outcomes that wait for sinks included.
    case totalJobs = "total.jobs"
    case totalBytes = "total.bytes"
    /// A group that blocks has too large a backlog.
    case sinkBacklog = "sink.backlog"
    case diskLow = "disk.low"
    /// More waits for the disk than may.
    case journalBehind = "journal.behind"
    /// The service takes nothing new.
    case draining
    /// The dispatcher stops.
    case stopping
    case tooManyNames = "names"
    case staleLookup = "lookup"
}

/// Where a job is in its life.
package enum JobStatus: Hashable, Sendable {
    case ready(JobNumber)
    /// Waits for its first moment or for its next attempt.
    case waiting(JobNumber, attempts: Int)
    case leased(JobNumber, attempts: Int)
    case finished(JobNumber, sequence: Sequence, outcome: OutcomeKind)
    /// Finished, and its outcome is no longer kept.
    case forgotten(Tombstone)
}

/// What stays of a job for as long as its id counts.
package struct Tombstone: Hashable, Sendable {
    package let digest: JobDigest
    package let sequence: Sequence
    package let outcome: OutcomeKind

    package init(digest: JobDigest, sequence: Sequence, outcome: OutcomeKind) {
        self.digest = digest
        self.sequence = sequence
        self.outcome = outcome
    }
}
