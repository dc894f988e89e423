import Foundation
import Testing
import Transport

/// Endpoints that no other test uses.
enum Place {
    static func fresh(_ transport: Endpoint.Transport, _ mode: Endpoint.Mode = .bind) throws -> Endpoint {
        let name = "p4q-\(UUID().uuidString)"
        return switch transport {
        case .tcp: try Endpoint("tcp://127.0.0.1:*", default: mode)
        case .ipc: try Endpoint("ipc:///tmp/\(name).sock", default: mode)
        case .inproc: try Endpoint("inproc://\(name)", default: mode)
        }
    }
}

/// Bytes that differ at every place and for every seed.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed &+ $0 >> 8) } }

@Suite struct SocketTests {
    @Test(arguments: Endpoint.Transport.allCases)
    func `messages of every size arrive whole and in order`(transport: Endpoint.Transport) throws {
        let context = try ZeroMQContext()
        let pull = try Socket(.pull, in: context)
        let push = try Socket(.push, in: context)
        let address = try pull.attach(Place.fresh(transport))
        try push.attach(try Endpoint(address, default: .connect))
        for size in [0, 1, 33, 34, 255, 256, 65_537, 8 << 20] {
            let parts = [[], pattern(size), pattern(3, seed: size)]
            try push.send(parts.map { try Frame($0) }, timeout: .seconds(10))
            let frames = try #require(try pull.receive(timeout: .seconds(10)))
            #expect(frames.map(\.count) == parts.map(\.count))
            #expect(frames.map(\.bytes) == parts)
        }
    }

    @Test func `a received frame can be sent on from several threads`() async throws {
        let context = try ZeroMQContext()
        let frame = try Frame(pattern(100_000))
        let received = try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let pull = try Socket(.pull, in: context)
                    let push = try Socket(.push, in: context)
                    try push.attach(try Endpoint(try pull.attach(Place.fresh(.inproc)), default: .connect))
                    for _ in 0..<200 {
                        try push.send([frame], timeout: .seconds(5))
                        let copy = try pull.receive(timeout: .seconds(5))
                        if copy?[0].bytes != frame.bytes { return nil }
                    }
                    return frame.bytes
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(received == Array(repeating: pattern(100_000), count: 4))
    }

    @Test func `without a peer nothing is taken, and the time is kept`() throws {
        let context = try ZeroMQContext()
        let push = try Socket(.push, in: context)
        try push.attach(try Endpoint("tcp://127.0.0.1:1", default: .connect))
        let begin = ContinuousClock.now
        #expect(throws: TransportError.timedOut(endpoint: "tcp://127.0.0.1:1")) {
            try push.send([try Frame([1])], timeout: .milliseconds(100))
        }
        #expect(ContinuousClock.now - begin >= .milliseconds(100))
        #expect(throws: TransportError.self) { try push.send([try Frame([1])], timeout: .zero) }
        let pull = try Socket(.pull, in: context)
        try pull.attach(Place.fresh(.tcp))
        #expect(try pull.receive(timeout: .milliseconds(20)) == nil)
        #expect(try pull.receive(timeout: .zero) == nil)
    }

    @Test func `a message with too many frames is dropped and the next one arrives`() throws {
        var options = SocketOptions()
        options.maxFrames = 4
        let context = try ZeroMQContext()
        let pull = try Socket(.pull, in: context, options: options)
        let push = try Socket(.push, in: context)
        try push.attach(try Endpoint(try pull.attach(Place.fresh(.tcp)), default: .connect))
        try push.send((0..<10_000).map { _ in try Frame([1, 2, 3]) }, timeout: .seconds(5))
        try push.send((0..<4).map { _ in try Frame([4]) }, timeout: .seconds(5))
        let error = #expect(throws: TransportError.self) { try pull.receive(timeout: .seconds(5)) }
        #expect(error == .tooManyFrames(endpoint: pull.endpoint, count: 10_000, limit: 4))
        #expect(try pull.receive(timeout: .seconds(5))?.count == 4)
    }

    @Test(arguments: Endpoint.Transport.allCases)
    func `the limit of a frame's bytes is exact`(transport: Endpoint.Transport) throws {
        var options = SocketOptions()
        options.maxFrameBytes = 1000
        let context = try ZeroMQContext()
        let pull = try Socket(.pull, in: context, options: options)
        let push = try Socket(.push, in: context)
        try push.attach(try Endpoint(try pull.attach(Place.fresh(transport)), default: .connect))
        try push.send([try Frame(pattern(1000))], timeout: .seconds(5))
        #expect(try pull.receive(timeout: .seconds(5))?[0].count == 1000)
        try push.send([try Frame(pattern(1001))], timeout: .seconds(5))
        if transport == .inproc {
            // Nothing lies between the sockets that could look.
            #expect(throws: TransportError.frameTooLarge(endpoint: pull.endpoint, bytes: 1001, limit: 1000)) {
                try pull.receive(timeout: .seconds(5))
            }
        } else {
            #expect(try pull.receive(timeout: .milliseconds(300)) == nil)
        }
        try push.send([try Frame([7])], timeout: .seconds(5))
        #expect(try pull.receive(timeout: .seconds(5))?[0].bytes == [7])
    }

    @Test(arguments: [Endpoint.Transport.tcp, .ipc])
    func `an address that is served can't be bound again`(transport: Endpoint.Transport) throws {
        let context = try ZeroMQContext()
        let first = try Socket(.pull, in: context)
        let address = try first.attach(Place.fresh(transport))
        let second = try Socket(.pull, in: context)
        let error = try #require(throws: TransportError.self) { try second.attach(try Endpoint(address, default: .bind)) }
        #expect(error.code == "transport.address_in_use" && error.isRetryable)
        #expect(error.description.contains(address) && error.description.contains("Another process"))
    }

    @Test func `the file of a dead ipc server is taken over`() throws {
        let place = try Place.fresh(.ipc)
        let context = try ZeroMQContext()
        try Data().write(to: URL(fileURLWithPath: String(place.address.dropFirst(6))))
        let pull = try Socket(.pull, in: context)
        #expect(try pull.attach(place) == place.address)
    }

    @Test(arguments: ["tcp://192.0.2.1:5555", "ipc:///nowhere/at/all.sock", "tcp://no-such-interface0:5555"])
    func `a bind that can't work says where, why and what to do`(text: String) throws {
        let socket = try Socket(.pull, in: try ZeroMQContext())
        let error = try #require(throws: TransportError.self) { try socket.attach(try Endpoint(text, default: .bind)) }
        #expect(error.code == "transport.attach")
        #expect(error.description.contains(text) && error.description.count > text.count + 30)
    }

    @Test func `a router says when its peer is gone`() throws {
        let context = try ZeroMQContext()
        let router = try Socket(.router, in: context)
        try router.attach(Place.fresh(.tcp))
        let error = #expect(throws: TransportError.self) { try router.send([try Frame([1, 2, 3]), try Frame([])], timeout: .zero) }
        #expect(error == .unreachable(endpoint: router.endpoint))
    }

    @Test func `request and reply, publish and subscribe, and pairs work`() throws {
        let context = try ZeroMQContext()
        for (server, client) in [(Socket.Kind.reply, Socket.Kind.request), (.pair, .pair), (.subscribe, .publish), (.router, .dealer)] {
            let bound = try Socket(server, in: context)
            let connected = try Socket(client, in: context)
            try connected.attach(try Endpoint(try bound.attach(Place.fresh(.tcp)), default: .connect))
            // A publisher drops what it sends before it has heard of the subscription.
            var frames: [Frame]?
            for _ in 0..<50 where frames == nil {
                try connected.send([try Frame([42])], timeout: .seconds(5))
                frames = try bound.receive(timeout: client == .publish ? .milliseconds(100) : .seconds(5))
            }
            #expect(frames?.last?.bytes == [42])
        }
    }

    @Test func `shutting the context down ends a wait`() async throws {
        let context = try ZeroMQContext()
        let waiting = Task.detached {
            let pull = try Socket(.pull, in: context)
            try pull.attach(Place.fresh(.tcp))
            return try pull.receive(timeout: nil) == nil
        }
        try await Task.sleep(for: .milliseconds(50))
        context.shutDown()
        await #expect(throws: TransportError.shutDown) { try await waiting.value }
        #expect(throws: TransportError.shutDown) { try Socket(.pull, in: context) }
    }

    @Test func `closing with unsent messages waits no longer than the linger time`() throws {
        var options = SocketOptions()
        options.linger = .milliseconds(200)
        options.immediate = false
        let begin = ContinuousClock.now
        do {
            let push = try Socket(.push, in: try ZeroMQContext(), options: options)
            try push.attach(try Endpoint("tcp://127.0.0.1:1", default: .connect))
            try push.send([try Frame([1])], timeout: .zero)
        }
        #expect(ContinuousClock.now - begin < .seconds(5))
    }
}

@Suite struct EndpointTests {
    @Test(arguments: [
        ("@tcp://*:5555", Endpoint.Mode.bind, "tcp://*:5555"), (">tcp://host:5555", .connect, "tcp://host:5555"),
        ("tcp://127.0.0.1:80", .connect, "tcp://127.0.0.1:80"), ("@ipc:///run/p4q.sock", .bind, "ipc:///run/p4q.sock"),
        ("@inproc://a b".replacingOccurrences(of: " ", with: "-"), .bind, "inproc://a-b"), ("@tcp://[::1]:5555", .bind, "tcp://[::1]:5555"),
        ("@tcp://eth0:*", .bind, "tcp://eth0:*"), ("@tcp://127.0.0.1:0", .bind, "tcp://127.0.0.1:0"),
    ])
    func `the sign in front decides, or else the use`(text: String, mode: Endpoint.Mode, address: String) throws {
        let endpoint = try Endpoint(text, default: .connect)
        #expect(endpoint.mode == mode && endpoint.address == address)
        #expect(try Endpoint(endpoint.description, default: .bind) == endpoint)
    }

    @Test(arguments: [
        "", "@", "tcp", "tcp:/x:1", "udp://1.2.3.4:5", "tcp://", "tcp://host", "tcp://:55", "tcp://host:", "tcp://host:65536",
        "tcp://host:-1",
        "tcp://host:+1", "tcp://host:1x", ">tcp://host:*", ">tcp://*:5", ">tcp://host:0", "ipc://", "inproc://", "tcp://a b:5",
        "@@tcp://*:1",
        "ipc://" + String(repeating: "x", count: 108), "inproc://" + String(repeating: "x", count: 256), "tcp://h\u{0}:5",
    ])
    func `what is not an endpoint is refused with a reason`(text: String) throws {
        let error = try #require(throws: TransportError.self) { try Endpoint(text, default: .connect) }
        #expect(error.code == "transport.invalid_endpoint")
    }
}
