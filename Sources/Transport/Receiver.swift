internal import Synchronization

/// A message as it arrived.
package struct Incoming: Sendable {
    package let frames: [Frame]
    /// When it was read from the socket.
    package let received: ContinuousClock.Instant

    package init(frames: [Frame], received: ContinuousClock.Instant) {
        self.frames = frames
        self.received = received
    }

    /// The bytes of all frames.
    package var byteCount: Int { frames.reduce(0) { $0 &+ $1.count } }
}

/// Receives on a thread of its own into a bounded queue. When that is full it stops receiving, and the senders feel it.
package final class Receiver: Sendable {
    /// How much waits between the socket and the work.
    package struct Limits: Sendable {
        /// 64 messages: two batches of 32 single images.
        package var messages = 64
        /// 256 MB, reached first when the messages are large batches; one message may exceed it.
        package var bytes = 256 << 20

        package init(messages: Int = 64, bytes: Int = 256 << 20) {
            self.messages = messages
            self.bytes = bytes
        }
    }

    /// What arrived, in order; it ends after `stop` when everything was taken, or when the context is shut down.
    package let queue: BoundedQueue<Incoming>
    private let thread: SocketThread
    private let control: Control

    /// Binds or connects, and begins. `onRefused` is told of messages that were dropped for their size, and of the error that ended it.
    package init(
        _ kind: Socket.Kind = .pull, at endpoints: [Endpoint], in context: ZeroMQContext, options: SocketOptions = .sideDoor,
        limits: Limits = Limits(), onRefused: @escaping @Sendable (TransportError) -> Void = { _ in }
    ) throws(TransportError) {
        let control = Control()
        let queue = BoundedQueue<Incoming>(limit: limits.messages, costLimit: limits.bytes, cost: { $0.byteCount }, onRoom: control.wake)
        let loop = Loop(queue: queue, control: control, onRefused: onRefused)
        thread = try SocketThread(
            name: "p4q-receive", endpoints: endpoints,
            open: { () throws(TransportError) in try Socket(kind, in: context, options: options) }, run: loop.run)
        self.queue = queue
        self.control = control
    }

    deinit { control.stop(draining: .zero) }

    /// The address it can be reached at, with its real port.
    package var endpoint: String { thread.endpoint }

    /// The next message, or nil at the end or if the task was cancelled.
    package func next() async -> Incoming? { await queue.take() }

    /// Takes no more messages, apart from those that have already reached this process: these are read for up to `limit`, and as long
    /// as somebody takes them from the queue. Returns at once; `finished` and the end of the queue tell when it is done.
    package func stop(draining limit: Duration = .seconds(1)) { control.stop(draining: limit) }

    /// Suspends until the thread has ended and its socket is closed.
    package func finished() async { await thread.finished() }

    /// Blocks until the thread has ended and its socket is closed.
    package func join() { thread.join() }
}

extension Receiver {
    /// What others tell the thread.
    private final class Control: Sendable {
        private let state = Mutex<(thread: SocketThread?, end: ContinuousClock.Instant?)>((nil, nil))

        func bind(_ thread: SocketThread) { state.withLock { $0.thread = thread } }
        func wake() { state.withLock { $0.thread }?.wake() }
        func release() { state.withLock { $0.thread = nil } }

        /// The moment at which draining ends; nil as long as nobody said stop.
        var end: ContinuousClock.Instant? { state.withLock { $0.end } }

        func stop(draining limit: Duration) {
            state.withLock { $0.end = $0.end ?? ContinuousClock.now + min(max(limit, .zero), .seconds(3600)) }
            wake()
        }
    }

    /// What the thread does.
    private struct Loop: Sendable {
        let queue: BoundedQueue<Incoming>
        let control: Control
        let onRefused: @Sendable (TransportError) -> Void

        func run(_ thread: SocketThread, _ socket: Socket) {
            control.bind(thread)
            do throws(TransportError) {
                while control.end == nil {
                    if queue.hasRoom, try receive(from: socket) { continue }
                    try thread.wait(for: queue.hasRoom ? .reading : .nothing, of: socket)
                }
                try drain(thread, socket)
            } catch {
                if error != .shutDown { onRefused(error) }
            }
            control.release()
            queue.close()
        }

        /// Stops listening, and takes what has been received already.
        private func drain(_ thread: SocketThread, _ socket: Socket) throws(TransportError) {
            socket.stopListening()
            while let end = control.end, end > .now {
                if queue.hasRoom {
                    guard try receive(from: socket) else { return }
                } else {
                    try thread.wait(for: .nothing, of: socket, timeout: ContinuousClock.now.duration(to: end))
                }
            }
        }

        /// One message, if there is one. The queue has room: nobody else puts into it.
        private func receive(from socket: Socket) throws(TransportError) -> Bool {
            do throws(TransportError) {
                guard let frames = try socket.receive(timeout: .zero) else { return false }
                return queue.tryPut(Incoming(frames: frames, received: .now))
            } catch {
                switch error {
                case .tooManyFrames, .frameTooLarge:
                    onRefused(error)
                    return true
                default: throw error
                }
            }
        }
    }
}
