package import JobQueue
internal import Logging
internal import Messages
internal import Synchronization
internal import Transport

/// Workers and sinks: they come, answer, and go.
extension DispatcherCore {
    func ready(_ service: String, _ info: Frame?, _ sender: Sender) {
        let isQueue = DispatcherSettings.isQueueService(service)
        let group = DispatcherSettings.group(of: service)
        let roles: Set<Role> = group != nil ? [.sink] : service.hasPrefix("train") ? [.trainer, .worker] : [.worker]
        guard !sender.caller.roles.isDisjoint(with: roles) else {
            refuse(
                .role, sender.caller.name,
                "to serve \(service) it needs the role \(roles.map(\.rawValue).sorted().joined(separator: " or "))")
            return send(.disconnect, to: sender.address, sender.dialect)
        }
        guard isQueue || group != nil else {
            return send(state.withLock { $0.plain.ready(sender.address, service: service, dialect: sender.dialect, now: .now) })
        }
        let description = info.flatMap { try? PeerInfo(frame: $0.bytes) }
        let name = description?.worker ?? sender.address.peer.id.map { String($0, radix: 16) }.joined(separator: ".")
        let session = Registry.Session(
            address: sender.address, dialect: sender.dialect, identity: sender.caller.name, service: service,
            role: group == nil ? .worker : .sink(isAnnounced: description != nil), isExtended: description != nil, info: description)
        let id = state.withLock { state in
            state.registry.byAddress[sender.address].map { id in
                state.registry.sessions[id] = session
                return id
            } ?? state.registry.open(session)
        }
        if let group {
            var sink = SinkReady(session: id, identity: sender.caller.name, group: group, announcesHeartbeats: description != nil)
            if let items = description?.batchItems, items > 0 { sink.batchOutcomes = min(items, MessageLimits.itemsPerBatch) }
            perform(runner.post(.sinkReady(sink)))
        } else {
            var worker = WorkerReady(
                session: id, identity: sender.caller.name, worker: name, service: service, announcesHeartbeats: description != nil)
            if let items = description?.batchItems, items > 0 { worker.batchJobs = min(items, MessageLimits.itemsPerBatch) }
            if let bytes = description?.batchBytes, bytes > 0 { worker.batchBytes = bytes }
            perform(runner.post(.ready(worker)))
        }
    }

    func heartbeat(_ info: Frame?, _ sender: Sender) {
        let id = state.withLock { state -> SessionID? in
            if let id = state.registry.byAddress[sender.address] { return id }
            state.plain.heard(sender.address, now: .now)
            return nil
        }
        guard let id else {
            // Whoever is not known must say READY first; DISCONNECT makes it do so.
            if !state.withLock({ $0.plain.workers[sender.address] != nil }) { send(.disconnect, to: sender.address, sender.dialect) }
            return
        }
        let beat = info.flatMap { try? HeartbeatInfo(frame: $0.bytes) }
        let progress = (beat?.leases ?? []).compactMap { entry in
            LeaseID(bytes: entry.lease).map { LeaseProgress(lease: $0, counter: entry.counter) }
        }
        perform(runner.post(.heartbeat(id, progress)))
        if let echo = beat?.echo, echo > 0 { sendHeartbeat(HeartbeatInfo(echo: echo), to: sender.address, sender.dialect) }
    }

    /// The FINAL of a worker or a sink.
    func final(_ client: Frame, _ body: [Frame], _ sender: Sender) {
        let known = state.withLock { state in
            state.registry.byAddress[sender.address].flatMap { id in state.registry.sessions[id].map { (id, $0) } }
        }
        if let (id, session) = known {
            switch session.role {
            case .worker: answers(body, id, session, sender)
            case .sink: acknowledgement(body, id, sender)
            }
            return
        }
        if state.withLock({ $0.plain.workers[sender.address] != nil }) {
            return send(state.withLock { $0.plain.final(sender.address, client: client, body: body, now: .now) })
        }
        // The queue has forgotten the worker; what it did may still count.
        if !sender.caller.roles.isDisjoint(with: [.worker, .trainer]), (try? ReceivedAnswers(envelopes: body.map(\.bytes))) != nil {
            let session = Registry.Session(
                address: sender.address, dialect: sender.dialect, identity: sender.caller.name, service: "", role: .worker, isExtended: true
            )
            let id = state.withLock { $0.registry.open(session) }
            return answers(body, id, session, sender)
        }
        send(.disconnect, to: sender.address, sender.dialect)
    }

    private func answers(_ body: [Frame], _ id: SessionID, _ session: Registry.Session, _ sender: Sender) {
        let received: ReceivedAnswers
        do throws(MessageError) {
            received = try ReceivedAnswers(envelopes: body.map(\.bytes))
        } catch {
            refuse(.malformed, sender.caller.name, "its answer can't be read: \(error)")
            return perform(runner.post(.answer(id, identity: session.identity, [])), expecting: id)
        }
        if let first = received.rejected.first { refuse(.malformed, sender.caller.name, "an answer can't be used: \(first)") }
        var answers: [WorkerAnswer] = []
        for answer in received.answers {
            guard let lease = LeaseID(bytes: answer.lease) else { continue }
            answers.append(WorkerAnswer(lease: lease, verdict: .init(answer.kind), body: answer.result))
        }
        state.withLock { state in
            for answer in received.answers where answer.kind == .rejected { state.counters.rejected.count(answer.code) }
        }
        guard session.service.hasPrefix(DispatcherSettings.trainService) || session.service.isEmpty else {
            return post(answers, id, session)
        }
        let (forgotten, isLate) = Self.forgotten(answers)
        if forgotten.isEmpty && !isLate { return post(answers, id, session) }
        Task { [eraser, logger] in
            do {
                // Before it is said that an example is forgotten, nothing of it may be left here.
                if !forgotten.isEmpty { try await eraser.erase(forgotten) }
            } catch {
                // It comes back with the answer, which nobody has acknowledged.
                logger.error(
                    "a forgotten example can't be erased; it is tried again when its trainer has come back", metadata: ["error": "\(error)"]
                )
                left(sender.address, .evicted)
                return send(.disconnect, to: sender.address, sender.dialect)
            }
            post(answers, id, session)
            // An image that came after its example was forgotten lies here until its outcome is committed.
            guard isLate else { return }
            do {
                try await Task.sleep(for: .seconds(1))
                try await eraser.erase([])
            } catch {
                logger.error(
                    "what came late of a forgotten example can't be erased; the next erasure does it", metadata: ["error": "\(error)"])
            }
        }
    }

    private func post(_ answers: [WorkerAnswer], _ id: SessionID, _ session: Registry.Session) {
        let leases = answers.map(\.lease)
        state.withLock { $0.registry.sessions[id]?.awaiting.append(leases) }
        perform(runner.post(.answer(id, identity: session.identity, answers)))
    }

    /// The examples that a trainer has forgotten, and whether it has refused one that was forgotten before.
    private static func forgotten(_ answers: [WorkerAnswer]) -> (Set<ExampleEraser.Example>, isLate: Bool) {
        var (examples, isLate): (Set<ExampleEraser.Example>, Bool) = ([], false)
        for answer in answers {
            guard let result = try? JobResult(stored: answer.body, place: nil) else { continue }
            switch result.outcome {
            case .learned(let id, .forgotten): examples.insert(.init(classSet: result.classSet?.name ?? "", id: id))
            case .failed(let failure) where failure.code == "example.forgotten": isLate = true
            case .learned, .failed, .scored: break
            }
        }
        return (examples, isLate)
    }

    /// An answer without any usable content ends the request all the same.
    private func perform(_ actions: [Action], expecting id: SessionID) {
        state.withLock { $0.registry.sessions[id]?.awaiting.append([]) }
        perform(actions)
    }

    private func acknowledgement(_ body: [Frame], _ id: SessionID, _ sender: Sender) {
        var event = Acknowledgement.failed
        do throws(MessageError) {
            guard let envelope = body.first else { throw .emptyBatch }
            let acknowledgement = try SinkAcknowledgement(envelope: envelope.bytes)
            switch acknowledgement.extent {
            case .through(let sequence): event = .through(Sequence(sequence), Generation(acknowledgement.generation))
            case .sequences(let sequences): event = .list(sequences.map { Sequence($0) })
            case .failed: break
            }
        } catch {
            refuse(.malformed, sender.caller.name, "its acknowledgement can't be read: \(error)")
        }
        perform(runner.post(.acknowledge(id, event)))
    }

    /// A peer is gone, or said goodbye.
    func left(_ address: PeerAddress, _ end: SessionEnd) {
        let (id, effects) = state.withLock { state -> (SessionID?, [PlainServices.Effect]) in
            if let id = state.registry.byAddress[address] {
                state.registry.close(id)
                return (id, [])
            }
            state.registry.dropWaits(of: address)
            return (nil, state.plain.remove(address, now: .now))
        }
        if let id { perform(runner.post(.ended(id, end))) }
        send(effects)
    }

    // MARK: What the queue decided

    /// Carries out what promises nothing.
    func perform(_ actions: [Action]) { for action in actions { perform(action) } }

    /// What is durable and may be said.
    package func deliver(_ outgoing: [PartitionRunner.Outgoing]) {
        for item in outgoing {
            switch item {
            case .action(let action): perform(action)
            case .jobs(let batch, let contents): lease(batch, contents)
            case .outcomes(let delivery, let outcomes): deliver(delivery, outcomes)
            }
        }
    }

    private func perform(_ action: Action) {
        switch action {
        case .verdicts(let request, let verdicts): self.verdicts(request, verdicts)
        case .finished(let job, let sequence, _): finished(job, sequence)
        case .receipts(let session, let receipts, let isKnown): self.receipts(session, receipts, isKnown)
        case .dismiss(let session), .refuseSink(let session): dismiss(session)
        case .answer(let request, let answer): self.answer(request, answer)
        case .acknowledged(let session, .refused):
            refuse(
                .acknowledgement, state.withLock { $0.registry.sessions[session]?.identity } ?? "a sink",
                "its acknowledgement is not of what it was sent")
        case .acknowledged(_, .stored): break
        // These two come with their bytes.
        case .lease, .deliver: break
        }
    }

    private func dismiss(_ id: SessionID) {
        guard let session = state.withLock({ $0.registry.close(id) }) else { return }
        send(.disconnect, to: session.address, session.dialect)
    }

    private func receipts(_ id: SessionID, _ receipts: [AnswerReceipt], _ isKnown: Bool) {
        let found = state.withLock { state -> (Registry.Session, [LeaseID])? in
            guard let session = state.registry.sessions[id] else { return nil }
            let leases = session.awaiting.first ?? []
            if !session.awaiting.isEmpty { state.registry.sessions[id]?.awaiting.removeFirst() }
            if !isKnown { state.registry.close(id) }
            return (session, leases)
        }
        guard let (session, leases) = found else { return }
        if session.isExtended, !leases.isEmpty {
            let list = zip(leases, receipts).map { HeartbeatInfo.Receipt(lease: $0.bytes, isStored: $1 == .stored) }
            sendHeartbeat(HeartbeatInfo(receipts: list), to: session.address, session.dialect)
        }
        if !isKnown { send(.disconnect, to: session.address, session.dialect) }
    }

    private func lease(_ batch: LeasedBatch, _ contents: [JobContent]) {
        guard let session = state.withLock({ $0.registry.sessions[batch.session] }), let first = batch.grants.first else { return }
        var items: [LeasedJobs.Item] = []
        var payloads: [[UInt8]] = []
        for (grant, content) in zip(batch.grants, contents) {
            guard case .intact(_, let envelope, let payload) = content else { continue }
            items.append(LeasedJobs.Item(job: envelope, lease: grant.lease.bytes, attempt: grant.attempt, timeLeft: grant.timeLeft))
            payloads.append(payload)
        }
        do {
            let name = "\(first.lease.epoch.rawValue).\(first.lease.counter)"
            let (envelope, count) = try LeasedJobs(batchID: name, isAlone: batch.isAlone, items: items).encode()
            var body = [try Frame(envelope)]
            for payload in payloads.prefix(count) { body.append(try Frame(payload)) }
            send(.request(client: try Frame(Array(name.utf8)), body: body), to: session.address, session.dialect)
        } catch {
            logger.error("a batch could not be sent", metadata: ["error": "\(error)"])
            left(session.address, .evicted)
        }
    }

    private func deliver(_ delivery: Delivery, _ outcomes: [StoredOutcome]) {
        let door = door(delivery.session)
        let session = state.withLock { $0.registry.sessions[delivery.session] }
        guard door != nil || session != nil else { return }
        let bySequence = Dictionary(outcomes.map { ($0.sequence, $0) }, uniquingKeysWith: { first, _ in first })
        let items = delivery.items.compactMap { item in
            bySequence[item.sequence].map { DeliveredResults.Item($0, previous: item.previous.rawValue) }
        }
        do {
            var body: [Frame] = []
            let results = DeliveredResults(group: delivery.group, generation: delivery.generation.rawValue, items: items)
            for envelope in try results.encode() { body.append(try Frame(envelope)) }
            door?(delivery, body)
            guard let session else { return }
            send(.request(client: try Frame(Array(delivery.group.utf8)), body: body), to: session.address, session.dialect)
        } catch {
            logger.error("outcomes could not be sent", metadata: ["error": "\(error)"])
            if let session { left(session.address, .evicted) }
        }
    }

    // MARK: Heartbeats

    /// To every worker and sink: it is how they know of us, and how we learn that a connection is broken.
    func sendHeartbeats() {
        let now = ContinuousClock.now
        let (sessions, plain, effects, gap) = state.withLock { state in
            let gap = now - (state.heartbeatsSent ?? now)
            state.heartbeatsSent = now
            // After a standstill, what peers said meanwhile is still unread.
            let effects = gap > standstill ? [] : state.plain.tick(now: now)
            return (
                state.registry.sessions.values.map { ($0.address, $0.dialect) }, state.plain.workers.map { ($0.key, $0.value.dialect) },
                effects, gap
            )
        }
        if gap > standstill {
            logger.warning(
                "this process stood still: it was stopped, or its machine was; no peer is taken for silent, and no lease loses time",
                metadata: ["seconds": "\(gap.components.seconds)"])
        }
        for (address, dialect) in sessions + plain { send(.heartbeat(info: nil), to: address, dialect) }
        send(effects)
    }

    /// Heartbeats that are later than this did not come because nothing ran.
    private var standstill: Duration { settings.heartbeat * 4 }

    private func sendHeartbeat(_ info: HeartbeatInfo, to address: PeerAddress, _ dialect: Majordomo.Dialect) {
        do {
            send(.heartbeat(info: try Frame(try info.encode())), to: address, dialect)
        } catch {
            logger.error("a heartbeat could not be made", metadata: ["error": "\(error)"])
        }
    }
}

extension WorkerAnswer.Verdict {
    init(_ kind: AnswerBatch.Kind) {
        switch kind {
        case .scored: self = .scored
        case .rejected: self = .rejected
        case .retry: self = .retry
        case .released: self = .released
        }
    }
}

extension DeliveredResults.Item {
    /// An outcome as sinks get it. A job that died without a result of its own has one that says why.
    init(_ outcome: StoredOutcome, previous: UInt64) {
        let place = OutcomePlace(
            sequence: outcome.sequence.rawValue, previous: previous, service: outcome.service, producer: outcome.producer)
        guard case .dead(let reason) = outcome.kind else {
            self.init(result: outcome.body, place: place)
            return
        }
        let job = try? Job(stored: outcome.envelope)
        let result = JobResult(
            id: outcome.id, outcome: .failed(Failure(reason, attempts: outcome.attempts, last: outcome.body)), worker: "dispatcher",
            attempt: max(outcome.attempts, 1), metadata: job?.metadata ?? [:], traceparent: job?.traceparent ?? "")
        self.init(result: (try? result.storedBytes()) ?? outcome.body, place: place)
    }
}

extension Failure {
    init(_ reason: DeadReason, attempts: Int, last: [UInt8]) {
        let (code, text): (String, String) =
            switch reason {
            case .attempts: ("dead.attempts", "it failed \(attempts) times")
            case .crash: ("dead.crash", "workers died of it")
            case .corrupt: ("dead.corrupt", "its payload in the journal is damaged")
            case .expired: ("dead.expired", "its deadline or the queue's age limit passed before its turn came")
            case .purged: ("dead.purged", "an administrator emptied the queue")
            case .cancelled: ("dead.cancelled", "its producer cancelled it")
            }
        var message = "the job was given up: " + text
        if let result = try? JobResult(stored: last, place: nil), case .failed(let failure) = result.outcome {
            message += "; the last time: \(failure.message) (\(failure.code))"
        }
        self.init(code: code, stage: .queue, message: message, retryable: false)
    }
}
