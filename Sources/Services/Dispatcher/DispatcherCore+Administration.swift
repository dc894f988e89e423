internal import Foundation
internal import JobQueue
internal import Logging
internal import Messages
internal import Synchronization
internal import Transport

/// What administrators ask. Everything that changes something leaves a line in the log.
extension DispatcherCore {
    func administer(_ body: [Frame], _ sender: Sender) {
        let call: AdminRequest
        do throws(MessageError) {
            guard let envelope = body.first else { throw .emptyBatch }
            call = try AdminRequest(envelope: envelope.bytes)
        } catch {
            return reply(sender, AdminReply(code: error.code, message: "\(error)"))
        }
        switch call {
        case .figures, .workers, .groups, .peek, .deadLetters: break
        default: logger.notice("administration", metadata: ["audit.who": "\(sender.caller.name)", "audit.call": "\(call)"])
        }
        Task {
            do {
                try await carryOut(call, sender)
            } catch {
                reply(sender, AdminReply(code: "admin.failed", message: "\(error)"))
            }
        }
    }

    private func carryOut(_ call: AdminRequest, _ sender: Sender) async throws {
        func post(_ event: (RequestID) -> Event) {
            let request = Registry.Request(
                address: sender.address, dialect: sender.dialect, service: AdminRequest.service, batchID: "")
            let id = state.withLock { $0.registry.add(request) }
            perform(runner.post(event(id)))
        }
        switch call {
        case .figures: reply(sender, AdminReply(json: try await status().json()))
        case .workers: reply(sender, AdminReply(json: try DispatcherStatus.json(await status().workers)))
        case .groups: reply(sender, AdminReply(json: try DispatcherStatus.json(await status().groups)))
        case .addGroup(let name, let isExclusive, let services, let fromEarliest, let expireBeyond):
            let settings = GroupSettings(
                name: name, kind: isExclusive ? .exclusive : .shared, services: services,
                retention: expireBeyond.map { .expire(limit: $0) } ?? .block(limit: 1_000_000))
            post { .addGroup($0, settings, fromEarliest ? .earliest : .now) }
        case .removeGroup(let name): post { .removeGroup($0, name) }
        case .setMode(let service, let mode):
            let mode: ServiceMode =
                switch mode {
                case .running: .running
                case .paused: .paused
                case .draining: .draining
                }
            post { .setMode($0, service: service, mode) }
        case .purge(let service): post { .purge($0, service: service) }
        case .drainWorker(let worker): post { .drainWorker($0, worker) }
        case .peek(let service, let limit):
            let numbers = runner.read { $0.peek(service: service, limit: min(limit, 1000)) }
            reply(sender, AdminReply(json: try DispatcherStatus.json(try await describe(numbers))))
        case .deadLetters(let after, let limit):
            let letters = try await store.deadLetters(after: JobNumber(after), limit: min(limit, 1000), in: PartitionID())
            reply(sender, AdminReply(json: try DispatcherStatus.json(letters.map(DispatcherStatus.Job.init))))
        case .retry(let numbers): reply(sender, try await retry(numbers.map { JobNumber($0) }))
        case .removeDeadLetters(let numbers):
            let count = try await store.removeDeadLetters(numbers.map { JobNumber($0) }, in: PartitionID())
            reply(sender, AdminReply(message: "\(count) dead letters removed"))
        case .backup(let folder):
            try await store.backUp(to: folder)
            reply(sender, AdminReply(message: "the journal is in \(folder)"))
        }
    }

    private func describe(_ numbers: [JobNumber]) async throws -> [DispatcherStatus.Job] {
        try await store.describe(numbers, in: PartitionID()).map(DispatcherStatus.Job.init)
    }

    /// Runs dead letters again: each makes a new job that names its parent.
    private func retry(_ numbers: [JobNumber]) async throws -> AdminReply {
        let described = try await store.describe(numbers, in: PartitionID())
        let contents = try await store.contents(of: described.map(\.number), in: PartitionID())
        var lines: [String] = []
        for (job, content) in zip(described, contents) {
            guard case .intact(_, let envelope, let payload) = content, case .dead = job.outcome else {
                lines.append("\(job.number.rawValue): it is no dead letter with its content intact")
                continue
            }
            let id = String("\(job.id)~\(job.number.rawValue)".utf8.suffix(MessageLimits.idBytes)) ?? "retry-\(job.number.rawValue)"
            let submission = Submission(
                id: job.id, key: JobKey(producer: job.producer, service: job.service, id: id),
                digest: JobDigest(hashing: [envelope, payload]), envelope: envelope, payload: payload, priority: job.priority,
                parent: job.number)
            let request = state.withLock { RequestID($0.registry.nextNumber()) }
            perform(
                runner.post(
                    .submit(
                        SubmissionBatch(
                            request: request, producer: job.producer, service: job.service, jobs: [submission],
                            lookedUp: runner.now.uptime))))
            lines.append("\(job.number.rawValue): runs again")
        }
        return AdminReply(message: lines.joined(separator: "\n"))
    }

    /// What became of an administrator's event.
    func answer(_ id: RequestID, _ answer: AdminAnswer) {
        guard let request = state.withLock({ $0.registry.take(id) }) else { return }
        let reply =
            switch answer {
            case .done: AdminReply(message: "done")
            case .purged(let count): AdminReply(message: "\(count) jobs were given up")
            case .unknown: AdminReply(code: "admin.unknown", message: "what was named is not there")
            case .conflict: AdminReply(code: "admin.conflict", message: "it is there already, with other settings, or must stay")
            case .finished: AdminReply(code: "admin.finished", message: "the job has its outcome already")
            }
        send(reply, to: request.address, request.dialect)
    }

    private func reply(_ sender: Sender, _ reply: AdminReply) { send(reply, to: sender.address, sender.dialect) }

    private func send(_ reply: AdminReply, to address: PeerAddress, _ dialect: Majordomo.Dialect) {
        do throws(MessageError) {
            self.reply(to: address, dialect, AdminRequest.service, [try reply.encode()])
        } catch {
            logger.error("a reply could not be made", metadata: ["error": "\(error)"])
        }
    }
}
