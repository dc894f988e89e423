/// What happens to a queue, from the machine's view. Whoever feeds the machine has checked sizes and rights.
package enum Event: Sendable {
    // MARK: Producers

    case submit(SubmissionBatch)
    /// Gives up an open job, as its producer wants it.
    case cancel(RequestID, JobKey)
    /// A producer waits for this job's outcome from now on.
    case watch(JobNumber)

    // MARK: Workers

    case ready(WorkerReady)
    /// A sign of life of a worker or a sink, with what it says of its leases.
    case heartbeat(SessionID, [LeaseProgress])
    /// The FINAL of a leased batch; leases of it that it leaves out go back without cost. Also from a session that is forgotten.
    case answer(SessionID, identity: String, [WorkerAnswer])
    case ended(SessionID, SessionEnd)
    /// The journal has no usable content for these jobs of one leased batch; `isSent`: the rest of the batch was sent.
    case corrupt(SessionID, [LeaseID], isSent: Bool)

    // MARK: Sinks

    case sinkReady(SinkReady)
    case acknowledge(SessionID, Acknowledgement)

    // MARK: Administration

    case addGroup(RequestID, GroupSettings, GroupStart)
    case removeGroup(RequestID, String)
    case setMode(RequestID, service: String, ServiceMode)
    /// The worker gets nothing new and is dismissed when it has nothing left.
    case drainWorker(RequestID, String)
    /// Gives up all open jobs of a service that aren't leased.
    case purge(RequestID, service: String)
    /// New limits and numbers, from now on.
    case configure(QueueConfiguration)

    // MARK: The process

    /// Room on the journal's disk.
    case disk(isLow: Bool)
    /// Lease and accept nothing more: the process is about to end.
    case stop
    /// Time has passed; see `QueueMachine.nextTick`.
    case tick
}

/// Whether a service takes and gives.
package enum ServiceMode: UInt8, Hashable, Sendable {
    case running = 0
    /// Takes jobs and leases none.
    case paused = 1
    /// Takes none and leases what it has.
    case draining = 2
}

/// The answer to an administrative event. It may leave only after the commit.
package enum AdminAnswer: Hashable, Sendable {
    case done
    /// How many jobs were given up.
    case purged(Int)
    /// What was named isn't there.
    case unknown
    /// It is there already, with other settings; or is the group that always exists.
    case conflict
    /// The job has its outcome already.
    case finished
}
