internal import CZeroMQ
internal import Synchronization

/// Counts what becomes of connections to one bound socket. Who speaks something else, has no key or a wrong one gets no further than the
/// handshake, so that only libzmq ever knows of him. Source: zmq_socket_monitor(3).
package final class ConnectionMonitor: Sendable {
    /// Totals.
    package struct Counts: Hashable, Sendable {
        /// Connections that were taken.
        package var accepted: UInt64 = 0
        /// Those that came through their handshake. The others were turned away, or are still at it, for at most `SocketOptions.handshake`.
        package var established: UInt64 = 0

        package init() {}

        package static func + (one: Counts, other: Counts) -> Counts {
            var sum = one
            sum.accepted += other.accepted
            sum.established += other.established
            return sum
        }
    }

    private final class State: Sendable {
        private let counts = Mutex(Counts())
        private let stopping = Mutex(false)

        var seen: Counts { counts.withLock { $0 } }
        var isStopping: Bool { stopping.withLock { $0 } }
        func stop() { stopping.withLock { $0 = true } }

        /// The first frame of an event: its number in 16 bits, its value in 32.
        func count(_ event: Frame?) {
            guard let bytes = event?.bytes, bytes.count >= 2 else { return }
            switch Int32(bytes[0]) | Int32(bytes[1]) << 8 {
            case ZMQ_EVENT_ACCEPTED: counts.withLock { $0.accepted += 1 }
            case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: counts.withLock { $0.established += 1 }
            default: break
            }
        }
    }

    /// Where the monitored socket has to tell of its events.
    let endpoint: Endpoint
    private let state = State()
    private let thread: SocketThread

    /// Begins to listen. It must do so before `Socket.tell(_:)`, whose events wait for somebody to take them, and libzmq's thread with them.
    init(in context: ZeroMQContext) throws(TransportError) {
        endpoint = try Endpoint("inproc://p4q-monitor-\(UInt64.random(in: 0 ... .max))", default: .connect)
        var options = SocketOptions()
        options.receiveHighWater = 0
        let state = state
        thread = try SocketThread(
            name: "p4q-monitor", endpoints: [endpoint],
            open: { [options] () throws(TransportError) in try Socket(.pair, in: context, options: options) },
            run: { thread, socket in
                do throws(TransportError) {
                    while !state.isStopping {
                        while let frames = try socket.receive(timeout: .zero) { state.count(frames.first) }
                        try thread.wait(for: .reading, of: socket)
                    }
                } catch {
                    // The context is shut down: there is nothing left to count.
                }
            })
    }

    deinit {
        state.stop()
        thread.wake()
    }

    package var counts: Counts { state.seen }
}

extension Socket {
    /// Tells `monitor` of its connections from now on.
    func tell(_ monitor: ConnectionMonitor) throws(TransportError) {
        checkOwner()
        guard zmq_socket_monitor(handle, monitor.endpoint.address, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED) == 0 else {
            throw .setup("a monitor of a \(kind) socket", errno: zmq_errno())
        }
    }
}
