import Foundation
import Testing
import Transport

/// Our side of Majordomo against a broker of another maker.
@Suite(.enabled(if: PythonPeer.path != nil, "\(PythonPeer.skipReason)"))
struct ForeignBrokerTests {
    /// majortomo's broker speaks version 0.2 with a delimiter and with a worker's numbers for clients.
    private static let dialect = Majordomo.Dialect(version: .v02, isDelimited: true, sharesNumbers: true)

    @Test func `our worker and our client exchange a byte to eight megabytes through majortomo's broker`() async throws {
        // A port that was free a moment ago.
        let address = try await blocking { try Socket(.router, in: try ZeroMQContext()).attach(try Place.fresh(.tcp)) }
        let broker = Process()
        broker.executableURL = URL(fileURLWithPath: PythonPeer.path ?? "")
        broker.arguments = ["-c", "import sys; from majortomo.broker import Broker; Broker(sys.argv[1], 0.5).run()", address]
        try broker.run()
        defer {
            broker.terminate()
            broker.waitUntilExit()
        }
        let context = try ZeroMQContext()
        let sizes = [1, 100, 65_537, 8 << 20]
        async let worked: Int = blocking { try Self.work(address, context, requests: sizes.count) }
        let echoes = try await blocking { try sizes.map { try Self.ask(address, context, bytes: $0) } }
        #expect(echoes == sizes.map { [pattern($0), pattern(7)] })
        #expect(try await worked == sizes.count)
    }

    /// Echoes so many requests.
    private static func work(_ address: String, _ context: ZeroMQContext, requests: Int) throws -> Int {
        let socket = try Socket(.dealer, in: context)
        try socket.attach(try Endpoint(address, default: .connect))
        func send(_ message: Majordomo.ToBroker) throws { try socket.send(try Majordomo.fromWorker(message, dialect), timeout: .seconds(20)) }
        try send(.ready(service: "echo", info: nil))
        var done = 0
        let end = ContinuousClock.now + .seconds(60)
        while done < requests, ContinuousClock.now < end {
            guard let frames = try socket.receive(timeout: .milliseconds(300)) else {
                try send(.heartbeat(info: nil))
                continue
            }
            guard case (.request(let client, let body), _) = try Majordomo.parseForWorker(frames) else { continue }
            try send(.final(client: client, body: body))
            done += 1
        }
        try send(.disconnect)
        return done
    }

    private static func ask(_ address: String, _ context: ZeroMQContext, bytes: Int) throws -> [[UInt8]] {
        let socket = try Socket(.dealer, in: context)
        try socket.attach(try Endpoint(address, default: .connect))
        let body = [try Frame(pattern(bytes)), try Frame(pattern(7))]
        try socket.send(try Majordomo.request(service: "echo", body: body, dialect), timeout: .seconds(20))
        guard let frames = try socket.receive(timeout: .seconds(30)) else { return [] }
        return try Majordomo.parseForClient(frames, dialect).body.map(\.bytes)
    }
}
