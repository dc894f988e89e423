/// What workers say of leased jobs, and what it does to them.
extension QueueMachine {
    mutating func answer(_ id: SessionID, _ identity: String, _ answers: [WorkerAnswer], _ now: Moment) {
        let holder = secret.hash(identity)
        var receipts: [AnswerReceipt] = []
        receipts.reserveCapacity(answers.count)
        for answer in answers { receipts.append(receipt(answer, holder, now)) }
        let isKnown: Bool
        if let session = sessions[id], case .worker(let service, let worker) = session.role, session.identity == identity {
            isKnown = true
            sessions[id]?.heard = now.uptime.milliseconds
            closeBatch(id, answers, service, worker, now)
        } else {
            isKnown = false
        }
        let action = Action.receipts(id, receipts, isKnown: isKnown)
        if planted == .receiptBeforeCommit { output.immediate.append(action) } else { output.actions.append(action) }
    }

    private mutating func receipt(_ answer: WorkerAnswer, _ holder: UInt64, _ now: Moment) -> AnswerReceipt {
        let lease = answer.lease
        guard lease.partition == partition, lease.epoch <= epoch,
            lease.tag == secret.tag(partition: partition, epoch: lease.epoch, counter: lease.counter, job: lease.job, holder: holder)
        else {
            counters.refusedAnswers += 1
            return .refused
        }
        guard let slot = jobs.slot(of: lease.job.rawValue) else { return duplicate() }
        guard jobs[slot].state != .finished else {
            if planted == .secondOutcome, answer.verdict == .scored { finishAgain(slot, answer.body, now) }
            return duplicate()
        }
        let isCurrent = lease.epoch == epoch && jobs[slot].state == .leased && jobs[slot].lease == lease.counter
        switch answer.verdict {
        case .scored, .rejected:
            if isCurrent, let granted = leases[lease.counter]?.granted {
                counters.works.add(Double(leaseClock(now).subtractingSaturating(granted)) / 1000)
            }
            finish(slot, answer.verdict == .scored ? .scored : .rejected, answer.body, now)
        case .retry, .released:
            guard isCurrent || planted == .unfencedRefusal else {
                counters.refusedAnswers += 1
                return .refused
            }
            if jobs[slot].state == .ready { takeOut(slot) }
            endLease(slot)
            jobs[slot].state = .leased
            if answer.verdict == .retry {
                fail(slot, .answered, answer.body, now)
            } else {
                giveBack(slot, .handedBack, now)
            }
        }
        return .stored
    }

    private mutating func duplicate() -> AnswerReceipt {
        counters.duplicateAnswers += 1
        return .duplicate
    }

    /// Ends the batch that the answers belong to, and learns from its time.
    private mutating func closeBatch(_ id: SessionID, _ answers: [WorkerAnswer], _ service: Int, _ worker: String, _ now: Moment) {
        guard let session = sessions[id] else { return }
        let place = session.batches.firstIndex { batch in
            answers.contains { $0.lease.epoch == epoch && batch.counters.contains($0.lease.counter) }
        }
        // An answer to nothing that is open gives no credit, an empty one ends the oldest.
        guard let place = place ?? (answers.isEmpty && session.isBusy ? 0 : nil) else { return }
        let batch = session.batches[place]
        let time = now.uptime.milliseconds - batch.granted
        services[service].times.add(time)
        let timePerJob = Double(time) / Double(max(batch.counters.count, 1))
        sessions[id]?.timePerJob = session.timePerJob.map { ($0 * 3 + timePerJob) / 4 } ?? timePerJob
        endBatch(id, place, service, worker, now)
    }

    /// All sessions of a worker may have become eligible.
    private mutating func requeue(_ worker: String, _ service: Int) {
        for id in workers[worker]?.sessions ?? [] { enqueueIdle(id, service) }
    }

    mutating func corrupt(_ session: SessionID, _ ids: [LeaseID], _ isSent: Bool, _ now: Moment) {
        for id in ids where id.epoch == epoch {
            guard let lease = leases[id.counter], lease.session == session, jobs[lease.slot].number == id.job.rawValue else { continue }
            finish(lease.slot, .dead(.corrupt), [], now)
        }
        // A batch that was never sent is never answered.
        guard !isSent, let first = ids.first, case .worker(let service, let worker) = sessions[session]?.role,
            let place = sessions[session]?.batches.firstIndex(where: { $0.counters.contains(first.counter) })
        else { return }
        endBatch(session, place, service, worker, now)
    }

    /// The request is over: leases of it that are left go back, and the session may have another.
    private mutating func endBatch(_ id: SessionID, _ place: Int, _ service: Int, _ worker: String, _ now: Moment) {
        guard let batch = sessions[id]?.batches.remove(at: place) else { return }
        for counter in batch.counters.reversed() {
            guard let lease = leases[counter] else { continue }
            endLease(lease.slot)
            giveBack(lease.slot, .unanswered, now)
        }
        sessions[id]?.credit += 1
        workers[worker]?.openBatches -= 1
        if batch.isAlone { workers[worker]?.isAlone = false }
        if workers[worker]?.isDraining == true { dismissIdle(worker, now) }
        requeue(worker, service)
    }

    // MARK: Jobs

    /// Ends the current lease of a leased job; its state is the caller's to set.
    mutating func endLease(_ slot: UInt32) {
        leases.removeValue(forKey: jobs[slot].lease)
        jobs[slot].lease = 0
    }

    /// Ready again, at no cost.
    mutating func giveBack(_ slot: UInt32, _ why: ReturnReason, _ now: Moment) {
        counters.returned[why, default: 0] += 1
        if jobs[slot].deadline <= now.uptime.milliseconds {
            finish(slot, .dead(.expired), [], now)
        } else {
            makeReady(slot, now, atFront: true)
        }
    }

    /// What an attempt failed of.
    enum Failure: Sendable {
        /// The worker said retry.
        case answered
        /// The lease ran out, or its worker fell silent while it had only this job.
        case ranOut
        /// The worker that had only this job died of it.
        case crash
        /// The worker that had only this job died before it said that it had started.
        case died
    }

    /// Costs an attempt: the job waits for the next one, or is dead.
    mutating func fail(_ slot: UInt32, _ failure: Failure, _ body: [UInt8], _ now: Moment) {
        jobs[slot].attempts = UInt8(clamping: Int(jobs[slot].attempts) + 1)
        if failure == .crash { jobs[slot].crashes = UInt8(clamping: Int(jobs[slot].crashes) + 1) }
        counters.retries[failure, default: 0] += 1
        if Int(jobs[slot].crashes) >= configuration.crashes { return finish(slot, .dead(.crash), body, now) }
        if Int(jobs[slot].attempts) >= configuration.attempts { return finish(slot, .dead(.attempts), body, now) }
        if jobs[slot].deadline <= now.uptime.milliseconds { return finish(slot, .dead(.expired), body, now) }
        let doublings = min(Int(jobs[slot].attempts) - 1, 16)
        let wait = min(configuration.retryBase.milliseconds << doublings, configuration.retryMaximum.milliseconds)
        let until = now.uptime + .milliseconds(Int64(Double(wait) * jitter.factor()))
        jobs[slot].state = .waiting
        jobs[slot].when = until.milliseconds
        setTimer(slot, until.milliseconds)
        record(slot, notBefore: now.wall(of: until))
    }

    /// Journals what changed of an open job.
    mutating func record(_ slot: UInt32, notBefore: WallTime?) {
        let job = jobs[slot]
        output.batch.updated.append(
            JobUpdate(
                number: JobNumber(job.number), attempts: Int(job.attempts), crashes: Int(job.crashes), isSuspect: job.isSuspect,
                notBefore: notBefore))
    }

    /// The job's one outcome, whatever state it is in.
    mutating func finish(_ slot: UInt32, _ kind: OutcomeKind, _ body: [UInt8], _ now: Moment) {
        switch jobs[slot].state {
        case .ready: takeOut(slot)
        case .leased: endLease(slot)
        case .waiting: break
        case .free, .finished: preconditionFailure("job \(jobs[slot].number) can't finish: it is \(jobs[slot].state)")
        }
        let (service, bytes, flow) = (serviceOf(slot), Int(jobs[slot].bytes), Int(jobs[slot].flow))
        let producer = Int(flows[flow].producer)
        flows[flow].jobs -= 1
        flows[flow].bytes -= bytes
        openJobs -= 1
        openBytes -= bytes
        services[service].jobs -= 1
        services[service].bytes -= bytes
        services[service].rate.add(now)
        names[producer].jobs -= 1
        names[producer].bytes -= bytes
        jobs[slot].state = .finished
        jobs[slot].outcome = kind.code
        counters.finished[kind, default: 0] += 1
        publish(slot, kind, body, now)
    }

    /// Gives the outcome its number and its place.
    private mutating func publish(_ slot: UInt32, _ kind: OutcomeKind, _ body: [UInt8], _ now: Moment) {
        lastSequence += 1
        jobs[slot].when = Int64(bitPattern: lastSequence)
        outcomes.append(slot)
        hasNewOutcomes = true
        let (number, sequence) = (JobNumber(jobs[slot].number), Sequence(lastSequence))
        output.batch.finished.append(
            FinishedJob(
                number: number, sequence: sequence, kind: kind, finished: now.wall, attempts: Int(jobs[slot].attempts), body: body))
        if jobs[slot].isWatched { output.actions.append(.finished(number, sequence, kind)) }
    }

    /// The planted bug of a journal that doesn't keep outcomes unique.
    private mutating func finishAgain(_ slot: UInt32, _ body: [UInt8], _ now: Moment) { publish(slot, .scored, body, now) }
}
