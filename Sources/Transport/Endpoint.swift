/// Where a socket binds or connects: `tcp://host:port`, `ipc://path`, `inproc://name`.
///
/// An `@` in front binds and a `>` connects, as in czmq; without either, the use decides.
package struct Endpoint: Hashable, Sendable {
    package enum Mode: Hashable, Sendable { case bind, connect }
    package enum Transport: String, Hashable, Sendable, CaseIterable { case tcp, ipc, inproc }

    package let mode: Mode
    package let transport: Transport
    /// As libzmq takes it, such as `tcp://127.0.0.1:5555`.
    package let address: String

    /// Reads `text`, which binds or connects as `mode` says unless it says so itself.
    package init(_ text: String, default mode: Mode) throws(TransportError) {
        var rest = Substring(text)
        switch rest.first {
        case "@": (self.mode, rest) = (.bind, rest.dropFirst())
        case ">": (self.mode, rest) = (.connect, rest.dropFirst())
        default: self.mode = mode
        }
        func invalid(_ reason: String) -> TransportError { .invalidEndpoint(text, reason: reason) }

        guard let separator = rest.firstRange(of: "://") else { throw invalid("it has no scheme") }
        guard let transport = Transport(rawValue: String(rest[..<separator.lowerBound])) else {
            throw invalid("the scheme is not tcp, ipc or inproc")
        }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else { throw invalid("it has a space or control character") }
        self.transport = transport
        address = String(rest)
        if let reason = Self.problem(rest[separator.upperBound...], transport, self.mode) { throw invalid(reason) }
    }

    /// What libzmq would refuse, or would take and never reach.
    private static func problem(_ name: Substring, _ transport: Transport, _ mode: Mode) -> String? {
        guard !name.isEmpty else { return "it has no address" }
        switch transport {
        case .inproc:
            return name.utf8.count <= 255 ? nil : "the name is longer than 255 bytes"
        case .ipc:
            // sockaddr_un holds 108 bytes with the final zero.
            return name.utf8.count <= 107 ? nil : "the path is longer than 107 bytes"
        case .tcp:
            guard let colon = name.lastIndex(of: ":"), colon > name.startIndex else { return "it has no host and port" }
            let port = name[name.index(after: colon)...]
            if mode == .bind, port == "*" { return nil }
            guard let number = UInt16(port), port.first != "+" else { return "the port is not a number from 0 to 65535" }
            if mode == .connect, number == 0 { return "port 0 can't be connected to" }
            if mode == .connect, name[..<colon] == "*" { return "* can be bound but not connected to" }
            return nil
        }
    }
}

extension Endpoint {
    /// Whether only this machine can reach it, so that nothing of it travels a network.
    package var isLocal: Bool {
        guard transport == .tcp else { return true }
        let host = address.dropFirst("tcp://".count).prefix { $0 != "]" }
        return host.hasPrefix("127.") || host.hasPrefix("localhost:") || host == "[::1"
    }
}

extension Endpoint: CustomStringConvertible {
    package var description: String { (mode == .bind ? "@" : ">") + address }
}
