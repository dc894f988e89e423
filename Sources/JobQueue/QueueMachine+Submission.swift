internal import HeapModule

/// Taking jobs in.
extension QueueMachine {
    mutating func submit(_ batch: SubmissionBatch, _ now: Moment) {
        guard let producer = number(of: batch.producer), let service = service(named: batch.service) else {
            let busy = SubmissionVerdict.busy(reason: .tooManyNames, retryAfter: .seconds(30))
            output.immediate.append(.verdicts(batch.request, Array(repeating: busy, count: batch.jobs.count)))
            return
        }
        var promises = false
        var verdicts: [SubmissionVerdict] = []
        verdicts.reserveCapacity(batch.jobs.count)
        for job in batch.jobs {
            let verdict = submit(job, producer, service, batch, now)
            if case .busy(let reason, _) = verdict { counters.busy[reason, default: 0] += 1 } else { promises = true }
            verdicts.append(verdict)
        }
        if promises, planted != .acceptBeforeCommit {
            output.actions.append(.verdicts(batch.request, verdicts))
        } else {
            output.immediate.append(.verdicts(batch.request, verdicts))
        }
    }

    private mutating func submit(
        _ job: Submission, _ producer: UInt32, _ service: Int, _ batch: SubmissionBatch, _ now: Moment
    ) -> SubmissionVerdict {
        if let slot = jobs.slot(of: job.key) {
            guard jobs[slot].digest == job.digest else { return conflict() }
            if job.wantsOutcome, jobs[slot].state != .finished { jobs[slot].isWatched = true }
            counters.duplicates += 1
            return .duplicate(status(slot))
        }
        if let tombstone = justForgotten[job.key] ?? job.tombstone {
            guard tombstone.digest == job.digest else { return conflict() }
            counters.duplicates += 1
            return .duplicate(.forgotten(tombstone))
        }
        if let reason = obstacle(job, producer, service, batch, now) {
            return .busy(reason: reason, retryAfter: retryAfter(reason, service, jobs: batch.jobs.count))
        }
        return .accepted(accept(job, producer, service, now))
    }

    private mutating func conflict() -> SubmissionVerdict {
        counters.conflicts += 1
        return .conflict
    }

    /// What stands against one more job.
    private func obstacle(_ job: Submission, _ producer: UInt32, _ service: Int, _ batch: SubmissionBatch, _ now: Moment) -> BusyReason? {
        if isStopping { return .stopping }
        if now.uptime - batch.lookedUp > configuration.lookupLifetime { return .staleLookup }
        if services[service].mode == .draining { return .draining }
        if isDiskLow || isRoomShort { return .diskLow }
        if isJournalBehind { return .journalBehind }
        let (total, own, its) = (configuration.total, services[service].limits, names[Int(producer)])
        if jobs.count >= total.jobs { return .totalJobs }
        if openBytes.addingSaturating(job.bytes) > total.bytes { return .totalBytes }
        if services[service].jobs >= own.jobs { return .serviceJobs }
        if services[service].bytes.addingSaturating(job.bytes) > own.bytes { return .serviceBytes }
        if its.jobs >= its.limits.jobs { return .producerJobs }
        if its.bytes.addingSaturating(job.bytes) > its.limits.bytes { return .producerBytes }
        for group in groups {
            if case .block(let limit) = group.record.settings.retention,
                lastSequence - group.record.cursor.rawValue >= UInt64(max(limit, 1)),
                group.takes(service)
            {
                return .sinkBacklog
            }
        }
        return nil
    }

    private func retryAfter(_ reason: BusyReason, _ service: Int, jobs: Int) -> Duration {
        switch reason {
        case .staleLookup: .milliseconds(100)
        case .stopping, .draining, .diskLow, .tooManyNames: .seconds(5)
        default: services[service].rate.time(for: jobs)
        }
    }

    private mutating func accept(_ job: Submission, _ producer: UInt32, _ service: Int, _ now: Moment) -> JobNumber {
        lastJob += 1
        let number = JobNumber(lastJob)
        let priority = job.priority.rawValue
        let slot = jobs.insert(
            JobSlot(
                key: job.key, digest: job.digest, number: lastJob, deadline: job.deadline?.milliseconds ?? .max,
                when: job.notBefore?.milliseconds ?? 0, accepted: now.uptime.milliseconds, lease: 0,
                flow: flow(services[service].name, producer, priority), bytes: UInt32(clamping: job.bytes), isWatched: job.wantsOutcome,
                priority: priority))
        output.batch.accepted.append(
            AcceptedJob(
                number: number, key: job.key, digest: job.digest, id: job.id, producer: producer, service: services[service].name,
                priority: job.priority, accepted: now.wall, deadline: job.deadline.map(now.wall(of:)),
                notBefore: job.notBefore.map(now.wall(of:)), parent: job.parent, envelope: job.envelope, payload: job.payload))
        output.bytes += job.bytes
        counters.accepted += 1
        open(slot, service, now)
        return number
    }

    /// Counts an open job, limits its age, and makes it ready or lets it wait.
    mutating func open(_ slot: UInt32, _ service: Int, _ now: Moment) {
        let (bytes, flow) = (Int(jobs[slot].bytes), Int(jobs[slot].flow))
        let producer = Int(flows[flow].producer)
        flows[flow].jobs += 1
        flows[flow].bytes += bytes
        openJobs += 1
        openBytes += bytes
        services[service].jobs += 1
        services[service].bytes += bytes
        names[producer].jobs += 1
        names[producer].bytes += bytes
        limitAge(slot, service, producer)
        if jobs[slot].deadline != .max { setTimer(slot, jobs[slot].deadline) }
        if jobs[slot].when > now.uptime.milliseconds {
            jobs[slot].state = .waiting
            setTimer(slot, jobs[slot].when)
        } else {
            makeReady(slot, now)
        }
    }

    /// An age limit is a deadline.
    mutating func limitAge(_ slot: UInt32, _ service: Int, _ producer: Int) {
        for age in [services[service].limits.age, names[producer].limits.age, configuration.total.age] {
            guard let age else { continue }
            jobs[slot].deadline = min(jobs[slot].deadline, jobs[slot].accepted.addingSaturating(age.milliseconds))
        }
    }

    mutating func setTimer(_ slot: UInt32, _ time: Int64) {
        timers.insert(JobTimer(time: time, slot: slot, stamp: UInt32(truncatingIfNeeded: jobs[slot].number)))
    }

    // MARK: Names

    /// The number of a producer or service; a new one gets the next, nil if there are too many.
    mutating func number(of name: String) -> UInt32? {
        if let number = nameNumbers[name] { return number }
        guard names.count < configuration.names else { return nil }
        let number = UInt32(names.count)
        addName(name)
        output.batch.names.append(.init(number: number, name: name))
        return number
    }

    mutating func addName(_ name: String) {
        nameNumbers[name] = UInt32(names.count)
        names.append(
            Name(text: name, limits: configuration.producers[name] ?? configuration.producer, weight: configuration.weight(of: name)))
    }

    /// The place of a service, which begins to exist with its first use.
    mutating func service(named name: String) -> Int? {
        number(of: name).map { service(numbered: $0) }
    }

    mutating func service(numbered number: UInt32) -> Int {
        if let place = names[Int(number)].service { return place }
        let text = names[Int(number)].text
        let place = services.count
        services.append(
            ServiceQueue(
                name: number, text: text, limits: configuration.services[text] ?? configuration.service,
                batching: configuration.batching[text] ?? configuration.standardBatching))
        names[Int(number)].service = place
        return place
    }

    mutating func flow(_ service: UInt32, _ producer: UInt32, _ priority: UInt8) -> UInt32 {
        let key = FlowKey(service: service, producer: producer, priority: priority)
        if let number = flowNumbers[key] { return number }
        let number = UInt32(flows.count)
        flows.append(Flow(service: service, producer: producer, priority: priority))
        flowNumbers[key] = number
        return number
    }

    /// The place of a job's service.
    func serviceOf(_ slot: UInt32) -> Int {
        guard let place = names[Int(flows[Int(jobs[slot].flow)].service)].service else { preconditionFailure("a flow without a service") }
        return place
    }
}

extension QueueConfiguration {
    func weight(of producer: String) -> Int { min(max(weights[producer] ?? 1, 1), 1000) }
}

extension Int {
    func addingSaturating(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
