/// Jobs to send together: one envelope frame, then one payload frame for each job, in this order.
package struct JobBatch: Hashable, Sendable {
    /// Echoed in every answer; at most 128 bytes, may be empty.
    package var id: String
    package var jobs: [Job]
    /// A dispatcher answers with the outcomes too, when all are there.
    package var wantsOutcomes: Bool

    package init(id: String = "", jobs: [Job], wantsOutcomes: Bool = false) {
        self.id = id
        self.jobs = jobs
        self.wantsOutcomes = wantsOutcomes
    }
}

/// A batch as it arrived: some of its jobs may be unusable, which costs the others nothing.
package struct ReceivedJobBatch: Sendable {
    /// Empty if the producer gave none.
    package let id: String
    /// In the order of the envelope; the payload of the job at index i is payload frame i.
    package let entries: [Result<Job, RejectedJob>]
    /// The producer waits for the outcomes.
    package let wantsOutcomes: Bool
    /// A worker died with this job before: report that it starts before it does.
    package let isAlone: Bool
    /// Each job as it came, for who stores it.
    package let jobBytes: [[UInt8]]
}

/// A job that can't be done because its message is wrong; what is known of it is kept so that it can be answered.
package struct RejectedJob: Error, Hashable, Sendable {
    /// The job's id or, if it has no usable one, the batch's id, `#` and the job's place.
    package let id: String
    package let reason: MessageError
    /// The job's metadata and trace context, as far as they could be read and keep to the limits.
    package let metadata: [String: String]
    package let traceparent: String
    /// The right to answer it; empty unless a dispatcher sent it.
    package let lease: [UInt8]

    /// The answer to it.
    package func result(worker: String) -> JobResult {
        JobResult(id: id, outcome: .failed(reason.failure), worker: worker, metadata: metadata, traceparent: traceparent)
    }
}
