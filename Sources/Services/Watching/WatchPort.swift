internal import FlyingFox
internal import FlyingSocks
internal import Foundation
package import Logging
internal import ServiceLifecycle

/// The one HTTP port of a process: `/metrics` (Prometheus text), `/livez`, `/readyz`, `/stats` (JSON).
package struct WatchPort: Service {
    /// What the port tells.
    package struct Source: Sendable {
        /// Prometheus' text format.
        package var metrics: @Sendable () async -> String
        /// Nil if the process is ready, or why it is not.
        package var obstacle: @Sendable () async -> String?
        /// A JSON text.
        package var stats: @Sendable () async throws -> String

        package init(
            metrics: @escaping @Sendable () async -> String, obstacle: @escaping @Sendable () async -> String?,
            stats: @escaping @Sendable () async throws -> String
        ) {
            self.metrics = metrics
            self.obstacle = obstacle
            self.stats = stats
        }
    }

    private let address: Address
    private let source: Source
    private let logger: Logger

    package init(address: Address, source: Source, logger: Logger) {
        (self.address, self.source, self.logger) = (address, source, logger)
    }

    /// An address that means nothing.
    package struct InvalidAddress: Error, CustomStringConvertible {
        package let description: String
    }

    /// An address that can't be listened on.
    package struct Unusable: Error, CustomStringConvertible {
        let address: String
        let reason: String
        package var description: String {
            "can't listen on \(address) (--http): \(reason). Stop what has the port, or choose another address"
        }

        init(_ address: Address, _ error: any Error) {
            self.address = address.text
            if case .failed(_, let code, _) = error as? SocketError {
                reason = String(cString: strerror(code))
            } else {
                reason = error.localizedDescription
            }
        }
    }

    /// Where to listen.
    package struct Address: Sendable {
        fileprivate let text: String
        fileprivate let socketAddress: sockaddr_in

        /// Tries to listen there for a moment, so that a port that is taken is said before anything is started. Throws `InvalidAddress` and
        /// `Unusable`.
        ///
        /// - Parameter text: `PORT`, for loopback, or `HOST:PORT` with a name or an IPv4 address.
        package init(_ text: String) throws {
            let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
            guard let number = parts.last, let port = UInt16(number), parts.count == 1 || !parts[0].isEmpty else {
                throw InvalidAddress(description: "--http \"\(text)\" is not PORT or HOST:PORT")
            }
            let host = parts.count == 2 ? parts[0] : "127.0.0.1"
            self.text = "\(host):\(port)"
            socketAddress = try Self.resolve(host, port)
            do {
                let socket = try Socket(domain: AF_INET)
                defer { try? socket.close() }
                try socket.setValue(true, for: .localAddressReuse)
                try socket.bind(to: socketAddress)
                try socket.listen()
            } catch {
                throw Unusable(self, error)
            }
        }

        private static func resolve(_ host: String, _ port: UInt16) throws -> sockaddr_in {
            var hints = addrinfo()
            hints.ai_family = AF_INET
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            var found: UnsafeMutablePointer<addrinfo>?
            let code = getaddrinfo(host, nil, &hints, &found)
            defer { if let found { freeaddrinfo(found) } }
            guard code == 0, let first = found?.pointee.ai_addr else {
                throw InvalidAddress(
                    description: "--http \(host):\(port): \(host) has no IPv4 address (\(String(cString: gai_strerror(code)))). "
                        + "Give an address of this machine, or PORT alone for this machine only")
            }
            var address = first.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee }
            address.sin_port = port.bigEndian
            return address
        }
    }

    package func run() async throws {
        let server = HTTPServer(address: address.socketAddress, timeout: 10, logger: .disabled)
        await server.appendRoute("GET /metrics") { [source] _ in
            Self.response(.ok, await source.metrics(), "text/plain; version=0.0.4; charset=utf-8")
        }
        await server.appendRoute("GET /livez") { _ in Self.response(.ok, "ok\n", "text/plain") }
        await server.appendRoute("GET /readyz") { [source] _ in
            if let reason = await source.obstacle() { return Self.response(.serviceUnavailable, reason + "\n", "text/plain") }
            return Self.response(.ok, "ok\n", "text/plain")
        }
        await server.appendRoute("GET /stats") { [source] _ in Self.response(.ok, try await source.stats() + "\n", "application/json") }
        logger.info("watch port", metadata: ["http": "\(address.text)"])
        try await withGracefulShutdownHandler {
            do {
                try await server.run()
            } catch  where Task.isShuttingDownGracefully || Task.isCancelled {
                // Closing its socket is how it is stopped.
            } catch {
                throw Unusable(address, error)
            }
        } onGracefulShutdown: {
            Task { await server.stop(timeout: 1) }
        }
    }

    private static func response(_ code: HTTPStatusCode, _ text: String, _ type: String) -> HTTPResponse {
        HTTPResponse(statusCode: code, headers: [.contentType: type], body: Data(text.utf8))
    }
}
