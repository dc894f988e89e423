package import Transport

/// Whose broker a worker serves. Another maker's sends requests that are a `JobBatch` and its images, as the side doors take them, and passes the
/// answer, a `ResultBatch`, on to whoever asked. It keeps nothing: what it or a killed worker holds is lost, and the client must ask again.
package enum WorkerBroker: String, CaseIterable, Sendable {
    /// p4q's own dispatcher: leases, receipts, and a frame of facts behind READY and HEARTBEAT.
    case p4q
    /// Any broker of ZeroMQ RFC 18/MDP (0.2).
    case rfc18
    /// Any broker of ZeroMQ RFC 7/MDP (0.1).
    case rfc7
    /// majortomo: RFC 18 with an empty frame in front.
    case majortomo

    package var dialect: Majordomo.Dialect {
        switch self {
        case .p4q, .rfc18: .standard(.v02)
        case .rfc7: .standard(.v01)
        case .majortomo: Majordomo.Dialect(version: .v02, isDelimited: true)
        }
    }

    /// Whether jobs are leased, and answers acknowledged.
    var isDispatcher: Bool { self == .p4q }

    /// Heartbeats that may fail to come before the connection is taken for dead. RFC 7 and 18 recommend three to five.
    var liveness: Int { isDispatcher ? 3 : 5 }
}
