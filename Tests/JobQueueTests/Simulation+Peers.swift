import JobQueue

/// What producers, workers, sinks and administrators do.
extension Simulation {
    mutating func submit() {
        let producer = random.below(3)
        let service = Self.services[random.below(8) == 0 ? 1 : 0]
        var batch: [Submission] = []
        var indices: [Int] = []
        for _ in 0...random.below(4) {
            var job: ModelJob
            let index: Int
            if !jobs.isEmpty, random.chance(35) {
                // Again: an answer was lost, or somebody repeats himself.
                index = random.below(jobs.count)
                job = jobs[index]
                guard job.producer == producer, job.service == service, !indices.contains(index) else { continue }
            } else {
                index = jobs.count
                let id = "j\(index)"
                job = ModelJob(
                    key: JobKey(high: UInt64(index), low: UInt64(index) &* 0x9e37_79b9_7f4a_7c15), id: id, producer: producer,
                    service: service, digest: JobDigest(high: UInt64(index), low: 1))
                jobs.append(job)
            }
            let isOther = random.chance(2) && job.isAccepted
            var submission = Submission(
                id: job.id, key: job.key, digest: isOther ? JobDigest(high: 0, low: 9) : job.digest,
                envelope: Self.body(index), payload: [1, 2, 3], priority: Priority(UInt8(random.below(3) + 3)))
            submission.tombstone = journal.tombstone(job.key)
            if random.chance(5) {
                submission.deadline = Uptime(milliseconds: uptime + Int64(random.below(20_000)))
                jobs[index].mayDie = true
            }
            if random.chance(8) { submission.notBefore = Uptime(milliseconds: uptime + Int64(random.below(8000))) }
            if isOther { indices.append(-1 - index) } else { indices.append(index) }
            batch.append(submission)
        }
        guard !batch.isEmpty else { return }
        let request = nextRequest
        nextRequest += 1
        requests[request] = indices
        handle(
            .submit(
                SubmissionBatch(request: RequestID(request), producer: "p\(producer)", service: service, jobs: batch, lookedUp: now.uptime))
        )
    }

    // MARK: Workers

    mutating func connectWorker(isGood: Bool = false) {
        guard workers.count < 5 else { return }
        let name = "w\(random.below(3))"
        let service = Self.services[isGood ? workers.count % 2 : (random.below(5) == 0 ? 1 : 0)]
        let session = SessionID(nextSession)
        nextSession += 1
        // One process serves one service.
        let worker = SimulatedWorker(session: session, name: name + service, identity: "key-\(name)", lastHeard: uptime)
        workers.append(worker)
        handle(
            .ready(
                WorkerReady(
                    session: session, identity: worker.identity, worker: worker.name, service: service, batchJobs: random.below(4) + 1)))
    }

    mutating func answer() {
        guard let place = workers.indices.filter({ !workers[$0].batches.isEmpty }).randomElement(using: &random) else { return }
        let batch = workers[place].batches.removeFirst()
        workers[place].lastHeard = uptime
        var answers: [WorkerAnswer] = []
        for lease in batch {
            let verdict: WorkerAnswer.Verdict
            switch random.below(100) {
            case 0..<80: verdict = .scored
            case 80..<86: verdict = .rejected
            case 86..<93:
                verdict = .retry
                jobs[lease.job].charges += 1
            case 93..<97: verdict = .released
            default: continue
            }
            answers.append(WorkerAnswer(lease: lease.grant.lease, verdict: verdict, body: Self.body(lease.job)))
            if random.chance(6), lateAnswers.count < 40 { lateAnswers.append((workers[place].identity, answers[answers.count - 1])) }
        }
        send(answers, workers[place].session, workers[place].identity)
    }

    private mutating func send(_ answers: [WorkerAnswer], _ session: SessionID, _ identity: String) {
        let done = answers.map { $0.verdict == .scored || $0.verdict == .rejected ? jobByNumber[$0.lease.job.rawValue] : nil }
        unreceipted[session.rawValue, default: []].append(done)
        handle(.answer(session, identity: identity, answers))
    }

    /// A heartbeat; usually the worker has got on with some of what it holds.
    mutating func progress() {
        guard let place = workers.indices.randomElement(using: &random) else { return }
        workers[place].lastHeard = uptime
        var progress: [LeaseProgress] = []
        for batch in workers[place].batches.indices {
            for index in workers[place].batches[batch].indices where random.chance(60) {
                if workers[place].batches[batch][index].progress == 0, random.chance(30) {
                    // It holds the job and has not begun it.
                    progress.append(LeaseProgress(lease: workers[place].batches[batch][index].grant.lease, counter: 0))
                    continue
                }
                workers[place].batches[batch][index].progress += 1
                workers[place].batches[batch][index].hasStarted = true
                workers[place].batches[batch][index].renewed = uptime
                let lease = workers[place].batches[batch][index]
                progress.append(LeaseProgress(lease: lease.grant.lease, counter: lease.progress))
            }
        }
        handle(.heartbeat(workers[place].session, progress))
    }

    mutating func endWorker() {
        guard let place = workers.indices.randomElement(using: &random) else { return }
        let worker = workers.remove(at: place)
        keepForLater(worker)
        let end: SessionEnd = random.chance(60) ? .disconnected : random.chance(50) ? .goodbye : .evicted
        if end == .disconnected {
            for lease in worker.batches.joined() where lease.isAlone {
                jobs[lease.job].charges += 1
                if lease.hasStarted { jobs[lease.job].crashes += 1 }
            }
        }
        handle(.ended(worker.session, end))
    }

    /// Something that was said before, by somebody who may be long gone; or something that was never leased.
    mutating func repeatAnswer() {
        guard let late = lateAnswers.randomElement(using: &random) else { return }
        var answer = late.answer
        var identity = late.identity
        switch random.below(6) {
        case 0: identity = "key-thief"
        case 1: answer.verdict = .retry
        case 2: answer.verdict = .released
        default: break
        }
        let isHeld = workers.contains { $0.batches.joined().contains { $0.grant.lease == answer.lease } }
        if isHeld, answer.verdict == .retry, identity == late.identity, let job = jobByNumber[answer.lease.job.rawValue] {
            jobs[job].charges += 1
        }
        send([answer], SessionID(0), identity)
    }

    // MARK: Sinks

    mutating func connectSink(isGood: Bool = false) {
        guard sinks.count < 4 else { return }
        let isOrdered = isGood ? !sinks.contains { $0.isOrdered } : random.chance(50)
        let session = SessionID(nextSession)
        nextSession += 1
        sinks.append(SimulatedSink(session: session, isOrdered: isOrdered, lastHeard: uptime))
        handle(
            .sinkReady(
                SinkReady(
                    session: session, identity: "sink", group: isOrdered ? "ordered" : "default",
                    // An ordered sink that has failed one delivery would have to refuse the next: it takes one at a time.
                    credit: isOrdered ? 1 : random.below(2) + 1,
                    batchOutcomes: random.below(5) + 1)))
    }

    mutating func acknowledge() throws {
        guard let place = sinks.indices.filter({ !sinks[$0].deliveries.isEmpty }).randomElement(using: &random) else { return }
        let delivery = sinks[place].deliveries.removeFirst()
        sinks[place].lastHeard = uptime
        let session = sinks[place].session
        guard let last = delivery.items.last else { return }
        if random.chance(4) {
            unconfirmed[session.rawValue, default: []].append([])
            return handle(.acknowledge(session, .failed))
        }
        if random.chance(2) {
            // Nonsense: more than was ever delivered, or in the name of an older generation.
            let far = Sequence(last.sequence.rawValue + 1000)
            let isFar = random.chance(50)
            let old = Generation(delivery.generation.rawValue &- 1)
            unconfirmed[session.rawValue, default: []].append([])
            return handle(
                .acknowledge(
                    session,
                    sinks[place].isOrdered ? .through(isFar ? far : last.sequence, isFar ? delivery.generation : old) : .list([far])))
        }
        guard sinks[place].isOrdered else {
            let read = random.chance(85) ? delivery.items : Array(delivery.items.prefix(random.below(delivery.items.count)))
            for item in read { try see(item, ordered: false) }
            unconfirmed[session.rawValue, default: []].append(read.map(\.sequence.rawValue))
            return handle(.acknowledge(session, .list(read.map(\.sequence))))
        }
        if sinkBug == .acknowledgesFirst { orderedUnwritten += delivery.items } else { try store(delivery) }
        handle(.acknowledge(session, .through(last.sequence, delivery.generation)))
    }

    /// One write of outcomes, sequence and generation; an older generation is refused, and what is there already is passed over.
    private mutating func store(_ delivery: Delivery) throws {
        guard delivery.generation.rawValue >= orderedGeneration else { return }
        orderedGeneration = delivery.generation.rawValue
        for item in delivery.items where item.sequence.rawValue > orderedLast { try write(item) }
    }

    mutating func write(_ item: Delivery.Item) throws {
        guard item.previous.rawValue <= orderedLast else {
            throw Violation("I3: the ordered sink has \(orderedLast), then came \(item.sequence.rawValue) after \(item.previous.rawValue)")
        }
        orderedLast = item.sequence.rawValue
        try see(item, ordered: true)
    }

    mutating func endSink() {
        guard let place = sinks.indices.randomElement(using: &random) else { return }
        let sink = sinks.remove(at: place)
        unconfirmed.removeValue(forKey: sink.session.rawValue)
        if sink.isOrdered { orderedUnwritten = [] }
        handle(.ended(sink.session, random.chance(50) ? .disconnected : .goodbye))
    }

    // MARK: Administration

    mutating func administer() {
        let request = RequestID(0)
        switch random.below(5) {
        case 0: handle(.setMode(request, service: Self.services[0], [.running, .paused, .draining][random.below(3)]))
        case 1: handle(.setMode(request, service: Self.services[0], .running))
        case 2:
            guard random.chance(20) else { return }
            for index in jobs.indices { jobs[index].mayDie = true }
            handle(.purge(request, service: Self.services[random.below(2)]))
        case 3:
            guard let index = jobs.indices.randomElement(using: &random) else { return }
            jobs[index].mayDie = true
            handle(.cancel(request, jobs[index].key))
        default: handle(.drainWorker(request, "w\(random.below(3))" + Self.services[0]))
        }
    }
}
