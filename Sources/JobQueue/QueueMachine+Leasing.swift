internal import DequeModule

/// Ready jobs, and how they are put together for workers.
extension QueueMachine {
    // MARK: Ready jobs

    /// Puts an open job where workers get it from: behind its producer's others, or before them if it only comes back.
    mutating func makeReady(_ slot: UInt32, _ now: Moment, atFront: Bool = false) {
        let service = serviceOf(slot)
        jobs[slot].state = .ready
        dirtyServices.insert(service)
        if jobs[slot].isSuspect {
            if atFront { services[service].suspects.prepend(slot, &jobs) } else { services[service].suspects.append(slot, &jobs) }
            return
        }
        let flow = Int(jobs[slot].flow)
        if flows[flow].ready.isEmpty, !flows[flow].isListed {
            flows[flow].isListed = true
            services[service].levels[Int(flows[flow].priority)].append(jobs[slot].flow)
        }
        if atFront { flows[flow].ready.prepend(slot, &jobs) } else { flows[flow].ready.append(slot, &jobs) }
        if services[service].ready == 0 { services[service].readySince = now.uptime.milliseconds }
        services[service].ready += 1
    }

    /// Takes a ready job out of its list.
    mutating func takeOut(_ slot: UInt32) {
        let service = serviceOf(slot)
        if jobs[slot].isSuspect {
            services[service].suspects.remove(slot, &jobs)
        } else {
            flows[Int(jobs[slot].flow)].ready.remove(slot, &jobs)
            services[service].ready -= 1
        }
    }

    /// The ready job whose turn it is: the highest priority, and there the producers in turns of their weight.
    private mutating func nextReady(_ service: Int) -> UInt32? {
        for level in services[service].levels.indices.reversed() {
            while let flow = services[service].levels[level].first {
                if !flows[Int(flow)].ready.isEmpty { return flows[Int(flow)].ready.head }
                services[service].levels[level].removeFirst()
                flows[Int(flow)].isListed = false
                flows[Int(flow)].turns = 0
            }
        }
        return nil
    }

    /// Takes the job that `nextReady` gave, and ends its producer's turn if it is over.
    private mutating func takeNext(_ slot: UInt32, _ service: Int) {
        let flow = Int(jobs[slot].flow)
        let level = Int(flows[flow].priority)
        takeOut(slot)
        if flows[flow].turns == 0 { flows[flow].turns = names[Int(flows[flow].producer)].weight }
        flows[flow].turns -= 1
        if flows[flow].turns == 0, services[service].levels[level].count > 1 {
            services[service].levels[level].append(services[service].levels[level].removeFirst())
        }
    }

    // MARK: Workers

    mutating func enqueueIdle(_ id: SessionID, _ service: Int) {
        guard let session = sessions[id], session.credit > 0 else { return }
        dirtyServices.insert(service)
        guard !session.isQueued else { return }
        sessions[id]?.isQueued = true
        services[service].idle.append(id)
    }

    /// Leases what can be leased to the workers that wait, each at most its credit.
    mutating func leaseJobs(_ service: Int, _ now: Moment) {
        guard !isStopping, services[service].mode != .paused else { return }
        var tries = services[service].idle.count
        while tries > 0, services[service].ready > 0 || !services[service].suspects.isEmpty {
            guard let id = services[service].idle.popFirst() else { return }
            tries -= 1
            guard var session = sessions[id] else { continue }
            session.isQueued = false
            sessions[id] = session
            guard session.credit > 0, case .worker(_, let worker) = session.role else { continue }
            if leaseJobs(service, id, session, worker, now) { tries += 1 }
            if let session = sessions[id], session.credit > 0 {
                sessions[id]?.isQueued = true
                services[service].idle.append(id)
            }
        }
        if batchDue(services[service]) <= now.uptime.milliseconds {
            services[service].heldUntil = now.uptime.milliseconds + Self.leaseCheckInterval
        }
    }

    /// A batch for one worker; false if there is none for it.
    private mutating func leaseJobs(_ service: Int, _ id: SessionID, _ session: Session, _ name: String, _ now: Moment) -> Bool {
        guard let worker = workers[name], !worker.isDraining, !worker.isAlone else { return false }
        if !services[service].suspects.isEmpty {
            if worker.openBatches == 0 { return leaseAlone(service, id, name, now) }
            if !worker.isReserved, services[service].reserved < services[service].suspects.count { setReserved(true, name, service) }
        } else if worker.isReserved {
            setReserved(false, name, service)
        }
        guard workers[name]?.isReserved != true else { return false }
        let size = batchSize(service, session)
        guard services[service].ready >= size || now.uptime.milliseconds >= services[service].due else { return false }
        var chosen: [UInt32] = []
        var bytes = 0
        while chosen.count < size, let slot = nextReady(service) {
            if jobs[slot].deadline <= now.uptime.milliseconds {
                finish(slot, .dead(.expired), [], now)
                continue
            }
            bytes += Int(jobs[slot].bytes)
            if !chosen.isEmpty, bytes > session.batchBytes { break }
            takeNext(slot, service)
            chosen.append(slot)
        }
        services[service].readySince = now.uptime.milliseconds
        guard !chosen.isEmpty else { return false }
        grant(chosen, id, service, name, isAlone: false, now)
        return true
    }

    private mutating func leaseAlone(_ service: Int, _ id: SessionID, _ worker: String, _ now: Moment) -> Bool {
        while !services[service].suspects.isEmpty {
            let slot = services[service].suspects.head
            if jobs[slot].deadline <= now.uptime.milliseconds {
                finish(slot, .dead(.expired), [], now)
                continue
            }
            takeOut(slot)
            setReserved(false, worker, service)
            grant([slot], id, service, worker, isAlone: true, now)
            return true
        }
        return false
    }

    mutating func setReserved(_ isReserved: Bool, _ worker: String, _ service: Int) {
        guard workers[worker]?.isReserved == !isReserved else { return }
        workers[worker]?.isReserved = isReserved
        services[service].reserved += isReserved ? 1 : -1
    }

    private mutating func grant(_ chosen: [UInt32], _ id: SessionID, _ service: Int, _ worker: String, isAlone: Bool, _ now: Moment) {
        let first = nextLease
        let holder = secret.hash(sessions[id]?.identity ?? "")
        let expiry = leaseClock(now).addingSaturating(leaseTime(service))
        var grants: [LeaseGrant] = []
        grants.reserveCapacity(chosen.count)
        for slot in chosen {
            let counter = nextLease
            nextLease += 1
            jobs[slot].state = .leased
            jobs[slot].lease = counter
            counters.waits.add(Double(now.uptime.milliseconds.subtractingSaturating(jobs[slot].accepted)) / 1000)
            leases[counter] = Lease(slot: slot, session: id, isAlone: isAlone, granted: leaseClock(now), expiry: expiry)
            let job = JobNumber(jobs[slot].number)
            let tag = secret.tag(partition: partition, epoch: epoch, counter: counter, job: job, holder: holder)
            let left = jobs[slot].deadline == .max ? nil : Duration.milliseconds(jobs[slot].deadline - now.uptime.milliseconds)
            grants.append(
                LeaseGrant(
                    lease: LeaseID(partition: partition, epoch: epoch, counter: counter, job: job, tag: tag),
                    attempt: Int(jobs[slot].attempts) + 1, timeLeft: left))
        }
        sessions[id]?.credit -= 1
        sessions[id]?.batches.append(.init(counters: first..<nextLease, isAlone: isAlone, granted: now.uptime.milliseconds))
        workers[worker]?.openBatches += 1
        if isAlone { workers[worker]?.isAlone = true }
        nextLeaseCheck = min(nextLeaseCheck, now.uptime.milliseconds + Self.leaseCheckInterval)
        counters.leased += UInt64(chosen.count)
        counters.batches += 1
        counters.batchJobs.add(Double(chosen.count))
        output.actions.append(.lease(LeasedBatch(session: id, service: services[service].text, grants: grants, isAlone: isAlone)))
    }

    // MARK: Numbers

    /// How many jobs the session's next batch should have.
    private func batchSize(_ service: Int, _ session: Session) -> Int {
        let batching = services[service].batching
        let most = max(1, min(batching.jobs, session.batchCount))
        guard let target = batching.latencyTarget else { return most }
        // Nothing is known of a new worker: a small batch tells.
        guard let time = session.timePerJob else { return min(most, 8) }
        return max(1, min(most, Int(Double(target.milliseconds) / max(time, 0.001))))
    }

    /// When a batch goes out even if it is small; `.max` if nobody or nothing waits.
    func batchDue(_ service: ServiceQueue) -> Int64 {
        guard service.ready > 0, !service.idle.isEmpty, service.mode != .paused, !isStopping else { return .max }
        return max(service.due, service.heldUntil)
    }

    func leaseTime(_ service: Int) -> Int64 {
        max(configuration.leaseMinimum.milliseconds, services[service].times.high * Int64(configuration.leaseBatches))
    }

    /// The clock that leases run on.
    func leaseClock(_ now: Moment) -> Int64 { planted == .wallClockLease ? now.wall.milliseconds : now.uptime.milliseconds }

    static var leaseCheckInterval: Int64 { 250 }
}
