package import Messages
package import Transport

/// A client's connection to a dispatcher: requests out, replies in. For one thread.
package final class DispatcherClient {
    /// A reply as it came.
    package struct Reply {
        package let service: String
        package let body: [Frame]
        /// False for a PARTIAL, which another reply follows.
        package let isFinal: Bool
    }

    private let socket: Socket
    private let dialect: Majordomo.Dialect
    private let endpoint: Endpoint

    /// - Parameter dialect: how the broker frames its messages; p4q's own dispatcher takes any.
    package init(
        to endpoint: Endpoint, in context: ZeroMQContext, options: SocketOptions, dialect: Majordomo.Dialect = .standard(.v02)
    ) throws(TransportError) {
        self.endpoint = endpoint
        self.dialect = dialect
        socket = try Socket(.dealer, in: context, options: options)
        try socket.attach(endpoint)
    }

    /// Sends a request. Throws: `timedOut` if the dispatcher isn't there, or takes nothing, for so long.
    package func send(_ service: String, _ body: [Frame], timeout: Duration) throws(TransportError) {
        try socket.send(try Majordomo.request(service: service, body: body, dialect), timeout: timeout)
    }

    /// The next reply; nil if none comes in time. What is no reply is skipped.
    package func receive(timeout: Duration) throws(TransportError) -> Reply? {
        let end = ContinuousClock.now + timeout
        while let frames = try socket.receive(timeout: max(ContinuousClock.now.duration(to: end), .zero)) {
            if let reply = try? Majordomo.parseForClient(frames, dialect) {
                return Reply(service: reply.service, body: reply.body, isFinal: reply.isFinal)
            }
        }
        return nil
    }

    /// Asks, and waits for the answer. Throws: `timedOut` if none comes.
    package func ask(_ service: String, _ body: [[UInt8]], timeout: Duration) throws(TransportError) -> [[UInt8]] {
        var frames: [Frame] = []
        for bytes in body { frames.append(try Frame(bytes)) }
        let end = ContinuousClock.now + timeout
        try send(service, frames, timeout: timeout)
        while let reply = try receive(timeout: max(ContinuousClock.now.duration(to: end), .zero)) {
            if reply.service == service || dialect.sharesNumbers, reply.isFinal { return reply.body.map(\.bytes) }
        }
        throw .timedOut(endpoint: endpoint.address)
    }

    /// What an administrator asks.
    package func ask(_ request: AdminRequest, timeout: Duration = .seconds(10)) throws -> AdminReply {
        guard let envelope = try ask(AdminRequest.service, [try request.encode()], timeout: timeout).first else { return AdminReply() }
        if let refusal = try? SubmitReply(envelopes: [envelope]), let failure = refusal.failure { throw failure }
        return try AdminReply(envelope: envelope)
    }

    /// What a producer asks about its jobs.
    package func ask(_ query: JobQuery, timeout: Duration = .seconds(10)) throws -> [JobReceipt] {
        let reply = try SubmitReply(envelopes: try ask(JobQuery.service, [try query.encode()], timeout: timeout))
        if let failure = reply.failure { throw failure }
        return reply.receipts
    }
}

extension Failure: CustomStringConvertible {
    package var description: String { "\(message) (\(code))" }
}
