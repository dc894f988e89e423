/// ZeroMQ's authentication protocol (RFC 27): libzmq asks, once for each new connection, who may come in.
enum ZAP {
    /// What libzmq asks.
    struct Request {
        let id: Frame
        let domain: String
        /// The peer's address, for messages.
        let address: String
        /// Nil for a mechanism without keys.
        let key: CurveKey?

        /// Nil if the frames are not a request of version 1.0.
        init?(_ frames: [Frame]) {
            guard frames.count >= 6, frames[0].bytes == Array("1.0".utf8) else { return nil }
            id = frames[1]
            domain = String(decoding: frames[2].bytes, as: UTF8.self)
            address = String(decoding: frames[3].bytes, as: UTF8.self)
            let isCurve = frames[5].bytes == Array("CURVE".utf8)
            key = isCurve && frames.count == 7 ? CurveKey(bytes: frames[6].bytes) : nil
        }
    }

    /// The answer: let in as `userID`, or not at all.
    static func reply(to request: Request, userID: String?) throws(TransportError) -> [Frame] {
        let parts = userID.map { ["200", "OK", $0] } ?? ["400", "refused", ""]
        var frames = [try Frame(Array("1.0".utf8)), request.id]
        for part in parts + [""] { frames.append(try Frame(Array(part.utf8))) }
        return frames
    }
}

/// Answers libzmq's questions about new connections of one context. Make it before the first socket binds, and keep it: with
/// ZAP_ENFORCE_DOMAIN set and nobody answering, every connection is refused.
package final class Authenticator: Sendable {
    /// The user id of the holder of a key, which all its messages carry; nil refuses it.
    package typealias Decision = @Sendable (CurveKey) -> String?

    private let thread: SocketThread

    /// - Parameters:
    ///   - onRefused: is told the address and key of everyone who was refused.
    ///   - onEnd: is told if the thread ended other than by the context's shutdown: nobody gets in any more, and the process should end.
    package init(
        in context: ZeroMQContext, domain: String, decide: @escaping Decision,
        onRefused: @escaping @Sendable (_ address: String, _ key: CurveKey?) -> Void,
        onEnd: @escaping @Sendable (TransportError) -> Void
    ) throws(TransportError) {
        var options = SocketOptions()
        options.linger = .zero
        options.heartbeat = nil
        let settings = options
        thread = try SocketThread(
            name: "p4q-zap", endpoints: [try Endpoint("@inproc://zeromq.zap.01", default: .bind)],
            open: { () throws(TransportError) in try Socket(.reply, in: context, options: settings) }
        ) { thread, socket in
            do throws(TransportError) {
                while true {
                    guard let frames = try socket.receive(timeout: .zero) else {
                        try thread.wait(for: .reading, of: socket)
                        continue
                    }
                    // libzmq itself asks; anything else would be a fault of this process, and REP must answer it too.
                    guard let request = ZAP.Request(frames) else {
                        try socket.send([try Frame([])], timeout: nil)
                        continue
                    }
                    let userID = request.domain == domain ? request.key.flatMap(decide) : nil
                    if userID == nil { onRefused(request.address, request.key) }
                    try socket.send(try ZAP.reply(to: request, userID: userID), timeout: nil)
                }
            } catch {
                if error != .shutDown { onEnd(error) }
            }
        }
    }
}
