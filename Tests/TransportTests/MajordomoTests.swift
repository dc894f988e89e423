import Testing
import Transport

/// Frames from text: a byte each for what has a number.
private func frames(_ parts: [[UInt8]]) throws -> [Frame] { try parts.map { try Frame($0) } }
private func text(_ string: String) -> [UInt8] { Array(string.utf8) }

@Suite struct MajordomoTests {
    private static let body: [[UInt8]] = [text("one"), [], pattern(5000)]

    /// The RFCs' own framings, byte for byte, and those of others.
    @Test func `a client's request is laid out as each dialect has it`() throws {
        let body = try frames(Self.body)
        let cases: [(Majordomo.Dialect, [[UInt8]])] = [
            (.standard(.v01), [[], text("MDPC01"), text("echo")]), (.standard(.v02), [text("MDPC02"), [1], text("echo")]),
            (.init(version: .v01), [text("MDPC01"), text("echo")]),
            (.init(version: .v02, isDelimited: true), [[], text("MDPC02"), [1], text("echo")]),
            (.init(version: .v02, isDelimited: true, sharesNumbers: true), [[], text("MDPC02"), [2], text("echo")]),
        ]
        for (dialect, head) in cases {
            let made = try Majordomo.request(service: "echo", body: body, dialect)
            #expect(made.map(\.bytes) == head + Self.body)
            let (message, found) = try Majordomo.parse(made)
            #expect(found == dialect)
            guard case .request("echo", let rest) = message else { return #expect(Bool(false), "\(message)") }
            #expect(rest.map(\.bytes) == Self.body)
        }
    }

    @Test func `replies to a client have the numbers of its dialect`() throws {
        let cases: [(Majordomo.Dialect, Bool, [[UInt8]])] = [
            (.standard(.v01), true, [[], text("MDPC01"), text("echo")]), (.standard(.v02), true, [text("MDPC02"), [3], text("echo")]),
            (.standard(.v02), false, [text("MDPC02"), [2], text("echo")]),
            (.init(version: .v02, isDelimited: true, sharesNumbers: true), true, [[], text("MDPC02"), [4]]),
            (.init(version: .v02, isDelimited: true, sharesNumbers: true), false, [[], text("MDPC02"), [3]]),
        ]
        for (dialect, isFinal, head) in cases {
            let reply = Majordomo.ToClient(service: "echo", body: try frames(Self.body), isFinal: isFinal)
            let made = try Majordomo.toClient(reply, dialect)
            #expect(made.map(\.bytes) == head + Self.body)
            let read = try Majordomo.parseForClient(made, dialect)
            #expect(read.isFinal == isFinal && read.body.map(\.bytes) == Self.body)
        }
    }

    @Test(arguments: [Majordomo.Version.v01, .v02], [false, true])
    func `a worker's and a broker's messages come back as they were`(version: Majordomo.Version, isDelimited: Bool) throws {
        let dialect = Majordomo.Dialect(version: version, isDelimited: isDelimited)
        let head = (isDelimited ? [[]] : []) + [text(version == .v01 ? "MDPW01" : "MDPW02")]
        let numbers: [UInt8] = version == .v01 ? [3, 4, 5] : [4, 5, 6]
        let client = try Frame([0, 255, 7])
        let body = try frames(Self.body)
        let toBroker: [(Majordomo.ToBroker, [[UInt8]])] = [
            (.ready(service: "echo", info: nil), [[1], text("echo")]),
            (.ready(service: "echo", info: client), [[1], text("echo"), [0, 255, 7]]),
            (.final(client: client, body: body), [[numbers[0]], [0, 255, 7], []] + Self.body), (.heartbeat(info: nil), [[numbers[1]]]),
            (.heartbeat(info: client), [[numbers[1]], [0, 255, 7]]), (.disconnect, [[numbers[2]]]),
        ]
        for (message, rest) in toBroker {
            let made = try Majordomo.fromWorker(message, dialect)
            #expect(made.map(\.bytes) == head + rest)
            let (read, found) = try Majordomo.parse(made)
            #expect(found == dialect)
            #expect(try Majordomo.fromWorker(read, dialect).map(\.bytes) == made.map(\.bytes))
        }
        let toWorker: [(Majordomo.ToWorker, [[UInt8]])] = [
            (.request(client: client, body: body), [[2], [0, 255, 7], []] + Self.body), (.heartbeat(info: nil), [[numbers[1]]]),
            (.disconnect, [[numbers[2]]]),
        ]
        for (message, rest) in toWorker {
            let made = try Majordomo.toWorker(message, dialect)
            #expect(made.map(\.bytes) == head + rest)
            let (read, found) = try Majordomo.parseForWorker(made)
            #expect(found == dialect)
            #expect(try Majordomo.toWorker(read, dialect).map(\.bytes) == made.map(\.bytes))
        }
    }

    private static let malformed: [([[UInt8]], MajordomoError)] = [
        ([], .tooFewFrames(0)), ([[]], .tooFewFrames(1)), ([text("MDPC03"), [1], text("x")], .unknownHeader),
        ([[], [], text("MDPC01"), text("x")], .unknownHeader), ([text("MDPC02")], .tooFewFrames(1)),
        ([text("MDPC02"), [9], text("x")], .unknownCommand), ([text("MDPC02"), [1, 1], text("x")], .unknownCommand),
        ([text("MDPC02"), [], text("x")], .unknownCommand), ([text("MDPC02"), [1], []], .invalidService),
        ([text("MDPC02"), [1], [0xFF, 0xFE]], .invalidService), ([text("MDPC02"), [1], text("a\nb")], .invalidService),
        ([text("MDPC01"), [UInt8](repeating: 65, count: 256)], .invalidService), ([text("MDPW02"), [1]], .tooFewFrames(0)),
        ([text("MDPW02"), [1], text("x"), [], []], .tooManyFrames(3)), ([text("MDPW02"), [4], [1]], .tooFewFrames(1)),
        ([text("MDPW02"), [4], [1], [1]], .missingDelimiter), ([text("MDPW01"), [6]], .unknownCommand),
        ([text("MDPW02"), [2], [1], [], [2]], .unknownCommand), ([text("MDPW02"), [5], [], []], .tooManyFrames(2)),
    ]

    @Test(arguments: malformed)
    func `what is no message is refused with its reason`(parts: [[UInt8]], reason: MajordomoError) throws {
        let error = #expect(throws: MajordomoError.self) { _ = try Majordomo.parse(try frames(parts)) }
        #expect(error == reason)
    }

    /// 200,000 lists of frames made of pieces that mean something, cut, doubled and changed: an answer or a typed error, never a trap.
    @Test func `no list of frames traps`() throws {
        var random = SplitMix(seed: 20_261_124)
        let pieces: [[UInt8]] =
            [
                [], [1], [2], [3], [4], [5], [6], [0], [255], [1, 1], text("MDPC01"), text("MDPC02"), text("MDPW01"), text("MDPW02"),
                text("MDPC0"),
            ]
            + [text("echo"), text("classify"), pattern(40), [0xC3], text("MDPW02\u{0}")]
        let made = try frames(pieces)
        var accepted = 0
        for _ in 0..<200_000 {
            var list = (0..<Int(random.next() % 7)).map { _ in made[Int(random.next() % UInt64(made.count))] }
            if random.next() % 5 == 0 {
                list.append(try Frame((0..<Int(random.next() % 9)).map { _ in UInt8(truncatingIfNeeded: random.next()) }))
            }
            if (try? Majordomo.parse(list)) != nil { accepted += 1 }
            _ = try? Majordomo.parseForWorker(list)
            for dialect in [Majordomo.Dialect.standard(.v01), .standard(.v02), .init(sharesNumbers: true)] {
                _ = try? Majordomo.parseForClient(list, dialect)
            }
        }
        #expect(accepted > 1000, "the pieces make messages too")
    }
}

/// A small random source with a seed (Steele, Lea and Flood, 2014).
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
