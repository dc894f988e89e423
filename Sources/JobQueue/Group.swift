/// A durable subscription to outcomes.
package struct GroupSettings: Hashable, Sendable, Codable {
    package enum Kind: String, Hashable, Sendable, Codable {
        /// One active member sees all outcomes in sequence, under a generation, and acknowledges a prefix.
        case exclusive
        /// Outcomes are spread over the members, each acknowledged for itself.
        case shared
    }

    /// What happens when a group has left more unread than `limit`.
    package enum Retention: Hashable, Sendable, Codable {
        /// Producers of its services are told to wait.
        case block(limit: Int)
        /// The oldest are taken for read; counted.
        case expire(limit: Int)
    }

    package var name: String
    package var kind: Kind
    /// Services whose outcomes it gets, with what lies below them: `classify` is also `classify/MODEL`. Empty: all.
    package var services: [String]
    package var retention: Retention

    package init(name: String, kind: Kind = .shared, services: [String] = [], retention: Retention = .block(limit: 1_000_000)) {
        self.name = name
        self.kind = kind
        self.services = services
        self.retention = retention
    }

    /// The group that always exists.
    package static let standard = GroupSettings(name: "default")

    func takes(_ service: String) -> Bool {
        services.isEmpty || services.contains { service == $0 || service.hasPrefix($0 + "/") }
    }
}

/// Where a new group begins.
package enum GroupStart: Hashable, Sendable {
    /// With what is finished from now on.
    case now
    /// With the oldest outcome that is kept.
    case earliest
}

/// A sink that is ready for outcomes of its group.
package struct SinkReady: Sendable {
    package var session: SessionID
    package var identity: String
    package var group: String
    /// Deliveries that may be in flight on this session.
    package var credit: Int
    /// The most outcomes in a delivery.
    package var batchOutcomes: Int
    package var announcesHeartbeats: Bool

    package init(
        session: SessionID, identity: String, group: String, credit: Int = 1, batchOutcomes: Int = 256, announcesHeartbeats: Bool = true
    ) {
        self.session = session
        self.identity = identity
        self.group = group
        self.credit = max(1, credit)
        self.batchOutcomes = max(1, batchOutcomes)
        self.announcesHeartbeats = announcesHeartbeats
    }
}

/// Outcomes for one session, to be sent in one request.
package struct Delivery: Hashable, Sendable {
    package let session: SessionID
    package let group: String
    /// 0 for shared groups.
    package let generation: Generation
    /// Ascending.
    package let items: [Item]

    package struct Item: Hashable, Sendable {
        package let sequence: Sequence
        /// The outcome before it in an exclusive group, 0 at the group's start: a sink that misses it has a gap. 0 in shared groups.
        package let previous: Sequence
        package let job: JobNumber
    }
}

/// What a sink has stored.
package enum Acknowledgement: Hashable, Sendable {
    /// All up to here; exclusive groups, and only with the current generation.
    case through(Sequence, Generation)
    /// These; shared groups.
    case list([Sequence])
    /// The sink could not store the delivery: it comes again.
    case failed
}

/// The answer to an acknowledgement. It may leave only after the commit.
package enum AcknowledgementReceipt: Hashable, Sendable {
    case stored
    /// From an older generation, of something never delivered to this group, or by a member that isn't active. Nothing changed.
    case refused
}
