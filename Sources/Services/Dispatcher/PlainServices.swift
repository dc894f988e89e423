internal import Transport

/// Majordomo for services that are not journalled: opaque requests, in memory, each leased to one worker, one final reply.
///
/// Pure: what happens goes in, what is to be sent comes out. A request whose worker is lost goes to the next one.
struct PlainServices {
    /// What is to be sent.
    enum Effect {
        case toWorker(PeerAddress, Majordomo.ToWorker, Majordomo.Dialect)
        case toClient(PeerAddress, Majordomo.ToClient, Majordomo.Dialect)
    }

    struct Request {
        let client: PeerAddress
        let dialect: Majordomo.Dialect
        let body: [Frame]
        var bytes: Int { body.reduce(0) { $0 + $1.count } }
    }

    struct Worker {
        let service: String
        let dialect: Majordomo.Dialect
        var request: Request?
        var heard: ContinuousClock.Instant
        var started: ContinuousClock.Instant
        /// It sent a heartbeat: silence then means that it is gone, also while it works.
        var announcesHeartbeats = false
        /// Told apart from an answer to an earlier request.
        var tag: UInt64 = 0
    }

    struct Service {
        var waiting: [Request] = []
        var bytes = 0
        var idle: [PeerAddress] = []
        var workers = 0
    }

    /// Most requests and bytes that wait, each service.
    let requestLimit: Int
    let byteLimit = 64 << 20
    /// After so much silence a peer is gone.
    let silence: Duration
    /// How long a worker without heartbeats may work.
    let lease: Duration
    private(set) var workers: [PeerAddress: Worker] = [:]
    private(set) var services: [String: Service] = [:]
    private var lastTag: UInt64 = 0
    /// Requests that found no room.
    private(set) var refused: UInt64 = 0

    init(requestLimit: Int, silence: Duration = .seconds(10), lease: Duration = .seconds(900)) {
        self.requestLimit = requestLimit
        self.silence = silence
        self.lease = lease
    }

    /// Whether somebody serves it.
    func isServed(_ service: String) -> Bool { (services[service]?.workers ?? 0) > 0 }

    mutating func request(_ request: Request, for name: String, now: ContinuousClock.Instant) -> [Effect] {
        // The number of services is bounded by the number of those that anybody serves, and a few that are waited for.
        if services[name] == nil, services.count >= 10_000 {
            refused += 1
            return []
        }
        var service = services[name] ?? Service()
        guard service.waiting.count < requestLimit, service.bytes + request.bytes <= byteLimit else {
            refused += 1
            return []
        }
        service.waiting.append(request)
        service.bytes += request.bytes
        services[name] = service
        return dispatch(name, now)
    }

    /// A READY. A second one of the same connection breaks the protocol: it is sent away.
    mutating func ready(_ address: PeerAddress, service: String, dialect: Majordomo.Dialect, now: ContinuousClock.Instant) -> [Effect] {
        if workers[address] != nil { return [.toWorker(address, .disconnect, dialect)] + remove(address, now: now) }
        workers[address] = Worker(service: service, dialect: dialect, heard: now, started: now)
        services[service, default: Service()].workers += 1
        services[service]?.idle.append(address)
        return dispatch(service, now)
    }

    mutating func heard(_ address: PeerAddress, now: ContinuousClock.Instant) {
        workers[address]?.heard = now
        workers[address]?.announcesHeartbeats = true
    }

    mutating func partial(_ address: PeerAddress, client: Frame, body: [Frame], now: ContinuousClock.Instant) -> [Effect] {
        workers[address]?.heard = now
        // Version 0.1 has one reply a request: what comes before the last one can't be said there.
        guard let worker = workers[address], let request = worker.request, request.dialect.version == .v02, isAnswer(worker, client) else {
            return []
        }
        return [.toClient(request.client, Majordomo.ToClient(service: worker.service, body: body, isFinal: false), request.dialect)]
    }

    mutating func final(_ address: PeerAddress, client: Frame, body: [Frame], now: ContinuousClock.Instant) -> [Effect] {
        workers[address]?.heard = now
        guard let worker = workers[address], let request = worker.request, isAnswer(worker, client) else { return [] }
        workers[address]?.request = nil
        services[worker.service]?.idle.append(address)
        let reply = Effect.toClient(request.client, Majordomo.ToClient(service: worker.service, body: body), request.dialect)
        return [reply] + dispatch(worker.service, now)
    }

    /// A worker that is gone, however: its request goes to another one.
    mutating func remove(_ address: PeerAddress, now: ContinuousClock.Instant) -> [Effect] {
        guard let worker = workers.removeValue(forKey: address) else { return [] }
        services[worker.service]?.workers -= 1
        services[worker.service]?.idle.removeAll { $0 == address }
        if let request = worker.request {
            services[worker.service]?.waiting.insert(request, at: 0)
            services[worker.service]?.bytes += request.bytes
        }
        let effects = dispatch(worker.service, now)
        if let service = services[worker.service], service.workers == 0, service.waiting.isEmpty { services[worker.service] = nil }
        return effects
    }

    /// Ends workers that have been silent, or busy, for too long.
    mutating func tick(now: ContinuousClock.Instant) -> [Effect] {
        var effects: [Effect] = []
        for (address, worker) in workers {
            let isSilent = now - worker.heard > silence && (worker.request == nil || worker.announcesHeartbeats)
            let isStuck = worker.request != nil && now - worker.started > lease
            guard isSilent || isStuck else { continue }
            effects.append(.toWorker(address, .disconnect, worker.dialect))
            effects += remove(address, now: now)
        }
        return effects
    }

    private func isAnswer(_ worker: Worker, _ client: Frame) -> Bool { client.bytes == Self.bytes(worker.tag) }

    private static func bytes(_ tag: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: tag >> (8 * UInt64($0))) } }

    private mutating func dispatch(_ name: String, _ now: ContinuousClock.Instant) -> [Effect] {
        var effects: [Effect] = []
        while var service = services[name], !service.waiting.isEmpty, !service.idle.isEmpty {
            let address = service.idle.removeFirst()
            let request = service.waiting.removeFirst()
            service.bytes -= request.bytes
            services[name] = service
            lastTag += 1
            workers[address]?.request = request
            workers[address]?.started = now
            workers[address]?.tag = lastTag
            guard let worker = workers[address], let tag = try? Frame(Self.bytes(lastTag)) else { continue }
            effects.append(.toWorker(address, .request(client: tag, body: request.body), worker.dialect))
        }
        return effects
    }
}
