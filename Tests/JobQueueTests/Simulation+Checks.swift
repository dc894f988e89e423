import JobQueue

/// What the outside sees, and what must be true of it.
extension Simulation {
    // MARK: Actions

    mutating func carryOut(_ actions: [Action]) throws {
        for action in actions {
            switch action {
            case .verdicts(let request, let verdicts): try hear(request, verdicts)
            case .lease(let batch): try lease(batch)
            case .deliver(let delivery): try deliver(delivery)
            case .acknowledged(let session, let receipt):
                guard var open = unconfirmed[session.rawValue], !open.isEmpty else { continue }
                let read = open.removeFirst()
                unconfirmed[session.rawValue] = open
                if receipt == .stored { confirmed.formUnion(read) }
            case .dismiss(let session):
                if let place = workers.firstIndex(where: { $0.session == session }) {
                    for lease in workers[place].batches.joined() where lease.isAlone { jobs[lease.job].charges += 1 }
                    keepForLater(workers.remove(at: place))
                }
                sinks.removeAll { $0.session == session }
                // Receipts that are still on their way answer what was said before; what was said last was refused.
                unconfirmed.removeValue(forKey: session.rawValue)
            case .receipts(let session, let receipts, _):
                guard var open = unreceipted[session.rawValue], !open.isEmpty else { continue }
                for (job, receipt) in zip(open.removeFirst(), receipts) where receipt == .stored {
                    if let job { jobs[job].isStored = true }
                }
                unreceipted[session.rawValue] = open
            case .finished, .refuseSink, .answer: break
            }
        }
    }

    private mutating func hear(_ request: RequestID, _ verdicts: [SubmissionVerdict]) throws {
        guard let indices = requests.removeValue(forKey: request.rawValue) else { return }
        guard indices.count == verdicts.count else { throw Violation("a verdict is missing") }
        for (index, verdict) in zip(indices, verdicts) {
            switch verdict {
            case .accepted(let number):
                guard index >= 0 else { throw Violation("another job was accepted under the id of job \(-1 - index)") }
                jobs[index].isAccepted = true
                try note(index, number.rawValue)
            case .duplicate(let status):
                guard index >= 0 else { throw Violation("another job passed for job \(-1 - index)") }
                jobs[index].isAccepted = true
                try compare(status, index)
            case .conflict: if index >= 0 { throw Violation("job \(index) is called a conflict with itself") }
            case .busy: break
            }
        }
    }

    /// A duplicate's status against the model.
    private func compare(_ status: JobStatus, _ index: Int) throws {
        switch status {
        case .finished(_, let sequence, let kind):
            if let known = jobs[index].sequence, known != sequence.rawValue || jobs[index].kind != kind {
                throw Violation("I3: job \(index) had outcome \(known), now \(sequence.rawValue)")
            }
        case .forgotten(let tombstone):
            if let known = jobs[index].sequence, known != tombstone.sequence.rawValue {
                throw Violation("I3: job \(index) had outcome \(known), its tombstone says \(tombstone.sequence.rawValue)")
            }
        case .ready, .waiting, .leased:
            if jobs[index].isInOrdered { throw Violation("I3: job \(index) is open again after its outcome was seen") }
        }
    }

    private mutating func note(_ index: Int, _ number: UInt64) throws {
        if let known = jobs[index].number, known != number { throw Violation("I2: job \(index) was accepted twice") }
        jobs[index].number = number
    }

    private mutating func lease(_ batch: LeasedBatch) throws {
        guard let place = workers.firstIndex(where: { $0.session == batch.session }) else { return }
        var held: [HeldLease] = []
        for grant in batch.grants {
            guard let job = jobByNumber[grant.job.rawValue] else { throw Violation("I4: a job was leased that nobody submitted") }
            held.append(
                HeldLease(
                    grant: grant, identity: workers[place].identity, job: job, isAlone: batch.isAlone, granted: uptime, renewed: uptime))
        }
        if batch.isAlone {
            let others = workers.contains {
                $0.name == workers[place].name && $0.identity == workers[place].identity && !$0.batches.isEmpty
            }
            if others || held.count != 1 { throw Violation("a suspect does not run alone") }
        }
        workers[place].batches.append(held)
    }

    private mutating func deliver(_ delivery: Delivery) throws {
        guard let place = sinks.firstIndex(where: { $0.session == delivery.session }) else { return }
        for (one, next) in zip(delivery.items, delivery.items.dropFirst()) where one.sequence >= next.sequence && sinks[place].isOrdered {
            throw Violation("I3: a delivery is out of order")
        }
        if !sinks[place].isOrdered {
            for item in delivery.items where confirmed.contains(item.sequence.rawValue) {
                throw Violation("outcome \(item.sequence.rawValue) came again although its acknowledgement was confirmed")
            }
        }
        if !orderedUnwritten.isEmpty, sinks[place].isOrdered {
            for item in orderedUnwritten where item.sequence.rawValue > orderedLast { try write(item) }
            orderedUnwritten = []
        }
        sinks[place].deliveries.append(delivery)
    }

    /// An outcome arrives where it is kept.
    mutating func see(_ item: Delivery.Item, ordered: Bool) throws {
        guard let index = jobByNumber[item.job.rawValue] else { throw Violation("I4: an outcome of no job") }
        let sequence = item.sequence.rawValue
        if let known = jobs[index].sequence, known != sequence {
            throw Violation("I3: job \(index) has outcomes \(known) and \(sequence)")
        }
        if let known = jobBySequence[sequence], known != index { throw Violation("I3: outcome \(sequence) belongs to two jobs") }
        jobs[index].sequence = sequence
        jobBySequence[sequence] = index
        if ordered {
            if jobs[index].isInOrdered { throw Violation("I2: job \(index) is twice in the ordered sink") }
            jobs[index].isInOrdered = true
        } else {
            jobs[index].isInShared = true
        }
    }

    // MARK: The journal

    /// What is about to be written, against the model of what may have happened.
    mutating func check(_ batch: JournalBatch) throws {
        for job in batch.accepted {
            let index = Int(job.key.high)
            jobByNumber[job.number.rawValue] = index
        }
        for update in batch.updated {
            guard let index = jobByNumber[update.number.rawValue] else { continue }
            guard update.attempts <= min(jobs[index].charges, Self.configuration.attempts - 1) else {
                throw Violation("I7: job \(index) was charged \(update.attempts) attempts for \(jobs[index].charges)")
            }
            guard update.crashes <= jobs[index].crashes else { throw Violation("I7: job \(index) is blamed for a crash that was not its") }
        }
        for finish in batch.finished {
            guard let index = jobByNumber[finish.number.rawValue] else { throw Violation("I4: an outcome of no job") }
            switch finish.kind {
            case .scored, .rejected:
                guard finish.body == Self.body(index) else { throw Violation("I5: job \(index) has another job's result") }
            case .dead(.attempts), .dead(.crash):
                guard jobs[index].charges >= Self.configuration.attempts || jobs[index].crashes >= Self.configuration.crashes else {
                    throw Violation("I7: good job \(index) is \(finish.kind)")
                }
            case .dead: guard jobs[index].mayDie else { throw Violation("I7: job \(index) is \(finish.kind) without a reason") }
            }
            jobs[index].kind = finish.kind
        }
    }

    // MARK: Time

    mutating func passTime() throws {
        let time: Int64 =
            switch random.below(100) {
            case 0..<70: Int64(random.below(300))
            case 70..<95: Int64(random.below(3000))
            default: Int64(random.below(70_000))
            }
        if time > 2000, random.chance(30) { standStill(time) } else { run(for: time) }
        if random.chance(2) { wall += Int64(random.below(7_200_000)) - 3_600_000 }
        // Live peers are heard, unless they have just been stopped.
        if time < 2500 {
            for place in workers.indices where random.chance(90) {
                workers[place].lastHeard = uptime
                handle(.heartbeat(workers[place].session, []))
            }
            for sink in sinks { handle(.heartbeat(sink.session, [])) }
        }
        for place in workers.indices {
            let isSilent = uptime - workers[place].lastHeard > 3000
            for lease in workers[place].batches.joined() {
                let isOut = uptime - lease.renewed >= 10_000 || uptime - lease.granted >= 60_000
                if isOut || (isSilent && lease.isAlone) { jobs[lease.job].charges += 1 }
            }
        }
        handle(.tick)
        if random.chance(10) { try checkZombies() }
    }

    /// The queue runs, and hears nothing. After a while nobody is left for whom time matters.
    private mutating func run(for time: Int64) {
        let end = uptime + time
        for _ in 0..<8 where end - uptime > 1500 {
            uptime += 1500
            handle(.tick)
        }
        wall += time
        uptime = end
    }

    /// The queue itself stands still: that is no time to anybody's leases, and nobody's silence.
    private mutating func standStill(_ time: Int64) {
        uptime += time
        wall += time
        for place in workers.indices {
            workers[place].lastHeard += time
            for batch in workers[place].batches.indices {
                for index in workers[place].batches[batch].indices {
                    workers[place].batches[batch][index].granted += time
                    workers[place].batches[batch][index].renewed += time
                }
            }
        }
        for place in sinks.indices { sinks[place].lastHeard += time }
    }

    /// I11: no lease outlives its cap.
    private func checkZombies() throws {
        let cap = Self.configuration.leaseMaximum.milliseconds + 11_000
        for worker in workers {
            for lease in worker.batches.joined() where uptime - lease.granted > cap && uptime - lease.renewed > 11_000 {
                if case .leased(let number, _) = machine.status(of: jobs[lease.job].key), number == lease.grant.job,
                    machine.isLeased(lease.grant.lease)
                {
                    throw Violation("I11: a lease is \(uptime - lease.granted) ms old")
                }
            }
        }
    }

    // MARK: The end

    /// No more faults: within a bounded time everything accepted has arrived at both groups, and the books balance.
    mutating func quiet() throws {
        while !workers.isEmpty { endWorker() }
        while !sinks.isEmpty { endSink() }
        handle(.setMode(RequestID(0), service: Self.services[0], .running))
        for round in 0..<4000 {
            if workers.count < 4 { connectWorker(isGood: true) }
            if sinks.count < 2 { connectSink(isGood: true) }
            while writing != nil || machine.hasOutput { try journalStep() }
            if isDone { return try checkBooks() }
            for place in workers.indices where !workers[place].batches.isEmpty {
                let batch = workers[place].batches.removeFirst()
                let answers = batch.map { WorkerAnswer(lease: $0.grant.lease, verdict: .scored, body: Self.body($0.job)) }
                handle(.answer(workers[place].session, identity: workers[place].identity, answers))
            }
            for _ in 0..<8 { try acknowledge() }
            for _ in 0..<(round % 4 == 3 ? 4 : 1) {
                uptime += round % 4 == 3 ? 1000 : 50
                for worker in workers { handle(.heartbeat(worker.session, [])) }
                for sink in sinks { handle(.heartbeat(sink.session, [])) }
                handle(.tick)
            }
        }
        let missing = jobs.indices.filter { jobs[$0].isAccepted && !(jobs[$0].isInOrdered && jobs[$0].isInShared) }
        throw Violation("I1: accepted and never arrived: \(missing.prefix(5)) of \(missing.count); \(machine.openJobCount) open")
    }

    private var isDone: Bool {
        machine.openJobCount == 0 && jobs.allSatisfy { !$0.isAccepted || ($0.isInOrdered && $0.isInShared) }
    }

    /// I6: what was accepted is finished or open; nothing is left over.
    private func checkBooks() throws {
        let figures = machine.figures(now: now)
        func isEmpty(_ level: QueueFigures.Level) -> Bool {
            level.open == 0 && level.bytes == 0 && level.ready == 0 && level.oldest == .zero
        }
        guard figures.openJobs == 0, figures.openBytes == 0, figures.inFlight == 0,
            figures.services.allSatisfy({ $0.open == 0 && $0.bytes == 0 && $0.ready == 0 && $0.levels.allSatisfy(isEmpty) })
        else { throw Violation("I6: the books don't balance: \(figures)") }
        for index in jobs.indices where jobs[index].isAccepted {
            switch machine.status(of: jobs[index].key) {
            case .finished(_, let sequence, _): if jobs[index].sequence != sequence.rawValue { throw Violation("I3: job \(index)") }
            case .forgotten(let stone): if jobs[index].sequence != stone.sequence.rawValue { throw Violation("I3: job \(index)") }
            case nil:
                guard journal.tombstone(jobs[index].key)?.sequence.rawValue == jobs[index].sequence else {
                    throw Violation("I1: job \(index) is neither known nor has it a tombstone")
                }
            default: throw Violation("I1: job \(index) is open")
            }
        }
    }
}
