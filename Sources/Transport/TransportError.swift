internal import CZeroMQ
internal import Glibc

/// What went wrong with a socket.
package enum TransportError: Error, Hashable, Sendable {
    /// An endpoint that can't be understood.
    case invalidEndpoint(String, reason: String)
    /// `bind` or `connect` on an endpoint was refused with this errno.
    case attach(Endpoint, errno: Int32)
    /// A context, socket or option could not be made or set.
    case setup(String, errno: Int32)
    /// A send or receive failed with this errno.
    case exchange(String, endpoint: String, errno: Int32)
    /// Nothing could be sent within the time that was given: no peer is there, or the peers are full.
    case timedOut(endpoint: String)
    /// A router was asked to send to a peer that is gone.
    case unreachable(endpoint: String)
    /// A message with more frames than the limit arrived; it was read to its end and dropped.
    case tooManyFrames(endpoint: String, count: Int, limit: Int)
    /// A message with a frame above the limit arrived and was dropped; only inproc lets one through to here.
    case frameTooLarge(endpoint: String, bytes: Int, limit: Int)
    /// The context was shut down.
    case shutDown
    /// The sender or receiver has been closed.
    case closed(endpoint: String)

    /// Stable and for programs.
    package var code: String {
        switch self {
        case .invalidEndpoint: "transport.invalid_endpoint"
        case .attach(_, EADDRINUSE): "transport.address_in_use"
        case .attach(_, EACCES), .attach(_, EPERM): "transport.permission"
        case .attach: "transport.attach"
        case .setup(_, EMFILE): "transport.too_many_sockets"
        case .setup: "transport.setup"
        case .exchange: "transport.exchange"
        case .timedOut: "transport.timed_out"
        case .unreachable: "transport.unreachable"
        case .tooManyFrames: "transport.too_many_frames"
        case .frameTooLarge: "transport.frame_too_large"
        case .shutDown: "transport.shut_down"
        case .closed: "transport.closed"
        }
    }

    /// True if the same call may succeed later.
    package var isRetryable: Bool {
        switch self {
        case .timedOut, .unreachable, .attach(_, EADDRINUSE), .setup(_, EMFILE): true
        default: false
        }
    }
}

extension TransportError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .invalidEndpoint(let text, let reason):
            "\"\(text)\" is not an endpoint: \(reason). Examples: tcp://127.0.0.1:5555, @tcp://*:5555 (bind), >ipc:///run/p4q.sock (connect)"
        case .attach(let endpoint, let code):
            "can't \(endpoint.mode == .bind ? "bind" : "connect to") \(endpoint.address): \(Self.text(code)). \(Self.advice(endpoint, code))"
        case .setup(let what, let code):
            "can't set up \(what): \(Self.text(code))" + (code == EMFILE ? ". Raise the limit of open files (ulimit -n)" : "")
        case .exchange(let what, let endpoint, let code):
            "can't \(what) on \(endpoint): \(Self.text(code))"
        case .timedOut(let endpoint):
            "nobody took a message from \(endpoint) in time: check that the other side runs and keeps up"
        case .unreachable(let endpoint):
            "the peer of \(endpoint) that the message is for is gone"
        case .tooManyFrames(let endpoint, let count, let limit):
            "a message on \(endpoint) had \(count) frames and was dropped, the limit is \(limit)"
        case .frameTooLarge(let endpoint, let bytes, let limit):
            "a message on \(endpoint) had a frame of \(bytes) bytes and was dropped, the limit is \(limit)"
        case .shutDown:
            "the ZeroMQ context was shut down"
        case .closed(let endpoint):
            "\(endpoint) has been closed"
        }
    }

    private static func text(_ code: Int32) -> String { zmq_strerror(code).map { String(cString: $0) } ?? "error \(code)" }

    private static func advice(_ endpoint: Endpoint, _ code: Int32) -> String {
        switch code {
        case EADDRINUSE: "Another process serves it: stop that one, or choose another endpoint"
        case EACCES, EPERM: "Choose a port above 1023 or a folder this user may write to"
        case EADDRNOTAVAIL, ENODEV: "Use an address or interface of this machine, or * for all"
        case ENOENT: "Make the folder first"
        case ECONNREFUSED where endpoint.transport == .inproc: "Nothing in this process has bound it"
        default: "Check the address"
        }
    }
}
