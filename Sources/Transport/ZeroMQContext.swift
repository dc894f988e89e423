internal import CZeroMQ
internal import Glibc
internal import Synchronization

/// libzmq's context: its I/O threads and its inproc names. Sockets retain it, so it outlives them all.
///
/// Letting go of the last reference waits until every closed socket has delivered what it holds or its linger time is over.
package final class ZeroMQContext: Sendable {
    // Safe: a libzmq context may be used from any thread. It is set once, and destroyed once, by `terminate`.
    nonisolated(unsafe) let handle: UnsafeMutableRawPointer
    private let isTerminated = Atomic<Bool>(false)

    /// One I/O thread moves about a gigabyte a second, more than a worker of any size decodes. 1023 sockets is libzmq's own bound.
    package init(ioThreads: Int = 1, maxSockets: Int = 1023) throws(TransportError) {
        guard let handle = zmq_ctx_new() else { throw .setup("the ZeroMQ context", errno: zmq_errno()) }
        self.handle = handle
        for (option, value) in [(ZMQ_IO_THREADS, ioThreads), (ZMQ_MAX_SOCKETS, maxSockets)] {
            guard zmq_ctx_set(handle, option, Int32(clamping: value)) == 0 else {
                throw .setup("the ZeroMQ context's option \(option)", errno: zmq_errno())
            }
        }
    }

    /// Makes every call that waits on one of the context's sockets, now and later, fail with `shutDown`. Returns at once.
    package func shutDown() { zmq_ctx_shutdown(handle) }

    /// Blocks until every socket is closed and has delivered what it was given, or its linger time is over. A program calls it before it ends:
    /// what libzmq has taken but not yet sent is gone with the process.
    package func terminate() {
        if isTerminated.exchange(true, ordering: .acquiringAndReleasing) { return }
        while zmq_ctx_term(handle) != 0, zmq_errno() == EINTR {}
    }

    deinit { terminate() }
}
