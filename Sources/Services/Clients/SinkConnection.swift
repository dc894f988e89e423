package import Messages
package import Transport

/// A sink's connection to a dispatcher: deliveries in, acknowledgements out. For one thread.
///
/// It reconnects by itself. What was delivered and not acknowledged comes again, with the same sequence numbers.
package final class SinkConnection {
    /// Outcomes that came in one request.
    package struct Delivery {
        /// Of an exclusive group's active member; 0 in shared groups.
        package let generation: UInt64
        package let results: [JobResult]
        /// Outcomes that can't be read.
        package let rejected: [MessageError]
        let client: Frame
    }

    private let endpoint: Endpoint
    private let options: SocketOptions
    private let context: ZeroMQContext
    private let service: String
    private let info: PeerInfo
    private let heartbeat: Duration
    private var socket: Socket
    private var heard = ContinuousClock.now
    /// When the dispatcher last said anything; nil if it never did.
    package private(set) var lastHeard: ContinuousClock.Instant?
    private var beatAt = ContinuousClock.now
    private var readyAt: ContinuousClock.Instant? = .now
    private var backoff = Duration.milliseconds(100)
    /// It was told that it is not welcome: the group is not there, or the key has not the role.
    package private(set) var refusals = 0

    /// - Parameters:
    ///   - group: its group, which must exist.
    ///   - name: the sink's own name, for people.
    package init(
        to endpoint: Endpoint, group: String, name: String, batchItems: Int = 256, in context: ZeroMQContext, options: SocketOptions,
        heartbeat: Duration = .seconds(1)
    ) throws {
        self.endpoint = endpoint
        self.options = options
        self.context = context
        service = "results/" + group
        info = PeerInfo(worker: name, batchItems: batchItems)
        self.heartbeat = heartbeat
        socket = try Socket(.dealer, in: context, options: options)
        try socket.attach(endpoint)
    }

    /// The next delivery; nil if none came in `timeout`.
    package func next(timeout: Duration) throws -> Delivery? {
        let end = ContinuousClock.now + timeout
        repeat {
            try keepAlive()
            let wait = min(max(ContinuousClock.now.duration(to: end), .zero), .milliseconds(readyAt == nil ? 250 : 50))
            guard let frames = try socket.receive(timeout: wait) else { continue }
            heard = .now
            lastHeard = heard
            guard let (message, _) = try? Majordomo.parseForWorker(frames) else { continue }
            switch message {
            case .request(let client, let body):
                (backoff, refusals) = (.milliseconds(100), 0)
                if let delivery = try read(client, body) { return delivery }
            case .heartbeat: if readyAt == nil { (backoff, refusals) = (.milliseconds(100), 0) }
            case .disconnect:
                refusals += 1
                readyAt = .now + backoff
                backoff = min(backoff * 2, .seconds(5))
            }
        } while ContinuousClock.now < end
        return nil
    }

    /// Says what of a delivery is stored durably, and that the next may come.
    package func acknowledge(_ delivery: Delivery, _ extent: SinkAcknowledgement.Extent) throws {
        let body = try SinkAcknowledgement(generation: delivery.generation, extent: extent).encode()
        try send(.final(client: delivery.client, body: [try Frame(body)]))
    }

    /// Says goodbye.
    package func close() { try? send(.disconnect) }

    private func read(_ client: Frame, _ body: [Frame]) throws -> Delivery? {
        var results: [JobResult] = []
        var rejected: [MessageError] = []
        var generation: UInt64 = 0
        do throws(MessageError) {
            for frame in body {
                let batch = try ReceivedResultBatch(envelope: frame.bytes)
                results += batch.results
                rejected += batch.rejected
                generation = batch.generation
            }
            for index in results.indices { results[index].place?.generation = generation }
        } catch {
            rejected.append(error)
        }
        let delivery = Delivery(generation: generation, results: results, rejected: rejected, client: client)
        guard results.isEmpty, rejected.isEmpty else { return delivery }
        try acknowledge(delivery, .failed)
        return nil
    }

    private func keepAlive() throws {
        let now = ContinuousClock.now
        if now - heard > heartbeat * 3 {
            socket = try Socket(.dealer, in: context, options: options)
            try socket.attach(endpoint)
            (heard, readyAt) = (now, now)
        }
        if let at = readyAt, at <= now {
            readyAt = nil
            heard = now
            try send(.ready(service: service, info: try Frame(try info.encode())))
        }
        if now >= beatAt, readyAt == nil {
            beatAt = now + heartbeat
            try send(.heartbeat(info: nil))
        }
    }

    /// What can't be sent now is lost with a connection that is given up soon.
    private func send(_ message: Majordomo.ToBroker) throws {
        do throws(TransportError) {
            try socket.send(try Majordomo.fromWorker(message, .standard(.v02)), timeout: .zero)
        } catch {
            guard case .timedOut = error else { throw error }
        }
    }
}
