/// The Majordomo protocol as frames: ZeroMQ RFC 18/MDP (0.2) and RFC 7/MDP (0.1).
///
/// Everything here is pure: frames in, a message or a typed error out, and back.
package enum Majordomo {
    package enum Version: Hashable, Sendable { case v01, v02 }

    /// How a peer puts its frames together; it is answered in the same way.
    package struct Dialect: Hashable, Sendable {
        package let version: Version
        /// An empty frame lies before the protocol's header, as a REQ socket adds it. RFC 7 has one, RFC 18 has none; both occur in both.
        package let isDelimited: Bool
        /// A client of version 0.2 whose commands have a worker's numbers (REQUEST 2, PARTIAL 3, FINAL 4 instead of 1, 2, 3) and whose
        /// replies come without the service's name: so majortomo does it.
        package let sharesNumbers: Bool

        package init(version: Version = .v02, isDelimited: Bool = false, sharesNumbers: Bool = false) {
            self.version = version
            self.isDelimited = isDelimited
            self.sharesNumbers = sharesNumbers
        }

        /// As the RFCs have it.
        package static func standard(_ version: Version) -> Dialect { Dialect(version: version, isDelimited: version == .v01) }
    }

    /// What peers send to a broker.
    package enum ToBroker: Sendable {
        case request(service: String, body: [Frame])
        /// `info` is the optional frame behind the service's name.
        case ready(service: String, info: Frame?)
        case partial(client: Frame, body: [Frame])
        case final(client: Frame, body: [Frame])
        case heartbeat(info: Frame?)
        case disconnect
    }

    /// What a broker sends to a worker.
    package enum ToWorker: Sendable {
        case request(client: Frame, body: [Frame])
        case heartbeat(info: Frame?)
        case disconnect
    }

    /// What a broker sends to a client.
    package struct ToClient: Sendable {
        package let service: String
        package let body: [Frame]
        /// False for a PARTIAL; RFC 7 knows final replies only.
        package let isFinal: Bool

        package init(service: String, body: [Frame], isFinal: Bool = true) {
            self.service = service
            self.body = body
            self.isFinal = isFinal
        }
    }

    /// Bytes of a service's name: enough for every path, little enough to keep by the thousand.
    package static let serviceBytes = 255
}

/// Why frames are not a Majordomo message.
package enum MajordomoError: Error, Hashable, Sendable {
    /// There are fewer frames than the message must have.
    case tooFewFrames(Int)
    /// No protocol header where it should be.
    case unknownHeader
    /// A command that this side never gets.
    case unknownCommand
    /// The service's name is empty, too long, or not printable text.
    case invalidService
    /// The empty frame between a client's address and the body is missing.
    case missingDelimiter
    /// More frames than the message may have.
    case tooManyFrames(Int)

    /// Stable and for programs.
    package var code: String {
        switch self {
        case .tooFewFrames: "majordomo.too_few_frames"
        case .unknownHeader: "majordomo.header"
        case .unknownCommand: "majordomo.command"
        case .invalidService: "majordomo.service"
        case .missingDelimiter: "majordomo.delimiter"
        case .tooManyFrames: "majordomo.too_many_frames"
        }
    }
}

extension MajordomoError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tooFewFrames(let count): "\(count) frames are too few for a Majordomo message"
        case .unknownHeader: "the first frame is not MDPC01, MDPC02, MDPW01 or MDPW02"
        case .unknownCommand: "the command is none that this side of Majordomo gets"
        case .invalidService: "the service's name is not 1 to \(Majordomo.serviceBytes) bytes of printable UTF-8"
        case .missingDelimiter: "the empty frame between the client's address and the body is missing"
        case .tooManyFrames(let count): "\(count) frames are too many for this Majordomo message"
        }
    }
}
