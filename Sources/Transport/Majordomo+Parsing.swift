extension Majordomo {
    /// A message from a client or a worker, without the routing id that a ROUTER puts in front.
    package static func parse(_ frames: [Frame]) throws(MajordomoError) -> (ToBroker, Dialect) {
        let (header, isDelimited, rest) = try split(frames)
        switch header {
        case .client01:
            return (try request(rest), Dialect(version: .v01, isDelimited: isDelimited))
        case .client02:
            guard let command = rest.first else { throw .tooFewFrames(frames.count) }
            let shares = command.isCommand(ClientCommand(sharesNumbers: true).request)
            guard shares || command.isCommand(ClientCommand(sharesNumbers: false).request) else { throw .unknownCommand }
            return (try request(rest.dropFirst()), Dialect(version: .v02, isDelimited: isDelimited, sharesNumbers: shares))
        case .worker01, .worker02:
            let version: Version = header == .worker01 ? .v01 : .v02
            return (try worker(rest, version), Dialect(version: version, isDelimited: isDelimited))
        }
    }

    /// A broker's message to a worker.
    package static func parseForWorker(_ frames: [Frame]) throws(MajordomoError) -> (ToWorker, Dialect) {
        let (header, isDelimited, rest) = try split(frames)
        let version: Version
        switch header {
        case .worker01: version = .v01
        case .worker02: version = .v02
        case .client01, .client02: throw .unknownHeader
        }
        guard let command = rest.first else { throw .tooFewFrames(frames.count) }
        let dialect = Dialect(version: version, isDelimited: isDelimited)
        let numbers = WorkerCommand(version)
        if command.isCommand(numbers.request) {
            let (client, body) = try addressed(rest.dropFirst())
            return (.request(client: client, body: body), dialect)
        }
        if command.isCommand(numbers.heartbeat) { return (.heartbeat(info: try lone(rest.dropFirst())), dialect) }
        if command.isCommand(numbers.disconnect) { return (.disconnect, dialect) }
        throw .unknownCommand
    }

    /// A broker's message to a client that speaks `dialect`.
    package static func parseForClient(_ frames: [Frame], _ dialect: Dialect) throws(MajordomoError) -> ToClient {
        let (header, _, rest) = try split(frames)
        switch header {
        case .worker01, .worker02: throw .unknownHeader
        case .client01:
            let (service, body) = try named(rest)
            return ToClient(service: service, body: body)
        case .client02:
            guard let command = rest.first else { throw .tooFewFrames(frames.count) }
            let numbers = ClientCommand(sharesNumbers: dialect.sharesNumbers)
            guard command.isCommand(numbers.partial) || command.isCommand(numbers.final) else { throw .unknownCommand }
            let isFinal = command.isCommand(numbers.final)
            if dialect.sharesNumbers { return ToClient(service: "", body: Array(rest.dropFirst()), isFinal: isFinal) }
            let (service, body) = try named(rest.dropFirst())
            return ToClient(service: service, body: body, isFinal: isFinal)
        }
    }

    // MARK: Parts

    private static func split(_ frames: [Frame]) throws(MajordomoError) -> (Header, isDelimited: Bool, rest: ArraySlice<Frame>) {
        let isDelimited = frames.first?.count == 0
        let rest = frames[(isDelimited ? 1 : 0)...]
        guard let first = rest.first else { throw .tooFewFrames(frames.count) }
        guard let header = Header(first) else { throw .unknownHeader }
        return (header, isDelimited, rest.dropFirst())
    }

    private static func request(_ rest: ArraySlice<Frame>) throws(MajordomoError) -> ToBroker {
        let (service, body) = try named(rest)
        return .request(service: service, body: body)
    }

    private static func worker(_ rest: ArraySlice<Frame>, _ version: Version) throws(MajordomoError) -> ToBroker {
        guard let command = rest.first else { throw .tooFewFrames(1) }
        let rest = rest.dropFirst()
        let numbers = WorkerCommand(version)
        if command.isCommand(numbers.ready) {
            let (service, more) = try named(rest)
            guard more.count <= 1 else { throw .tooManyFrames(rest.count) }
            return .ready(service: service, info: more.first)
        }
        if let partial = numbers.partial, command.isCommand(partial) {
            let (client, body) = try addressed(rest)
            return .partial(client: client, body: body)
        }
        if command.isCommand(numbers.final) {
            let (client, body) = try addressed(rest)
            return .final(client: client, body: body)
        }
        if command.isCommand(numbers.heartbeat) { return .heartbeat(info: try lone(rest)) }
        if command.isCommand(numbers.disconnect) { return .disconnect }
        throw .unknownCommand
    }

    /// A service's name and what follows it.
    private static func named(_ rest: ArraySlice<Frame>) throws(MajordomoError) -> (String, [Frame]) {
        guard let frame = rest.first else { throw .tooFewFrames(rest.count) }
        guard (1...serviceBytes).contains(frame.count), let name = String(validating: frame.bytes, as: UTF8.self),
            !name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
        else { throw .invalidService }
        return (name, Array(rest.dropFirst()))
    }

    /// A client's address, the empty frame, and the body.
    private static func addressed(_ rest: ArraySlice<Frame>) throws(MajordomoError) -> (Frame, [Frame]) {
        guard rest.count >= 2, let client = rest.first else { throw .tooFewFrames(rest.count) }
        guard rest[rest.startIndex + 1].count == 0 else { throw .missingDelimiter }
        return (client, Array(rest.dropFirst(2)))
    }

    private static func lone(_ rest: ArraySlice<Frame>) throws(MajordomoError) -> Frame? {
        guard rest.count <= 1 else { throw .tooManyFrames(rest.count) }
        return rest.first
    }
}

/// The first frame of the protocol.
enum Header: String {
    case client01 = "MDPC01"
    case client02 = "MDPC02"
    case worker01 = "MDPW01"
    case worker02 = "MDPW02"

    init?(_ frame: Frame) {
        guard frame.count == 6, let text = String(validating: frame.bytes, as: UTF8.self) else { return nil }
        self.init(rawValue: text)
    }
}

/// The numbers of a worker's commands.
struct WorkerCommand {
    let ready: UInt8 = 1
    let request: UInt8 = 2
    /// RFC 7 has none.
    let partial: UInt8?
    let final: UInt8
    let heartbeat: UInt8
    let disconnect: UInt8

    init(_ version: Majordomo.Version) {
        switch version {
        case .v01: (partial, final, heartbeat, disconnect) = (nil, 3, 4, 5)
        case .v02: (partial, final, heartbeat, disconnect) = (3, 4, 5, 6)
        }
    }
}

/// The numbers of a client's commands in version 0.2.
struct ClientCommand {
    let request: UInt8
    let partial: UInt8
    let final: UInt8

    init(sharesNumbers: Bool) { (request, partial, final) = sharesNumbers ? (2, 3, 4) : (1, 2, 3) }
}

extension Frame {
    func isCommand(_ number: UInt8) -> Bool { count == 1 && withUnsafeBytes { $0[0] == number } }
}
