internal import CZeroMQ
internal import Dispatch
internal import Glibc
internal import Synchronization

/// The thread that owns one socket. Others reach it through queues and `wake`; the thread waits for the socket and for them at once.
package final class SocketThread: Sendable {
    /// What to wait for besides being woken.
    package enum Interest: Sendable { case nothing, reading, writing }

    private let wakeup: Int32
    private let started = Handover<Result<String, TransportError>>()
    private let end = End()

    /// Starts a thread that makes its socket with `open`, attaches it to `endpoints`, and then does `run` until that returns.
    ///
    /// Returns when the socket is attached. Throws: what `open` or `attach` threw; `setup` if there is no thread to be had.
    package init(
        name: String, endpoints: [Endpoint], open: @escaping @Sendable () throws(TransportError) -> Socket,
        run: @escaping @Sendable (SocketThread, Socket) -> Void
    ) throws(TransportError) {
        wakeup = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard wakeup >= 0 else { throw .setup("an eventfd", errno: errno) }
        try Self.spawn(name: name) { [self] in
            do throws(TransportError) {
                let socket = try open()
                for endpoint in endpoints { try socket.attach(endpoint) }
                started.set(.success(socket.endpoint))
                run(self, socket)
            } catch {
                started.set(.failure(error))
            }
            end.reach()
        }
        _ = try started.wait().get()
    }

    deinit { close(wakeup) }

    /// The address others can use to reach the socket: its latest endpoint, with its real port.
    package var endpoint: String { (try? started.get()?.get()) ?? "" }

    /// Ends the thread's current or next `wait`. May be called from any thread.
    package func wake() { eventfd_write(wakeup, 1) }

    /// Waits until the socket is ready, somebody calls `wake`, or `timeout` is over. Only for the thread itself.
    package func wait(for interest: Interest, of socket: Socket, timeout: Duration? = nil) throws(TransportError) {
        socket.checkOwner()
        let clock = PollClock(timeout)
        let events: Int32 =
            switch interest {
            case .nothing: 0
            case .reading: ZMQ_POLLIN
            case .writing: ZMQ_POLLOUT
            }
        var items = [
            zmq_pollitem_t(socket: nil, fd: wakeup, events: Int16(ZMQ_POLLIN), revents: 0),
            zmq_pollitem_t(socket: socket.handle, fd: 0, events: Int16(events), revents: 0),
        ]
        // A socket of which nothing is wanted doesn't end the wait, so that only the next one would tell of the context's shutdown.
        let longest = interest == .nothing ? 500 : -1
        let remaining = clock.remaining
        let time = remaining < 0 || longest < 0 ? max(remaining, longest) : min(remaining, longest)
        guard zmq_poll(&items, 2, time) >= 0 else {
            if zmq_errno() == EINTR { return }
            throw socket.failure("wait", zmq_errno())
        }
        var woken: eventfd_t = 0
        eventfd_read(wakeup, &woken)
    }

    /// Blocks until the thread has ended and its socket is closed.
    package func join() { end.wait() }

    /// Suspends until the thread has ended and its socket is closed.
    package func finished() async {
        await withCheckedContinuation { continuation in
            end.whenReached { continuation.resume() }
        }
    }

    private static func spawn(name: String, _ body: @escaping @Sendable () -> Void) throws(TransportError) {
        let box = Unmanaged.passRetained(ThreadBody(name: name, body: body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let thread = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
                p4q_name_thread(thread.name)
                thread.body()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw .setup("a thread", errno: code)
        }
        pthread_detach(thread)
    }
}

/// What a new thread is given.
private final class ThreadBody: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

/// Something that happens once and can be waited for by any number.
private final class End: Sendable {
    private let state = Mutex<(isReached: Bool, waiters: [@Sendable () -> Void])>((false, []))

    func reach() {
        let waiters = state.withLock { state in
            defer { state = (true, []) }
            return state.waiters
        }
        for waiter in waiters { waiter() }
    }

    func whenReached(_ waiter: @escaping @Sendable () -> Void) {
        let isReached = state.withLock { state in
            if !state.isReached { state.waiters.append(waiter) }
            return state.isReached
        }
        if isReached { waiter() }
    }

    func wait() {
        let semaphore = DispatchSemaphore(value: 0)
        whenReached { semaphore.signal() }
        semaphore.wait()
    }
}
