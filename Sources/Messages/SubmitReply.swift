/// A dispatcher's answer to a batch of jobs, or to a query after jobs.
package struct SubmitReply: Hashable, Sendable {
    /// The producer's batch id.
    package var batchID: String
    /// One for each job, in the order of the batch.
    package var receipts: [JobReceipt]
    /// Why the batch as a whole can't be used; there are no receipts then.
    package var failure: Failure?

    package init(batchID: String, receipts: [JobReceipt], failure: Failure? = nil) {
        self.batchID = batchID
        self.receipts = receipts
        self.failure = failure
    }
}

/// What became of one job.
package struct JobReceipt: Hashable, Sendable {
    package enum Verdict: UInt32, Hashable, Sendable {
        case accepted = 1, duplicate, conflict, busy, invalid, unknown, cancelled
    }

    package enum State: UInt32, Hashable, Sendable {
        case none = 0, ready, waiting, leased, scored, rejected, dead
    }

    package var id: String
    package var verdict: Verdict
    /// Busy: when the same job may come again.
    package var retryAfter: Duration
    /// Busy: the limit that is reached. Invalid: why.
    package var code: String
    package var message: String
    package var state: State
    /// Of its outcome; 0 as long as there is none.
    package var sequence: UInt64
    /// The outcome, where it was asked for and is kept.
    package var result: JobResult?

    package init(
        id: String, verdict: Verdict, retryAfter: Duration = .zero, code: String = "", message: String = "", state: State = .none,
        sequence: UInt64 = 0, result: JobResult? = nil
    ) {
        self.id = id
        self.verdict = verdict
        self.retryAfter = retryAfter
        self.code = code
        self.message = message
        self.state = state
        self.sequence = sequence
        self.result = result
    }
}

/// A producer asks after its jobs.
package struct JobQuery: Hashable, Sendable {
    /// What it is sent to.
    package static let service = "p4q/jobs"

    /// The service the jobs were sent to.
    package var jobService: String
    /// 1 to 256.
    package var ids: [String]
    package var withOutcomes: Bool
    /// Gives the open ones up.
    package var cancels: Bool

    package init(jobService: String, ids: [String], withOutcomes: Bool = false, cancels: Bool = false) {
        self.jobService = jobService
        self.ids = ids
        self.withOutcomes = withOutcomes
        self.cancels = cancels
    }
}
