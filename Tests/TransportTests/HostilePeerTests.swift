import Foundation
import Testing
import Transport

/// Peers that speak ZMTP badly: the good one beside them must not notice.
@Suite struct HostilePeerTests {
    /// A TCP connection without libzmq.
    final class RawConnection {
        private let descriptor: Int32

        init(to endpoint: String) throws {
            let port = try #require(endpoint.split(separator: ":").last.flatMap { UInt16($0) })
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let status = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            #expect(status == 0)
        }

        deinit { close(descriptor) }

        func send(_ bytes: [UInt8]) { _ = Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
    }

    private static let greeting: [UInt8] =
        [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 0] + Array("NULL".utf8) + [UInt8](repeating: 0, count: 48)
    private static let ready: [UInt8] = {
        let body = [5] + Array("READY".utf8) + [11] + Array("Socket-Type".utf8) + [0, 0, 0, 4] + Array("PUSH".utf8)
        return [4, UInt8(body.count)] + body
    }()

    private static func long(_ length: UInt64, flags: UInt8 = 2) -> [UInt8] {
        [flags] + (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) }
    }

    /// Whether the message comes. Bytes that are no greeting are read by libzmq as version 1.0 of its protocol, which has none, so garbage may
    /// come as messages of its own; the reader of envelopes refuses those.
    private func isReceived(_ frames: [[UInt8]], _ receiver: Receiver) async -> Bool {
        while let message = await receiver.queue.take(timeout: .seconds(10)) {
            if message.frames.map(\.bytes) == frames { return true }
        }
        return false
    }

    @Test func `declared gigabytes, endless greetings and garbage leave the good peer alone`() async throws {
        var options = SocketOptions()
        options.maxFrameBytes = 1 << 20
        let context = try ZeroMQContext()
        let receiver = try Receiver(at: [Place.fresh(.tcp)], in: context, options: options)
        let sender = try Sender(at: [try Endpoint(receiver.endpoint, default: .connect)], in: context)
        let garbage = (0..<2000).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) }
        let attacks: [[UInt8]] = [
            Self.greeting + Self.ready + Self.long(1 << 31), Self.greeting + Self.ready + Self.long(1 << 63),
            Self.greeting + Self.ready + Self.long(.max), Self.greeting + Self.ready + Self.long((1 << 20) + 1),
            Self.greeting + Self.ready + Self.long(10, flags: 0xFF), Self.greeting + Self.long(1 << 40, flags: 6),
            Self.greeting + garbage, garbage, [], [0xFF], Array(Self.greeting.dropLast()), Self.ready,
            Self.greeting + Self.ready + Self.long(100) + [1, 2, 3],
        ]
        var connections: [RawConnection] = []
        for (index, attack) in attacks.enumerated() {
            let connection = try RawConnection(to: receiver.endpoint)
            connection.send(attack)
            connections.append(connection)
            try await sender.send([try Frame([UInt8(index)])])
            #expect(await isReceived([[UInt8(index)]], receiver), "after attack \(index)")
        }
        withExtendedLifetime(connections) {}
    }
}
