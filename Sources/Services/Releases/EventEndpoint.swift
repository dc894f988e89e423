internal import Foundation
package import Transport

/// Where a follower hears of releases, of what its dispatcher says that it publishes at.
package enum EventEndpoint {
    /// The best of `offered` that can be reached by who reaches the dispatcher at `dispatcher`; nil if there is none.
    ///
    /// A wildcard address stands for the dispatcher's own host. Nothing in clear leaves this machine that did not before.
    package static func choose(_ offered: [String], dispatcher: Endpoint, isEncrypted: Bool) -> Endpoint? {
        let reachable = offered.compactMap { reached($0, from: dispatcher) }.filter { $0.isLocal || !dispatcher.isLocal || isEncrypted }
        return reachable.first { $0.transport == dispatcher.transport } ?? reachable.first
    }

    private static func reached(_ offered: String, from dispatcher: Endpoint) -> Endpoint? {
        guard let bound = try? Endpoint(offered, default: .bind) else { return nil }
        switch bound.transport {
        case .inproc: return dispatcher.transport == .inproc ? try? Endpoint(bound.address, default: .connect) : nil
        case .ipc:
            let path = String(bound.address.dropFirst("ipc://".count))
            return dispatcher.isLocal && FileManager.default.fileExists(atPath: path)
                ? try? Endpoint(bound.address, default: .connect) : nil
        case .tcp:
            guard let (host, port) = parts(bound.address) else { return nil }
            var target = host
            if ["*", "0.0.0.0", "[::]"].contains(host) {
                target = dispatcher.transport == .tcp ? parts(dispatcher.address)?.host ?? host : "127.0.0.1"
            }
            guard let endpoint = try? Endpoint("tcp://\(target):\(port)", default: .connect) else { return nil }
            // A loopback address of another machine is not this one's.
            return endpoint.isLocal && !dispatcher.isLocal ? nil : endpoint
        }
    }

    private static func parts(_ address: String) -> (host: String, port: String)? {
        let name = address.dropFirst("tcp://".count)
        guard let colon = name.lastIndex(of: ":") else { return nil }
        return (String(name[..<colon]), String(name[name.index(after: colon)...]))
    }
}
