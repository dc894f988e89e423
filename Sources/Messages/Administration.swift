/// What administrators ask of a dispatcher.
package enum AdminRequest: Hashable, Sendable {
    /// What it is sent to.
    package static let service = "p4q/admin"

    package enum Mode: Int, Hashable, Sendable { case running = 1, paused, draining }

    case figures, workers, groups
    case addGroup(name: String, isExclusive: Bool, services: [String], fromEarliest: Bool, expireBeyond: Int?)
    case removeGroup(String)
    case setMode(service: String, Mode)
    case purge(service: String)
    case drainWorker(String)
    case peek(service: String, limit: Int)
    case deadLetters(after: UInt64, limit: Int)
    case retry([UInt64])
    case removeDeadLetters([UInt64])
    /// An online copy of the journal, in this folder of the dispatcher's machine.
    case backup(to: String)
}

/// The answer.
package struct AdminReply: Hashable, Sendable {
    /// Empty, or why it was not done; stable and for programs.
    package var code: String
    package var message: String
    /// What was asked for.
    package var json: String

    package init(code: String = "", message: String = "", json: String = "") {
        self.code = code
        self.message = message
        self.json = json
    }
}

extension AdminRequest {
    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_AdminRequest()
        switch self {
        case .figures: wire.figures = P4q_V1_Nothing()
        case .workers: wire.workers = P4q_V1_Nothing()
        case .groups: wire.groups = P4q_V1_Nothing()
        case .addGroup(let name, let isExclusive, let services, let fromEarliest, let expireBeyond):
            wire.addGroup.name = name
            wire.addGroup.exclusive = isExclusive
            wire.addGroup.services = services
            wire.addGroup.earliest = fromEarliest
            wire.addGroup.expireBeyond = UInt64(clamping: expireBeyond ?? 0)
        case .removeGroup(let name): wire.removeGroup = name
        case .setMode(let service, let mode):
            wire.setMode.service = service
            wire.setMode.mode = P4q_V1_Mode(rawValue: mode.rawValue) ?? .unspecified
        case .purge(let service): wire.purge = service
        case .drainWorker(let worker): wire.drainWorker = worker
        case .peek(let service, let limit):
            wire.peek.service = service
            wire.peek.limit = UInt32(clamping: limit)
        case .deadLetters(let after, let limit):
            wire.deadLetters.after = after
            wire.deadLetters.limit = UInt32(clamping: limit)
        case .retry(let numbers): wire.retry.numbers = numbers
        case .removeDeadLetters(let numbers): wire.removeDeadLetters.numbers = numbers
        case .backup(let path): wire.backup = path
        }
        return try FieldChecks(item: "the request").bytes(of: wire)
    }

    package init(envelope: [UInt8]) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: envelope.count)
        let checks = FieldChecks(item: "the request")
        let wire: P4q_V1_AdminRequest = try checks.message(envelope)
        func name(_ text: String, _ field: String) throws(MessageError) -> String {
            try checks.required(text, field, limit: MessageLimits.labelBytes)
        }
        switch wire.call {
        case nil: throw .missingField("call", item: "the request")
        case .figures: self = .figures
        case .workers: self = .workers
        case .groups: self = .groups
        case .addGroup(let group):
            self = .addGroup(
                name: try name(group.name, "name"), isExclusive: group.exclusive, services: group.services, fromEarliest: group.earliest,
                expireBeyond: group.expireBeyond == 0 ? nil : Int(clamping: group.expireBeyond))
        case .removeGroup(let group): self = .removeGroup(try name(group, "remove_group"))
        case .setMode(let change):
            guard let mode = Mode(rawValue: change.mode.rawValue) else { throw .missingField("mode", item: "the request") }
            self = .setMode(service: try name(change.service, "service"), mode)
        case .purge(let service): self = .purge(service: try name(service, "purge"))
        case .drainWorker(let worker): self = .drainWorker(try name(worker, "drain_worker"))
        case .peek(let peek): self = .peek(service: try name(peek.service, "service"), limit: Int(peek.limit))
        case .deadLetters(let peek): self = .deadLetters(after: peek.after, limit: Int(peek.limit))
        case .retry(let jobs): self = .retry(jobs.numbers)
        case .removeDeadLetters(let jobs): self = .removeDeadLetters(jobs.numbers)
        case .backup(let path): self = .backup(to: try name(path, "backup"))
        }
    }
}

extension AdminReply {
    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_AdminReply()
        wire.code = code
        wire.message = message
        wire.json = json
        return try FieldChecks(item: "the reply").bytes(of: wire)
    }

    package init(envelope: [UInt8]) throws(MessageError) {
        let wire: P4q_V1_AdminReply = try FieldChecks(item: "the reply").message(envelope)
        self.init(code: wire.code, message: wire.message, json: wire.json)
    }
}
