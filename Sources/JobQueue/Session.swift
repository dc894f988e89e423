internal import DequeModule

/// A connection of a worker or a sink.
struct Session: Sendable {
    enum Role: Sendable {
        case worker(service: Int, worker: String)
        case sink(group: String)
    }

    let role: Role
    let identity: String
    var credit: Int
    /// The most of jobs or outcomes in one request, and of bytes.
    var batchCount: Int
    var batchBytes: Int
    var announcesHeartbeats: Bool
    /// Last sign of life, in milliseconds on the continuous clock.
    var heard: Int64
    /// It is in its service's list of idle ones.
    var isQueued = false
    /// It has said something of its leases.
    var reportsProgress = false
    var batches: [Batch] = []
    /// Outcomes that a shared group's member has not acknowledged, by delivery.
    var deliveries: Deque<OpenDelivery> = []
    /// What a job of its last batches took, for batches of a wanted duration, in milliseconds.
    var timePerJob: Double?

    struct Batch: Sendable {
        let counters: Range<UInt64>
        let isAlone: Bool
        var granted: Int64
    }

    struct OpenDelivery: Sendable {
        var sequences: [UInt64]
        let sent: Int64
    }

    var openOutcomes: Int { deliveries.reduce(0) { $0 + $1.sequences.count } }
    var isBusy: Bool { !batches.isEmpty || !deliveries.isEmpty }
}

/// A worker: one process, however many sessions it has.
struct WorkerState: Sendable {
    var sessions: [SessionID] = []
    var openBatches = 0
    /// It runs a job alone, and gets nothing beside it.
    var isAlone = false
    /// It gets nothing until it is free, and then a job that runs alone.
    var isReserved = false
    var isDraining = false
    /// When any of its leases got on, in milliseconds on the continuous clock.
    var progressed: Int64 = .min
}

/// A job in a worker's hands. Times are in milliseconds.
struct Lease: Sendable {
    let slot: UInt32
    let session: SessionID
    let isAlone: Bool
    let granted: Int64
    var expiry: Int64
    /// When its work started, as the worker said; nil: not yet.
    var started: Int64?
    var progress: UInt64 = 0
}
