internal import Synchronization

/// A ROUTER socket on a thread of its own: hands what arrives to a closure on that thread, and sends what anyone gives it.
///
/// Sending never blocks: a peer that is gone or full is reported. Receiving stops while `mayReceive` says so, and the peers feel it.
package final class Router: Sendable {
    /// Who sent it: the routing id that libzmq or the peer chose for this connection.
    package struct Peer: Hashable, Sendable {
        package let id: [UInt8]
        package init(id: [UInt8]) { self.id = id }
    }

    /// A message as it arrived, without the routing id.
    package struct Arrival: Sendable {
        package let peer: Peer
        package let frames: [Frame]
        /// Who ZAP says the sender is; nil without authentication.
        package let userID: String?
        package let received: ContinuousClock.Instant
    }

    /// Why a message was not sent.
    package enum Undelivered: Sendable {
        /// Its connection is gone.
        case gone
        /// It doesn't take what it asked for.
        case full
    }

    /// What the thread calls back.
    package struct Handlers: Sendable {
        package var received: @Sendable (Arrival) -> Void
        package var undelivered: @Sendable (Peer, Undelivered) -> Void
        /// Of a message that was dropped for its size, or the error that ended the thread.
        package var failed: @Sendable (TransportError) -> Void
        /// False stops receiving for as long as it is false; it is asked again at least every 10 ms.
        package var mayReceive: @Sendable () -> Bool

        package init(
            received: @escaping @Sendable (Arrival) -> Void, undelivered: @escaping @Sendable (Peer, Undelivered) -> Void,
            failed: @escaping @Sendable (TransportError) -> Void, mayReceive: @escaping @Sendable () -> Bool = { true }
        ) {
            self.received = received
            self.undelivered = undelivered
            self.failed = failed
            self.mayReceive = mayReceive
        }
    }

    private let thread: SocketThread
    private let control: Control
    private let monitor: ConnectionMonitor

    /// Binds or connects, and begins.
    package init(at endpoints: [Endpoint], in context: ZeroMQContext, options: SocketOptions, handlers: Handlers) throws(TransportError) {
        let control = Control()
        self.control = control
        let loop = Loop(control: control, handlers: handlers)
        let monitor = try ConnectionMonitor(in: context)
        self.monitor = monitor
        thread = try SocketThread(
            name: "p4q-router", endpoints: endpoints,
            open: { () throws(TransportError) in
                let socket = try Socket(.router, in: context, options: options)
                try socket.tell(monitor)
                return socket
            }, run: loop.run)
    }

    deinit { control.stop() }

    /// The address it can be reached at, with its real port.
    package var endpoint: String { thread.endpoint }

    /// What became of connections to it.
    package var connections: ConnectionMonitor.Counts { monitor.counts }

    /// Puts a message into the queue; what becomes of it is told to `undelivered` only if it fails.
    package func send(_ frames: [Frame], to peer: Peer) { control.put((peer, frames)) }

    /// Sends what is left and ends; waits for it.
    package func close() async {
        control.stop()
        await thread.finished()
    }
}

extension Router {
    private final class Control: Sendable {
        private struct State {
            var outbox: [(Peer, [Frame])] = []
            var isStopping = false
            var thread: SocketThread?
        }

        private let state = Mutex(State())

        func bind(_ thread: SocketThread?) { state.withLock { $0.thread = thread } }

        func put(_ message: (Peer, [Frame])) {
            let thread = state.withLock { state -> SocketThread? in
                state.outbox.append(message)
                // One wake is enough for all that waits.
                return state.outbox.count == 1 ? state.thread : nil
            }
            thread?.wake()
        }

        func stop() {
            let thread = state.withLock { state in
                state.isStopping = true
                return state.thread
            }
            thread?.wake()
        }

        /// Everything that waits, and whether to end after it.
        func take() -> (messages: [(Peer, [Frame])], isStopping: Bool) {
            state.withLock { state in
                defer { state.outbox = [] }
                return (state.outbox, state.isStopping)
            }
        }
    }

    private struct Loop: Sendable {
        let control: Control
        let handlers: Handlers
        /// Messages read before the outbox is looked at again.
        private static let burst = 64

        init(control: Control, handlers: Handlers) { (self.control, self.handlers) = (control, handlers) }

        func run(_ thread: SocketThread, _ socket: Socket) {
            control.bind(thread)
            do throws(TransportError) {
                while true {
                    let (messages, isStopping) = control.take()
                    for (peer, frames) in messages { try send(frames, peer, socket) }
                    if isStopping { break }
                    let mayReceive = handlers.mayReceive()
                    if mayReceive, try receive(from: socket) { continue }
                    try thread.wait(for: mayReceive ? .reading : .nothing, of: socket, timeout: mayReceive ? nil : .milliseconds(10))
                }
            } catch {
                if error != .shutDown { handlers.failed(error) }
            }
            control.bind(nil)
        }

        /// False if nothing was there.
        private func receive(from socket: Socket) throws(TransportError) -> Bool {
            for count in 0..<Self.burst {
                do throws(TransportError) {
                    guard let frames = try socket.receive(timeout: .zero) else { return count > 0 }
                    guard let id = frames.first else { continue }
                    handlers.received(
                        Arrival(peer: Peer(id: id.bytes), frames: Array(frames.dropFirst()), userID: frames.last?.userID, received: .now))
                } catch {
                    switch error {
                    case .tooManyFrames, .frameTooLarge: handlers.failed(error)
                    default: throw error
                    }
                }
            }
            return true
        }

        private func send(_ frames: [Frame], _ peer: Peer, _ socket: Socket) throws(TransportError) {
            do throws(TransportError) {
                try socket.send([try Frame(peer.id)] + frames, timeout: .zero)
            } catch {
                switch error {
                case .unreachable: handlers.undelivered(peer, .gone)
                case .timedOut: handlers.undelivered(peer, .full)
                default: throw error
                }
            }
        }
    }
}
