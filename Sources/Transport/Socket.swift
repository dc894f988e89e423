internal import CZeroMQ
internal import Glibc

/// A ZeroMQ socket. It belongs to the thread that made it: every call from another one is a mistake of the program and traps.
///
/// Not Sendable. `SocketThread` gives a socket a thread of its own; everyone else sends that thread values.
package final class Socket {
    package enum Kind: Hashable, Sendable {
        case push, pull, router, dealer, request, reply, publish, subscribe, pair

        var number: Int32 {
            switch self {
            case .push: ZMQ_PUSH
            case .pull: ZMQ_PULL
            case .router: ZMQ_ROUTER
            case .dealer: ZMQ_DEALER
            case .request: ZMQ_REQ
            case .reply: ZMQ_REP
            case .publish: ZMQ_PUB
            case .subscribe: ZMQ_SUB
            case .pair: ZMQ_PAIR
            }
        }
    }

    package let kind: Kind
    package let options: SocketOptions
    /// The endpoint of the latest `attach`, with the port that was really bound; for messages.
    package private(set) var endpoint = "a socket without endpoint"

    private var bound: [String] = []
    let handle: UnsafeMutableRawPointer
    // The context must outlive the socket.
    private let context: ZeroMQContext
    private let owner = pthread_self()

    package init(_ kind: Kind, in context: ZeroMQContext, options: SocketOptions = SocketOptions()) throws(TransportError) {
        guard let handle = zmq_socket(context.handle, kind.number) else {
            throw zmq_errno() == ETERM ? .shutDown : .setup("a \(kind) socket", errno: zmq_errno())
        }
        self.kind = kind
        self.options = options
        self.context = context
        self.handle = handle
        try setOptions()
    }

    deinit { zmq_close(handle) }

    /// Binds or connects, and returns the address that others can use: the real port where a port was left open.
    @discardableResult
    package func attach(_ target: Endpoint) throws(TransportError) -> String {
        checkOwner()
        if target.mode == .bind, target.transport == .ipc, LocalSocket.isServed(target.address) {
            // libzmq would unlink the file of a server that is alive and take its place.
            throw .attach(target, errno: EADDRINUSE)
        }
        let status = target.mode == .bind ? zmq_bind(handle, target.address) : zmq_connect(handle, target.address)
        guard status == 0 else {
            let code = zmq_errno()
            throw code == ETERM ? .shutDown : .attach(target, errno: code)
        }
        endpoint = target.mode == .bind ? lastEndpoint() ?? target.address : target.address
        if target.mode == .bind { bound.append(endpoint) }
        return endpoint
    }

    /// Takes no more connections; those that are open stay.
    package func stopListening() {
        checkOwner()
        for address in bound { zmq_unbind(handle, address) }
        bound = []
    }

    func checkOwner() {
        precondition(pthread_equal(pthread_self(), owner) != 0, "a ZeroMQ socket was used by a thread that doesn't own it")
    }

    private func lastEndpoint() -> String? {
        var buffer = [CChar](repeating: 0, count: 1024)
        var size = buffer.count
        guard zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &buffer, &size) == 0 else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func setOptions() throws(TransportError) {
        try set(ZMQ_LINGER, options.linger.zmqMilliseconds)
        try set(ZMQ_SNDHWM, Int32(clamping: options.sendHighWater))
        try set(ZMQ_RCVHWM, Int32(clamping: options.receiveHighWater))
        try set(ZMQ_IMMEDIATE, options.immediate ? 1 : 0)
        try set(ZMQ_HANDSHAKE_IVL, options.handshake.zmqMilliseconds)
        if let heartbeat = options.heartbeat {
            try set(ZMQ_HEARTBEAT_IVL, heartbeat.interval.zmqMilliseconds)
            try set(ZMQ_HEARTBEAT_TIMEOUT, heartbeat.timeout.zmqMilliseconds)
            try set(ZMQ_HEARTBEAT_TTL, heartbeat.timeToLive.zmqMilliseconds)
        } else {
            try set(ZMQ_TCP_KEEPALIVE, 1)
            try set(ZMQ_TCP_KEEPALIVE_IDLE, 10)
            try set(ZMQ_TCP_KEEPALIVE_INTVL, 5)
        }
        try set(ZMQ_RECONNECT_IVL, options.reconnect.zmqMilliseconds)
        try set(ZMQ_RECONNECT_IVL_MAX, options.longestReconnect.zmqMilliseconds)
        var largest = Int64(clamping: options.maxFrameBytes)
        try check(zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &largest, MemoryLayout<Int64>.size), ZMQ_MAXMSGSIZE)
        // Without it a router drops what it can't route, and nobody is told.
        if kind == .router { try set(ZMQ_ROUTER_MANDATORY, 1) }
        try setSecurity()
        if kind == .subscribe {
            let prefix = options.subscription
            try check(zmq_setsockopt(handle, ZMQ_SUBSCRIBE, prefix, prefix.count), ZMQ_SUBSCRIBE)
        }
    }

    private func setSecurity() throws(TransportError) {
        switch options.security {
        case .open: break
        case .server(let secretKey, let domain):
            try set(ZMQ_CURVE_SERVER, 1)
            try set(ZMQ_CURVE_SECRETKEY, secretKey.bytes)
            try set(ZMQ_ZAP_DOMAIN, Array(domain.utf8))
            // ZMQ_ZAP_ENFORCE_DOMAIN, which the header hides with the drafts: without it, CURVE lets everybody in where no handler is.
            try set(93, 1)
        case .client(let server, let keys):
            try set(ZMQ_CURVE_SERVERKEY, server.bytes)
            try set(ZMQ_CURVE_PUBLICKEY, keys.publicKey.bytes)
            try set(ZMQ_CURVE_SECRETKEY, keys.secretKey.bytes)
        }
    }

    private func set(_ option: Int32, _ bytes: [UInt8]) throws(TransportError) {
        try check(zmq_setsockopt(handle, option, bytes, bytes.count), option)
    }

    private func set(_ option: Int32, _ value: Int32) throws(TransportError) {
        var value = value
        try check(zmq_setsockopt(handle, option, &value, MemoryLayout<Int32>.size), option)
    }

    private func check(_ status: Int32, _ option: Int32) throws(TransportError) {
        guard status != 0 else { return }
        throw zmq_errno() == ETERM ? .shutDown : .setup("option \(option) of a \(kind) socket", errno: zmq_errno())
    }
}
