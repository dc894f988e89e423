internal import JobQueue
internal import Messages
package import Transport

/// A peer of one of the dispatcher's ROUTERs.
package struct PeerAddress: Hashable, Sendable {
    let router: Int
    let peer: Router.Peer

    package init(router: Int, peer: Router.Peer) {
        self.router = router
        self.peer = peer
    }
}

/// Who is connected as what, and what is to be answered: plain bookkeeping, without sockets or queue.
struct Registry {
    /// A worker or a sink of the journalled services.
    struct Session {
        enum Role: Equatable {
            case worker
            case sink(isAnnounced: Bool)
        }

        let address: PeerAddress
        let dialect: Majordomo.Dialect
        let identity: String
        let service: String
        let role: Role
        /// It sent a description of itself, so it understands what we add to Majordomo.
        let isExtended: Bool
        var info: PeerInfo?
        /// The leases of answers whose receipts are still to come, in order.
        var awaiting: [[LeaseID]] = []
        /// The echo that was asked for, to be sent with the next heartbeat.
        var generation: UInt64 = 0
    }

    /// A producer's or administrator's request that is answered later.
    struct Request {
        let address: PeerAddress
        let dialect: Majordomo.Dialect
        let service: String
        let batchID: String
        /// One for each job; those that were submitted are to be filled in, in the order of `submitted`.
        var receipts: [JobReceipt] = []
        var submitted: [Int] = []
        var wantsOutcomes = false
        /// Bytes that count as being taken in.
        var bytes = 0
        /// For side doors: told when it is over, with the jobs that found no room.
        var whenBusy: (@Sendable (_ retryAfter: Duration?) -> Void)?
    }

    /// Outcomes that a producer waits for.
    struct Wait {
        let address: PeerAddress
        let dialect: Majordomo.Dialect
        let service: String
        let batchID: String
        var open: Set<JobNumber>
        var finished: [JobQueue.Sequence]
    }

    var sessions: [SessionID: Session] = [:]
    var byAddress: [PeerAddress: SessionID] = [:]
    var requests: [RequestID: Request] = [:]
    private var waits: [UInt64: Wait] = [:]
    private var waiting: [JobNumber: [UInt64]] = [:]
    /// Open jobs of all waits; one that two wait for counts twice.
    private(set) var watchedJobs = 0
    var ingestBytes = 0
    private var lastNumber: UInt64 = 0

    mutating func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    mutating func open(_ session: Session) -> SessionID {
        let id = SessionID(nextNumber())
        sessions[id] = session
        byAddress[session.address] = id
        return id
    }

    @discardableResult
    mutating func close(_ id: SessionID) -> Session? {
        guard let session = sessions.removeValue(forKey: id) else { return nil }
        if byAddress[session.address] == id { byAddress[session.address] = nil }
        return session
    }

    mutating func add(_ request: Request) -> RequestID {
        let id = RequestID(nextNumber())
        ingestBytes += request.bytes
        requests[id] = request
        return id
    }

    mutating func take(_ id: RequestID) -> Request? {
        guard let request = requests.removeValue(forKey: id) else { return nil }
        ingestBytes -= request.bytes
        return request
    }

    mutating func add(_ wait: Wait) {
        let id = nextNumber()
        waits[id] = wait
        watchedJobs += wait.open.count
        for job in wait.open { waiting[job, default: []].append(id) }
    }

    /// The waits that are complete with this outcome.
    mutating func finished(_ job: JobNumber, _ sequence: JobQueue.Sequence) -> [Wait] {
        var complete: [Wait] = []
        for id in waiting.removeValue(forKey: job) ?? [] {
            guard waits[id]?.open.remove(job) != nil else { continue }
            watchedJobs -= 1
            waits[id]?.finished.append(sequence)
            if waits[id]?.open.isEmpty == true, let wait = waits.removeValue(forKey: id) { complete.append(wait) }
        }
        return complete
    }

    /// Nobody is there to be answered any more.
    mutating func dropWaits(of address: PeerAddress) {
        for (id, wait) in waits where wait.address == address {
            waits[id] = nil
            watchedJobs -= wait.open.count
            for job in wait.open {
                waiting[job]?.removeAll { $0 == id }
                if waiting[job]?.isEmpty == true { waiting[job] = nil }
            }
        }
    }
}
