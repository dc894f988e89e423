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

    private let host: String
    private let port: UInt16
    private let source: Source
    private let logger: Logger

    /// - Parameter address: `PORT`, for loopback, or `HOST:PORT` with an IPv4 address.
    package init(address: String, source: Source, logger: Logger) throws {
        let parts = address.split(separator: ":", maxSplits: 1).map(String.init)
        guard let number = parts.last, let port = UInt16(number), parts.count == 1 || !parts[0].isEmpty else {
            throw InvalidAddress(description: "\"\(address)\" is not PORT or HOST:PORT")
        }
        host = parts.count == 2 ? parts[0] : "127.0.0.1"
        self.port = port
        self.source = source
        self.logger = logger
    }

    /// An address that can't be listened on.
    package struct InvalidAddress: Error, CustomStringConvertible {
        package let description: String
    }

    package func run() async throws {
        let server = HTTPServer(address: try sockaddr_in.inet(ip4: host, port: port), timeout: 10, logger: .disabled)
        await server.appendRoute("GET /metrics") { [source] _ in
            Self.response(.ok, await source.metrics(), "text/plain; version=0.0.4; charset=utf-8")
        }
        await server.appendRoute("GET /livez") { _ in Self.response(.ok, "ok\n", "text/plain") }
        await server.appendRoute("GET /readyz") { [source] _ in
            if let reason = await source.obstacle() { return Self.response(.serviceUnavailable, reason + "\n", "text/plain") }
            return Self.response(.ok, "ok\n", "text/plain")
        }
        await server.appendRoute("GET /stats") { [source] _ in Self.response(.ok, try await source.stats() + "\n", "application/json") }
        logger.info("watch port", metadata: ["http": "\(host):\(port)"])
        try await withGracefulShutdownHandler {
            do {
                try await server.run()
            } catch  where Task.isShuttingDownGracefully || Task.isCancelled {
                // Closing its socket is how it is stopped.
            }
        } onGracefulShutdown: {
            Task { await server.stop(timeout: 1) }
        }
    }

    private static func response(_ code: HTTPStatusCode, _ text: String, _ type: String) -> HTTPResponse {
        HTTPResponse(statusCode: code, headers: [.contentType: type], body: Data(text.utf8))
    }
}
