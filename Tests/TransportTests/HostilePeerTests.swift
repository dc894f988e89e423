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

        /// libzmq answers each step of the handshake before it takes the next.
        func send(_ steps: [[UInt8]]) async throws {
            for bytes in steps {
                _ = Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                try await Task.sleep(for: .milliseconds(50))
            }
        }
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

    /// True if `message` comes within some others: without CURVE, bytes that don't begin like ZMTP 3 are frames of ZMTP 1 to libzmq, so that
    /// garbage can arrive as messages, which the reader of the envelope then refuses.
    private static func arrives(_ message: [[UInt8]], at receiver: Receiver) async -> Bool {
        for _ in 0..<1000 {
            guard let frames = await receiver.queue.take(timeout: .seconds(20))?.frames else { return false }
            if frames.map(\.bytes) == message { return true }
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
        let (greeting, ready) = (Self.greeting, Self.ready)
        let attacks: [[[UInt8]]] = [
            [greeting, ready, Self.long(1 << 31)], [greeting, ready, Self.long(1 << 63)], [greeting, ready, Self.long(.max)],
            [greeting, ready, Self.long((1 << 20) + 1)], [greeting, ready, Self.long(10, flags: 0xFF)],
            [greeting, Self.long(1 << 40, flags: 6)], [greeting, garbage], [greeting, ready, garbage], [garbage], [[0xFF]],
            [Array(greeting.dropLast())], [ready], [greeting, ready, Self.long(100) + [1, 2, 3]], [],
        ]
        var connections: [RawConnection] = []
        for (index, attack) in attacks.enumerated() {
            let connection = try RawConnection(to: receiver.endpoint)
            try await connection.send(attack)
            connections.append(connection)
            try await sender.send([try Frame([UInt8(index)])])
            #expect(await Self.arrives([[UInt8(index)]], at: receiver))
        }
        // A peer without libzmq that speaks well is heard: the attacks above were refused for what they are.
        let good = try RawConnection(to: receiver.endpoint)
        try await good.send([Self.greeting, Self.ready, [1, 1, 42] + Self.long(3) + [7, 8, 9]])
        #expect(await Self.arrives([[42], [7, 8, 9]], at: receiver))
        withExtendedLifetime((connections, good)) {}
    }

    @Test func `who does not come through the handshake is counted beside who does`() async throws {
        let context = try ZeroMQContext()
        let (arrived, arrivals) = AsyncStream.makeStream(of: [UInt8].self)
        let router = try Router(
            at: [Place.fresh(.tcp)], in: context, options: SocketOptions(),
            handlers: .init(received: { arrivals.yield($0.frames[0].bytes) }, undelivered: { _, _ in }, failed: { _ in }))
        let sender = try Sender(.dealer, at: [try Endpoint(router.endpoint, default: .connect)], in: context, options: SocketOptions()) {
            _ in
        }
        let plain = Array(Self.greeting.prefix(12)) + Array("PLAIN".utf8) + [UInt8](repeating: 0, count: 47)
        let strangers = [try RawConnection(to: router.endpoint), try RawConnection(to: router.endpoint)]
        try await strangers[0].send([plain])
        try await strangers[1].send([[0xFF]])
        try await sender.send([try Frame([42])])
        var iterator = arrived.makeAsyncIterator()
        #expect(await iterator.next() == [42])
        // Events come by a thread of their own.
        for _ in 0..<100 where router.connections.accepted < 3 || router.connections.established < 1 {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(router.connections.accepted == 3 && router.connections.established == 1)
        withExtendedLifetime(strangers) {}
        await router.close()
    }
}
