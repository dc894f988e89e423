package import JobQueue
package import Transport

/// How a dispatcher works.
package struct DispatcherSettings: Sendable {
    /// Where clients, workers and sinks come; each list is one ROUTER. One is enough; a second one keeps workers apart from producers.
    package var endpoints: [[Endpoint]]
    /// PULL side doors of producers that fire and forget; what they send goes to `classify`.
    package var jobDoors: [Endpoint] = []
    /// PUSH side doors of plain sinks, and the group they are a member of.
    package var resultDoors: [Endpoint] = []
    package var resultDoorGroup = "default"
    /// PUB sockets that tell of each change of releases.
    package var releaseEvents: [Endpoint] = []
    package var security = DispatcherSecurity.open
    package var queue = QueueConfiguration()
    /// The largest image.
    package var maximumImageBytes = 32 << 20
    /// Bytes of submissions that are on their way into the journal; beyond them producers are told to wait.
    package var ingestBytes = 256 << 20
    /// Between heartbeats to peers. Half of what is promised, because a heartbeat is also how a broken connection shows.
    package var heartbeat: Duration = .milliseconds(500)
    /// How long a stopping dispatcher waits for what is leased.
    package var drainLimit: Duration = .seconds(20)
    /// Requests of plain Majordomo services that wait for a worker, each service.
    package var plainRequests = 1000
    /// Producers that wait for outcomes may have so many jobs open in all.
    package var watchedJobs = 100_000

    package init(endpoints: [[Endpoint]]) { self.endpoints = endpoints }

    /// Services whose jobs are journalled; with `NAME/…` for several models.
    package static let queueServices = ["classify", trainService]
    /// The service of trainers.
    package static let trainService = "train"
    /// The service of sinks; a group's name follows after a slash.
    package static let resultService = "results"
    /// The producer that jobs from side doors belong to.
    package static let doorIdentity = "door"
    /// Who everyone is where nobody is asked.
    package static let openIdentity = "local"

    /// Whether jobs of `service` are journalled.
    package static func isQueueService(_ service: String) -> Bool {
        queueServices.contains { service == $0 || (service.hasPrefix($0 + "/") && service.utf8.count > $0.utf8.count + 1) }
    }

    /// The group of a sink's service name; nil if it is none.
    static func group(of service: String) -> String? {
        if service == resultService { return GroupSettings.standard.name }
        guard service.hasPrefix(resultService + "/") else { return nil }
        return String(service.dropFirst(resultService.utf8.count + 1))
    }
}

/// Who may use a dispatcher.
package enum DispatcherSecurity: Sendable {
    /// Everyone may do everything, in clear: for loopback and ipc, or where somebody said so.
    case open
    /// CURVE: those on the list, each in its roles.
    case keys(CurveKeyPair, AllowList)

    /// The ZAP domain.
    static let domain = "p4q"

    /// What a server socket is given.
    var socket: SocketOptions.Security {
        switch self {
        case .open: .open
        case .keys(let pair, _): .server(secretKey: pair.secretKey, domain: Self.domain)
        }
    }
}
