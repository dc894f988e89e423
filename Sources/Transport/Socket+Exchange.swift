internal import CZeroMQ
internal import Glibc

extension Socket {
    /// Waits up to `timeout` for a message; nil if none came. nil as a timeout waits for ever, zero not at all.
    ///
    /// Throws: `tooManyFrames` and `frameTooLarge` for a message that was dropped for its size, after which the socket goes on;
    /// `shutDown` if the context was.
    package func receive(timeout: Duration?) throws(TransportError) -> [Frame]? {
        checkOwner()
        let clock = PollClock(timeout)
        while true {
            if let frames = try receiveNow() { return frames }
            guard !clock.isOver else { return nil }
            try wait(for: ZMQ_POLLIN, clock)
        }
    }

    /// Sends `frames` as one message, waiting up to `timeout` for room. nil waits for ever, zero not at all.
    ///
    /// Throws: `timedOut` if no peer is there or all are full, and then nothing was sent; `unreachable` from a router; `shutDown`.
    package func send(_ frames: [Frame], timeout: Duration?) throws(TransportError) {
        checkOwner()
        let clock = PollClock(timeout)
        for (index, frame) in frames.enumerated() {
            let flags = ZMQ_DONTWAIT | (index < frames.count - 1 ? ZMQ_SNDMORE : 0)
            while true {
                let code = sendNow(frame, flags)
                if code == 0 { break }
                guard code == EAGAIN || code == EINTR else { throw failure("send", code) }
                // Once the first frame is in, libzmq takes the others; a message is never left half-sent by a timeout.
                guard index > 0 || !clock.isOver else { throw .timedOut(endpoint: endpoint) }
                try wait(for: ZMQ_POLLOUT, index > 0 ? PollClock(nil) : clock)
            }
        }
    }

    /// One message, or nil if none is there.
    private func receiveNow() throws(TransportError) -> [Frame]? {
        var frames: [Frame] = []
        var count = 0
        var largest = 0
        while true {
            let message = UnsafeMutablePointer<zmq_msg_t>.allocate(capacity: 1)
            zmq_msg_init(message)
            guard zmq_msg_recv(message, handle, ZMQ_DONTWAIT) >= 0 else {
                let code = zmq_errno()
                zmq_msg_close(message)
                message.deallocate()
                if code == EINTR { continue }
                // libzmq delivers whole messages, so that inside of one there is always a next frame.
                if code == EAGAIN, count == 0 { return nil }
                throw failure("receive", code)
            }
            let hasMore = zmq_msg_more(message) != 0
            let frame = Frame(adopting: message)
            count &+= 1
            largest = max(largest, frame.count)
            // What is over the limits is read to its end without being kept.
            if count <= options.maxFrames, largest <= options.maxFrameBytes { frames.append(frame) } else { frames = [] }
            guard !hasMore else { continue }
            guard count <= options.maxFrames else { throw .tooManyFrames(endpoint: endpoint, count: count, limit: options.maxFrames) }
            guard largest <= options.maxFrameBytes else {
                throw .frameTooLarge(endpoint: endpoint, bytes: largest, limit: options.maxFrameBytes)
            }
            return frames
        }
    }

    /// 0, or the errno.
    private func sendNow(_ frame: Frame, _ flags: Int32) -> Int32 {
        frame.withReference { reference in
            guard zmq_msg_send(reference, handle, flags) < 0 else { return 0 }
            let code = zmq_errno()
            zmq_msg_close(reference)
            return code
        }
    }

    private func wait(for events: Int32, _ clock: PollClock) throws(TransportError) {
        var items = [zmq_pollitem_t(socket: handle, fd: 0, events: Int16(events), revents: 0)]
        if zmq_poll(&items, 1, clock.remaining) < 0, zmq_errno() != EINTR { throw failure("wait", zmq_errno()) }
    }

    func failure(_ what: String, _ code: Int32) -> TransportError {
        switch code {
        case ETERM: .shutDown
        case EHOSTUNREACH: .unreachable(endpoint: endpoint)
        default: .exchange(what, endpoint: endpoint, errno: code)
        }
    }
}

/// How much of a timeout is left, in the form that zmq_poll takes.
struct PollClock {
    private let end: ContinuousClock.Instant?

    init(_ timeout: Duration?) { end = timeout.map { .now + min($0, .seconds(31_536_000)) } }

    var isOver: Bool { end.map { $0 <= .now } ?? false }

    /// Milliseconds; -1 for ever.
    var remaining: Int { end.map { Int(ContinuousClock.now.duration(to: $0).zmqMilliseconds) } ?? -1 }
}
