/// What the machine wants done. Every action may be carried out only after the journal has committed the batch it came with.
package enum Action: Sendable {
    // MARK: Producers

    /// One verdict a job, in the order of the submission.
    case verdicts(RequestID, [SubmissionVerdict])
    /// A job that somebody waits for has its outcome.
    case finished(JobNumber, Sequence, OutcomeKind)

    // MARK: Workers

    /// Read the contents (`JobStore.contents(of:)`) and send them.
    case lease(LeasedBatch)
    /// One receipt an answer, in their order; `isKnown` is false if the session is not (any more): answer it with DISCONNECT.
    case receipts(SessionID, [AnswerReceipt], isKnown: Bool)
    /// Tell the session DISCONNECT and forget it. The machine has done so.
    case dismiss(SessionID)

    // MARK: Sinks

    /// Read the outcomes (`JobStore.outcomes(_:)`) and send them.
    case deliver(Delivery)
    case acknowledged(SessionID, AcknowledgementReceipt)
    /// The group doesn't exist: answer the sink so and forget it.
    case refuseSink(SessionID)

    // MARK: Administration

    case answer(RequestID, AdminAnswer)
}
