internal import Foundation
internal import JobQueue
internal import Logging
internal import Messages
internal import Synchronization
internal import Transport

/// Jobs that come in, and what is said to their producers.
extension DispatcherCore {
    /// A batch of jobs.
    func submit(_ service: String, _ body: [Frame], _ sender: Sender) {
        let request = Registry.Request(address: sender.address, dialect: sender.dialect, service: service, batchID: "")
        submit(body, request, producer: sender.caller.name)
    }

    /// Jobs from a side door, whose producer is told nothing. Nil when all is done that can be, or how long to wait before the same again.
    func submitFromDoor(_ body: [Frame]) async -> Duration? {
        await withCheckedContinuation { continuation in
            let nobody = PeerAddress(router: -1, peer: Router.Peer(id: []))
            let request = Registry.Request(
                address: nobody, dialect: .standard(.v01), service: DispatcherSettings.queueServices[0], batchID: "",
                whenBusy: { continuation.resume(returning: $0) })
            submit(body, request, producer: DispatcherSettings.doorIdentity)
        }
    }

    /// The queue has ended and answers no more: what side doors wait for is over, and nothing new begins.
    func queueEnded() {
        let waiting = state.withLock { state in
            state.hasQueueEnded = true
            return state.registry.requests.filter { $0.value.whenBusy != nil }.keys.compactMap { state.registry.take($0) }
        }
        for request in waiting { request.whenBusy?(.zero) }
    }

    /// Takes in a body of jobs; `request` says how it is answered.
    func submit(_ body: [Frame], _ request: Registry.Request, producer: String) {
        let batch: ReceivedJobBatch
        do throws(MessageError) {
            guard let envelope = body.first else { throw .emptyBatch }
            batch = try ReceivedJobBatch(envelope: envelope.bytes, payloadSizes: body.dropFirst().map(\.count))
        } catch {
            state.withLock { $0.counters.invalid.count(error.code) }
            return answer(request, SubmitReply(batchID: "", receipts: [], failure: error.failure))
        }
        var filled = Registry.Request(
            address: request.address, dialect: request.dialect, service: request.service, batchID: batch.id, whenBusy: request.whenBusy)
        filled.wantsOutcomes = batch.wantsOutcomes && request.dialect.version == .v02
        filled.bytes = body.reduce(0) { $0 + $1.count }
        let jobs = submissions(batch, body, producer, &filled)
        let invalid = filled.receipts.filter { $0.verdict == .invalid }
        if !invalid.isEmpty { state.withLock { state in for receipt in invalid { state.counters.invalid.count(receipt.code) } } }
        enter(filled, jobs, producer)
    }

    /// What of the batch can be submitted; `request` gets a receipt for each job.
    private func submissions(
        _ batch: ReceivedJobBatch, _ body: [Frame], _ producer: String, _ request: inout Registry.Request
    ) -> [Submission] {
        let now = runner.now
        var jobs: [Submission] = []
        for (index, entry) in batch.entries.enumerated() {
            switch entry {
            case .failure(let rejected):
                request.receipts.append(
                    JobReceipt(id: rejected.id, verdict: .invalid, code: rejected.reason.code, message: "\(rejected.reason)"))
            case .success(let job)
            where batch.jobBytes[index].count > MessageLimits.jobBytes || body[index + 1].count > settings.maximumImageBytes:
                request.receipts.append(
                    JobReceipt(
                        id: job.id, verdict: .invalid, code: "message.too_large",
                        message: "the job has \(batch.jobBytes[index].count) bytes (limit \(MessageLimits.jobBytes)) and its image "
                            + "\(body[index + 1].count) (limit \(settings.maximumImageBytes))"))
            case .success(let job):
                request.submitted.append(request.receipts.count)
                request.receipts.append(JobReceipt(id: job.id, verdict: .accepted))
                jobs.append(
                    submission(
                        job, bytes: batch.jobBytes[index], payload: body[index + 1], service: request.service, producer: producer, now: now,
                        wantsOutcome: request.wantsOutcomes))
            }
        }
        return jobs
    }

    private func submission(
        _ job: Job, bytes: [UInt8], payload: Frame, service: String, producer: String, now: Moment, wantsOutcome: Bool
    ) -> Submission {
        let payload = payload.bytes
        return Submission(
            id: job.id, key: JobKey(producer: producer, service: service, id: job.id),
            digest: JobDigest(hashing: job.digestParts, last: payload), envelope: bytes, payload: payload,
            priority: job.priority.map { Priority(UInt8(clamping: $0)) } ?? .standard,
            deadline: job.deadline.map { now.uptime + $0.remaining(unixMilliseconds: now.wall.milliseconds) },
            notBefore: job.notBefore.map { now.uptime + $0 }, wantsOutcome: wantsOutcome)
    }

    /// Looks the keys up, and posts. Bounded by the bytes that are on their way.
    private func enter(_ request: Registry.Request, _ jobs: [Submission], _ producer: String) {
        if jobs.isEmpty { return answer(request, SubmitReply(batchID: request.batchID, receipts: request.receipts)) }
        let id = state.withLock { state -> RequestID? in
            state.counters.requests += 1
            if state.hasQueueEnded { return nil }
            let isFull = state.registry.ingestBytes > 0 && state.registry.ingestBytes + request.bytes > settings.ingestBytes
            return isFull ? nil : state.registry.add(request)
        }
        guard let id else { return busy(request, "ingest.bytes", retryAfter: .milliseconds(200)) }
        Task { [runner] in
            let lookedUp = runner.now.uptime
            var jobs = jobs
            do {
                let tombstones = try await runner.tombstones(of: jobs.map(\.key))
                for (index, tombstone) in tombstones.enumerated() { jobs[index].tombstone = tombstone }
            } catch {
                _ = state.withLock { $0.registry.take(id) }
                return busy(request, "journal", retryAfter: .seconds(5))
            }
            perform(
                runner.post(
                    .submit(SubmissionBatch(request: id, producer: producer, service: request.service, jobs: jobs, lookedUp: lookedUp))))
        }
    }

    private func busy(_ request: Registry.Request, _ code: String, retryAfter: Duration) {
        var receipts = request.receipts
        for index in request.submitted {
            receipts[index] = JobReceipt(id: receipts[index].id, verdict: .busy, retryAfter: retryAfter, code: code)
        }
        answer(request, SubmitReply(batchID: request.batchID, receipts: receipts))
    }

    /// What the queue said to the jobs of a request.
    func verdicts(_ id: RequestID, _ verdicts: [SubmissionVerdict]) {
        guard var request = state.withLock({ $0.registry.take(id) }) else { return }
        var open: Set<JobNumber> = []
        var finished: [JobQueue.Sequence] = []
        for (place, verdict) in zip(request.submitted, verdicts) {
            request.receipts[place] = JobReceipt(id: request.receipts[place].id, verdict)
            switch verdict {
            case .accepted(let number): open.insert(number)
            case .duplicate(.ready(let number)), .duplicate(.waiting(let number, _)), .duplicate(.leased(let number, _)):
                open.insert(number)
            case .duplicate(.finished(_, let sequence, _)): finished.append(sequence)
            case .duplicate(.forgotten), .conflict, .busy: break
            }
        }
        let reply = SubmitReply(batchID: request.batchID, receipts: request.receipts)
        guard request.wantsOutcomes, !(open.isEmpty && finished.isEmpty) else { return answer(request, reply) }
        answer(request, reply, isFinal: false)
        follow(request, open, finished)
    }

    /// The outcomes follow when all are there.
    private func follow(_ request: Registry.Request, _ open: Set<JobNumber>, _ finished: [JobQueue.Sequence]) {
        let wait = Registry.Wait(
            address: request.address, dialect: request.dialect, service: request.service, batchID: request.batchID, open: open,
            finished: finished)
        let isAdded = state.withLock { state in
            guard !open.isEmpty, state.registry.watchedJobs + open.count <= settings.watchedJobs else { return false }
            state.registry.add(wait)
            return true
        }
        if !isAdded { return complete(wait) }
        // One may have finished between the verdict and now; watching it again finds that out.
        for number in open { perform(runner.post(.watch(number))) }
    }

    /// A job that somebody waits for has its outcome.
    func finished(_ number: JobNumber, _ sequence: JobQueue.Sequence) {
        for wait in state.withLock({ $0.registry.finished(number, sequence) }) { complete(wait) }
    }

    private func complete(_ wait: Registry.Wait) {
        Task { [store] in
            do {
                let outcomes = try await store.outcomes(wait.finished.sorted { $0.rawValue < $1.rawValue }, in: PartitionID())
                let items = outcomes.map { DeliveredResults.Item($0, previous: 0) }
                let envelopes = try DeliveredResults(group: "", generation: 0, items: items).encode()
                reply(to: wait.address, wait.dialect, wait.service, envelopes)
            } catch {
                logger.error("outcomes could not be read for their producer", metadata: ["error": "\(error)"])
            }
        }
    }

    func answer(_ request: Registry.Request, _ reply: SubmitReply, isFinal: Bool = true) {
        if let whenBusy = request.whenBusy {
            let conflicts = reply.receipts.count { $0.verdict == .conflict }
            if conflicts > 0 { state.withLock { $0.counters.doorConflicts += UInt64(conflicts) } }
            return whenBusy(reply.receipts.filter { $0.verdict == .busy }.map(\.retryAfter).max())
        }
        do throws(MessageError) {
            self.reply(to: request.address, request.dialect, request.service, try reply.encode(), isFinal: isFinal)
        } catch {
            logger.error("a reply could not be made", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Queries

    /// Status, outcome, cancel by id.
    func query(_ body: [Frame], _ sender: Sender) {
        let query: JobQuery
        do throws(MessageError) {
            guard let envelope = body.first else { throw .emptyBatch }
            query = try JobQuery(envelope: envelope.bytes)
        } catch {
            let envelopes = (try? SubmitReply(batchID: "", receipts: [], failure: error.failure).encode()) ?? []
            return reply(to: sender, JobQuery.service, envelopes)
        }
        Task {
            var receipts: [JobReceipt] = []
            for id in query.ids {
                let key = JobKey(producer: sender.caller.name, service: query.jobService, id: id)
                if query.cancels {
                    let request = state.withLock { RequestID($0.registry.nextNumber()) }
                    perform(runner.post(.cancel(request, key)))
                }
                receipts.append(await receipt(id, key, withOutcome: query.withOutcomes, isCancelled: query.cancels))
            }
            // What was decided may not be durable yet; without that, nobody is told.
            guard await runner.barrier() else { return }
            let envelopes = (try? SubmitReply(batchID: "", receipts: receipts).encode()) ?? []
            reply(to: sender, JobQuery.service, envelopes)
        }
    }

    private func receipt(_ id: String, _ key: JobKey, withOutcome: Bool, isCancelled: Bool) async -> JobReceipt {
        let known = runner.read { $0.status(of: key) }
        let status: JobStatus
        if let known {
            status = known
        } else if let tombstone = (try? await runner.tombstones(of: [key]))?.first ?? nil {
            status = .forgotten(tombstone)
        } else {
            return JobReceipt(id: id, verdict: .unknown)
        }
        var receipt = JobReceipt(id: id, verdict: .duplicate, status: status)
        if isCancelled, case .finished(_, _, .dead(.cancelled)) = status { receipt.verdict = .cancelled }
        if withOutcome, case .finished(_, let sequence, _) = status {
            let outcome = try? await store.outcomes([sequence], in: PartitionID()).first
            let item = outcome.flatMap { $0 }.map { DeliveredResults.Item($0, previous: 0) }
            receipt.result = item.flatMap { try? JobResult(stored: $0.result, place: $0.place) }
        }
        return receipt
    }
}

extension JobReceipt {
    init(id: String, _ verdict: SubmissionVerdict) {
        switch verdict {
        case .accepted: self.init(id: id, verdict: .accepted, state: .ready)
        case .duplicate(let status): self.init(id: id, verdict: .duplicate, status: status)
        case .conflict:
            self.init(
                id: id, verdict: .conflict, code: "job.conflict",
                message: "another job with other content has this id: ids name one piece of work for good")
        case .busy(let reason, let retryAfter): self.init(id: id, verdict: .busy, retryAfter: retryAfter, code: reason.rawValue)
        }
    }

    init(id: String, verdict: Verdict, status: JobStatus) {
        let (state, sequence): (State, UInt64) =
            switch status {
            case .ready: (.ready, 0)
            case .waiting: (.waiting, 0)
            case .leased: (.leased, 0)
            case .finished(_, let sequence, let kind): (State(kind), sequence.rawValue)
            case .forgotten(let tombstone): (State(tombstone.outcome), tombstone.sequence.rawValue)
            }
        self.init(id: id, verdict: verdict, state: state, sequence: sequence)
    }
}

extension JobReceipt.State {
    init(_ kind: OutcomeKind) {
        switch kind {
        case .scored: self = .scored
        case .rejected: self = .rejected
        case .dead: self = .dead
        }
    }
}
