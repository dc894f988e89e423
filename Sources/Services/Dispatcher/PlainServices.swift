package import Transport

/// Majordomo for services that are not journalled: opaque requests, in memory, each leased to one worker, one final reply.
///
/// Pure: what happens goes in, what is to be sent comes out. A request whose worker is lost goes to the next one; one that nobody serves for so
/// long as a worker may work is forgotten.
package struct PlainServices {
    /// What is to be sent.
    package enum Effect {
        case toWorker(PeerAddress, Majordomo.ToWorker, Majordomo.Dialect)
        case toClient(PeerAddress, Majordomo.ToClient, Majordomo.Dialect)
    }

    package struct Request {
        let client: PeerAddress
        let dialect: Majordomo.Dialect
        let body: [Frame]
        let arrived: ContinuousClock.Instant

        package init(client: PeerAddress, dialect: Majordomo.Dialect, body: [Frame], arrived: ContinuousClock.Instant) {
            self.client = client
            self.dialect = dialect
            self.body = body
            self.arrived = arrived
        }

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
        /// When the last worker left.
        var servedUntil: ContinuousClock.Instant?
    }

    /// Most requests and bytes that wait, each service.
    private let requestLimit: Int
    private let byteLimit = 64 << 20
    /// Most bytes that wait, of all services, and most services.
    private let totalByteLimit = 256 << 20
    private let serviceLimit = 10_000
    /// After so much silence a peer is gone.
    private let silence: Duration
    /// How long a worker without heartbeats may work.
    private let lease: Duration
    private(set) var workers: [PeerAddress: Worker] = [:]
    private(set) var services: [String: Service] = [:]
    private var lastTag: UInt64 = 0
    private var waitingBytes = 0

    package init(requestLimit: Int, silence: Duration = .seconds(10), lease: Duration = .seconds(900)) {
        self.requestLimit = requestLimit
        self.silence = silence
        self.lease = lease
    }

    /// Whether somebody serves it.
    package func isServed(_ service: String) -> Bool { (services[service]?.workers ?? 0) > 0 }

    /// Nil if there is no room for it.
    package mutating func request(_ request: Request, for name: String, now: ContinuousClock.Instant) -> [Effect]? {
        guard services[name] != nil || services.count < serviceLimit else { return nil }
        let service = services[name] ?? Service()
        let bytes = request.bytes
        guard service.waiting.count < requestLimit, service.bytes + bytes <= byteLimit, waitingBytes + bytes <= totalByteLimit else {
            return nil
        }
        services[name, default: Service()].waiting.append(request)
        count(bytes, of: name)
        return dispatch(name, now)
    }

    private mutating func count(_ bytes: Int, of name: String) {
        services[name]?.bytes += bytes
        waitingBytes += bytes
    }

    /// A READY. A second one of the same connection breaks the protocol: it is sent away.
    package mutating func ready(_ address: PeerAddress, service: String, dialect: Majordomo.Dialect, now: ContinuousClock.Instant)
        -> [Effect]
    {
        if workers[address] != nil { return [.toWorker(address, .disconnect, dialect)] + remove(address, now: now) }
        workers[address] = Worker(service: service, dialect: dialect, heard: now, started: now)
        services[service, default: Service()].workers += 1
        services[service]?.idle.append(address)
        return dispatch(service, now)
    }

    package mutating func heard(_ address: PeerAddress, now: ContinuousClock.Instant) {
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
    package mutating func remove(_ address: PeerAddress, now: ContinuousClock.Instant) -> [Effect] {
        guard let worker = workers.removeValue(forKey: address) else { return [] }
        services[worker.service]?.workers -= 1
        services[worker.service]?.servedUntil = now
        services[worker.service]?.idle.removeAll { $0 == address }
        if let request = worker.request {
            services[worker.service]?.waiting.insert(request, at: 0)
            count(request.bytes, of: worker.service)
        }
        let effects = dispatch(worker.service, now)
        forgetIfUnused(worker.service)
        return effects
    }

    private mutating func forgetIfUnused(_ name: String) {
        if let service = services[name], service.workers == 0, service.waiting.isEmpty { services[name] = nil }
    }

    /// Ends workers that have been silent, or busy, for too long, and forgets requests that nobody came for.
    package mutating func tick(now: ContinuousClock.Instant) -> [Effect] {
        var effects: [Effect] = []
        for (address, worker) in workers {
            let isSilent = now - worker.heard > silence && (worker.request == nil || worker.announcesHeartbeats)
            let isStuck = worker.request != nil && now - worker.started > lease
            guard isSilent || isStuck else { continue }
            effects.append(.toWorker(address, .disconnect, worker.dialect))
            effects += remove(address, now: now)
        }
        for (name, service) in services where service.workers == 0 {
            let kept = service.waiting.filter { now - max($0.arrived, service.servedUntil ?? $0.arrived) <= lease }
            count(kept.reduce(0) { $0 + $1.bytes } - service.bytes, of: name)
            services[name]?.waiting = kept
            forgetIfUnused(name)
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
            services[name] = service
            count(-request.bytes, of: name)
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
