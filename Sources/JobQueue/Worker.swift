/// What a worker says of itself when it is ready.
package struct WorkerReady: Sendable {
    package var session: SessionID
    /// The authenticated identity; sessions of one identity and `worker` are one worker.
    package var identity: String
    /// The worker's own name; a process has one, however many sessions it opens.
    package var worker: String
    package var service: String
    /// Batches that may be in flight on this session.
    package var credit: Int
    /// The most jobs in a batch.
    package var batchJobs: Int
    /// The most bytes of envelopes and payloads in a batch; one job always fits.
    package var batchBytes: Int
    /// It sends heartbeats while it works, so that silence means that it is gone.
    package var announcesHeartbeats: Bool

    package init(
        session: SessionID, identity: String, worker: String, service: String, credit: Int = 1, batchJobs: Int = 32,
        batchBytes: Int = 32 << 20, announcesHeartbeats: Bool = true
    ) {
        self.session = session
        self.identity = identity
        self.worker = worker
        self.service = service
        self.credit = max(1, credit)
        self.batchJobs = max(1, batchJobs)
        self.batchBytes = max(1, batchBytes)
        self.announcesHeartbeats = announcesHeartbeats
    }
}

/// What a heartbeat says of one lease.
package struct LeaseProgress: Hashable, Sendable {
    package var lease: LeaseID
    /// Grows while the worker gets on (a layer, an image); 0 until it has started this job.
    package var counter: UInt64

    package init(lease: LeaseID, counter: UInt64) { (self.lease, self.counter) = (lease, counter) }
}

/// One job of a leased batch.
package struct LeaseGrant: Hashable, Sendable {
    package let lease: LeaseID
    /// From 1.
    package let attempt: Int
    /// What is left until the job's deadline.
    package let timeLeft: Duration?

    package var job: JobNumber { lease.job }

    package init(lease: LeaseID, attempt: Int, timeLeft: Duration? = nil) {
        self.lease = lease
        self.attempt = attempt
        self.timeLeft = timeLeft
    }
}

/// Jobs leased to one session, to be sent in one request. Its FINAL gives the credit back.
package struct LeasedBatch: Hashable, Sendable {
    package let session: SessionID
    package let service: String
    package let grants: [LeaseGrant]
    /// The only job of this worker, because a worker died with it before: the worker must report that it starts before it does
    /// (a heartbeat with a counter above 0).
    package let isAlone: Bool

    package init(session: SessionID, service: String, grants: [LeaseGrant], isAlone: Bool) {
        self.session = session
        self.service = service
        self.grants = grants
        self.isAlone = isAlone
    }
}

/// Why a session ended.
package enum SessionEnd: Hashable, Sendable {
    /// Its connection broke: the process is taken for dead.
    case disconnected
    /// It said goodbye, or was told to go: costs nobody an attempt.
    case goodbye
    /// It was cut off by a fault of the network that the dispatcher knows of, or for breaking the protocol: costs nobody an attempt.
    case evicted
}
