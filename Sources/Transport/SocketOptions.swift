/// What is set on every socket on purpose, each with the reason for its number.
package struct SocketOptions: Hashable, Sendable {
    /// How long closing keeps trying to deliver what was sent. 2 s: longer than a local peer needs, and a stop never hangs.
    package var linger: Duration = .seconds(2)
    /// Messages that wait for each peer. 16: with libzmq's own 1000, images of a megabyte would be gigabytes.
    package var sendHighWater = 16
    /// Messages that arrived from each peer and were not read yet.
    package var receiveHighWater = 16
    /// Bytes of one frame; a peer that sends a larger one is disconnected. The largest image (32 MB) and 64 KB.
    package var maxFrameBytes = (32 << 20) + (64 << 10)
    /// Frames of one message: an envelope, 256 payloads, and room for routing and Majordomo's headers.
    package var maxFrames = 264
    /// Only queue for peers that are really there: a message for one that never comes would be lost unseen.
    package var immediate = true
    /// A peer that doesn't finish its handshake in this time is dropped, so half-open connections can't pile up.
    package var handshake: Duration = .seconds(5)
    /// ZMTP heartbeats, which find a peer whose machine or network is gone. nil where a peer may be slow on purpose: libzmq stops reading a
    /// connection whose high-water mark is reached, so it sees no answer to its pings either, gives the peer up, and loses what lay in between.
    package var heartbeat: Heartbeat? = Heartbeat()
    /// First and longest wait before connecting again; doubled in between, so that a fleet doesn't storm a restarted peer.
    package var reconnect: Duration = .milliseconds(100)
    package var longestReconnect: Duration = .seconds(5)
    /// The prefix a SUB socket listens to; empty for all.
    package var subscription: [UInt8] = []

    /// Who may talk, and whether it is encrypted.
    package var security = Security.open

    package init() {}

    /// What a socket asks of its peers.
    package enum Security: Hashable, Sendable {
        /// Everybody, in clear.
        case open
        /// CURVE; the `Authenticator` of this context decides who may connect, and without one nobody may.
        case server(secretKey: CurveKey, domain: String)
        /// CURVE, and only towards the holder of `server`.
        case client(server: CurveKey, keys: CurveKeyPair)
    }

    /// For PUSH and PULL, where backpressure is the only flow control: no ZMTP heartbeats; TCP's keepalive finds dead hosts.
    package static var sideDoor: SocketOptions {
        var options = SocketOptions()
        options.heartbeat = nil
        return options
    }

    /// ZMTP heartbeats: a ping each second, a peer is gone after three silent ones, and is told to think the same of us after four.
    package struct Heartbeat: Hashable, Sendable {
        package var interval: Duration = .seconds(1)
        package var timeout: Duration = .seconds(3)
        package var timeToLive: Duration = .seconds(4)

        package init() {}
    }
}

extension Duration {
    /// Whole milliseconds for libzmq, rounded up so that a wait is never shorter than asked; 0 for a negative duration.
    var zmqMilliseconds: Int32 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        let part = (attoseconds &+ 999_999_999_999_999) / 1_000_000_000_000_000
        return overflow ? .max : Int32(clamping: whole.addingReportingOverflow(part).partialValue)
    }
}
