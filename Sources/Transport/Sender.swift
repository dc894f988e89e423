internal import Synchronization

/// Sends from a bounded queue on a thread of its own. When no peer is there, or all are full, the queue fills and those who send wait.
package final class Sender: Sendable {
    private let queue: BoundedQueue<[Frame]>
    private let thread: SocketThread
    private let control: Control

    /// Binds or connects, and begins. At most `limit` messages wait outside of libzmq; `onFailure` is told what ended it before `close`.
    package init(
        _ kind: Socket.Kind = .push, at endpoints: [Endpoint], in context: ZeroMQContext, options: SocketOptions = .sideDoor,
        limit: Int = 64, onFailure: @escaping @Sendable (TransportError) -> Void = { _ in }
    ) throws(TransportError) {
        let control = Control()
        let queue = BoundedQueue<[Frame]>(limit: limit, onElement: control.wake)
        let loop = Loop(queue: queue, control: control, onFailure: onFailure)
        thread = try SocketThread(
            name: "p4q-send", endpoints: endpoints,
            open: { () throws(TransportError) in try Socket(kind, in: context, options: options) }, run: loop.run)
        self.queue = queue
        self.control = control
    }

    deinit { control.close(flushing: .zero, queue) }

    /// The address it can be reached at, with its real port.
    package var endpoint: String { thread.endpoint }

    /// Messages that libzmq has not taken yet, but for the one that is being sent.
    package var waiting: Int { queue.count }

    /// Puts a message into the queue, suspended until there is room.
    ///
    /// Throws: `closed` if it was closed meanwhile, or the task cancelled; the message was not taken then.
    package func send(_ frames: [Frame]) async throws(TransportError) {
        guard await queue.put(frames) else { throw .closed(endpoint: endpoint) }
    }

    /// Puts a message into the queue, blocking the thread until there is room.
    ///
    /// Throws: `timedOut` or `closed`; the message was not taken then.
    package func send(_ frames: [Frame], timeout: Duration?) throws(TransportError) {
        guard !queue.waitPut(frames, timeout: timeout) else { return }
        throw control.isClosed ? .closed(endpoint: endpoint) : .timedOut(endpoint: endpoint)
    }

    /// Takes no more messages, sends what is left for up to `limit`, and closes the socket.
    ///
    /// Returns the messages that libzmq did not take. What it took travels on until the socket's linger time is over; letting go of the
    /// context waits for that.
    package func close(flushing limit: Duration) async -> [[Frame]] {
        control.close(flushing: limit, queue)
        await thread.finished()
        return control.unsent
    }

    /// The same, blocking the thread.
    package func closeAndWait(flushing limit: Duration) -> [[Frame]] {
        control.close(flushing: limit, queue)
        thread.join()
        return control.unsent
    }
}

extension Sender {
    /// What others tell the thread, and what it leaves them.
    private final class Control: Sendable {
        private struct State {
            var thread: SocketThread?
            var end: ContinuousClock.Instant?
            var hasFailed = false
            var unsent: [[Frame]] = []
        }

        private let state = Mutex(State())

        func bind(_ thread: SocketThread) { state.withLock { $0.thread = thread } }
        func wake() { state.withLock { $0.thread }?.wake() }

        /// The moment at which flushing ends; nil as long as nobody said close.
        var end: ContinuousClock.Instant? { state.withLock { $0.end } }
        var isClosed: Bool { state.withLock { $0.end != nil || $0.hasFailed } }
        var unsent: [[Frame]] { state.withLock { $0.unsent } }

        func close(flushing limit: Duration, _ queue: BoundedQueue<[Frame]>) {
            state.withLock { $0.end = $0.end ?? ContinuousClock.now + min(max(limit, .zero), .seconds(3600)) }
            queue.close()
            wake()
        }

        func finish(unsent: [[Frame]], hasFailed: Bool) {
            state.withLock { state in
                state.thread = nil
                state.unsent = unsent
                state.hasFailed = hasFailed
            }
        }
    }

    /// What the thread does.
    private struct Loop: Sendable {
        let queue: BoundedQueue<[Frame]>
        let control: Control
        let onFailure: @Sendable (TransportError) -> Void

        func run(_ thread: SocketThread, _ socket: Socket) {
            control.bind(thread)
            var current: [Frame]?
            var hasFailed = false
            do throws(TransportError) {
                while !isOver {
                    current = current ?? queue.tryTake()
                    if let message = current {
                        if try send(message, socket) { current = nil } else { try wait(for: .writing, thread, socket) }
                    } else {
                        if queue.isFinished { break }
                        try wait(for: .nothing, thread, socket)
                    }
                }
            } catch {
                hasFailed = true
                if error != .shutDown { onFailure(error) }
            }
            queue.close()
            var unsent = current.map { [$0] } ?? []
            while let message = queue.tryTake() { unsent.append(message) }
            control.finish(unsent: unsent, hasFailed: hasFailed)
        }

        private var isOver: Bool { control.end.map { $0 <= .now } ?? false }

        /// False if no peer has room.
        private func send(_ message: [Frame], _ socket: Socket) throws(TransportError) -> Bool {
            do throws(TransportError) {
                try socket.send(message, timeout: .zero)
                return true
            } catch {
                if case .timedOut = error { return false }
                throw error
            }
        }

        private func wait(for interest: SocketThread.Interest, _ thread: SocketThread, _ socket: Socket) throws(TransportError) {
            try thread.wait(for: interest, of: socket, timeout: control.end.map { ContinuousClock.now.duration(to: $0) })
        }
    }
}
