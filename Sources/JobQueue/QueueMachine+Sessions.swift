/// Workers that come, live and go.
extension QueueMachine {
    mutating func ready(_ worker: WorkerReady, _ now: Moment) {
        if let session = sessions[worker.session] {
            // A second READY while it has work breaks the protocol; otherwise it only says anew what it can do.
            if session.isBusy || !session.isWorker {
                ended(worker.session, .evicted, now)
                output.immediate.append(.dismiss(worker.session))
                return
            }
            ended(worker.session, .goodbye, now)
        }
        guard let service = service(named: worker.service) else {
            output.immediate.append(.dismiss(worker.session))
            return
        }
        let name = worker.identity + "\u{0}" + worker.worker
        sessions[worker.session] = Session(
            role: .worker(service: service, worker: name), identity: worker.identity, credit: worker.credit, batchCount: worker.batchJobs,
            batchBytes: worker.batchBytes, announcesHeartbeats: worker.announcesHeartbeats, heard: now.uptime.milliseconds)
        workers[name, default: WorkerState()].sessions.append(worker.session)
        watchSilence(now)
        enqueueIdle(worker.session, service)
    }

    mutating func watchSilence(_ now: Moment) {
        nextSilenceCheck = min(nextSilenceCheck, now.uptime.milliseconds + max(configuration.heartbeat.milliseconds / 2, 1))
    }

    mutating func heartbeat(_ id: SessionID, _ progress: [LeaseProgress], _ now: Moment) {
        guard let session = sessions[id] else {
            output.immediate.append(.dismiss(id))
            return
        }
        sessions[id]?.heard = now.uptime.milliseconds
        guard case .worker(let service, let worker) = session.role, !progress.isEmpty else { return }
        sessions[id]?.reportsProgress = true
        let (clock, time) = (leaseClock(now), leaseTime(service))
        for entry in progress {
            // Any session of the worker may speak for it; a lease of somebody else is none of its business.
            guard entry.lease.epoch == epoch, var lease = leases[entry.lease.counter], entry.counter > lease.progress,
                workers[worker]?.sessions.contains(lease.session) == true, jobs[lease.slot].number == entry.lease.job.rawValue
            else { continue }
            lease.progress = entry.counter
            let started = lease.started ?? clock
            lease.started = started
            lease.expiry = min(clock.addingSaturating(time), started.addingSaturating(configuration.leaseMaximum.milliseconds))
            leases[entry.lease.counter] = lease
            workers[worker]?.progressed = clock
        }
    }

    mutating func ended(_ id: SessionID, _ end: SessionEnd, _ now: Moment) {
        // A worker that had been silent for a while may have been cut off before it broke, and one that didn't hear us may have come back on
        // another connection: that accuses no job.
        let silence = now.uptime.milliseconds - (sessions[id]?.heard ?? 0)
        let sinceStandstill = now.uptime.milliseconds.subtractingSaturating(resumed)
        let isClean = silence <= configuration.heartbeat.milliseconds * 2 && sinceStandstill > silenceLimit
        let loss: Loss =
            switch end {
            case .disconnected: isClean ? .death : .partition
            case .goodbye, .evicted: .parting
            }
        drop(id, loss, now)
    }

    /// How a session was lost.
    enum Loss: Sendable {
        case death
        /// It broke after a silence.
        case partition
        /// It fell silent.
        case silence
        /// With notice, or by us.
        case parting
    }

    mutating func drop(_ id: SessionID, _ loss: Loss, _ now: Moment) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        switch session.role {
        case .sink(let group): leaveGroup(id, session, group, now)
        case .worker(let service, let name):
            let wasDraining = workers[name]?.isDraining == true
            for batch in session.batches.reversed() {
                for counter in batch.counters.reversed() {
                    guard let lease = leases[counter] else { continue }
                    endLease(lease.slot)
                    // What never left is nobody's fault.
                    lost(lease, session, wasDraining || counter > lastSentLease ? .parting : loss, now)
                }
                workers[name]?.openBatches -= 1
                if batch.isAlone { workers[name]?.isAlone = false }
            }
            workers[name]?.sessions.removeAll { $0 == id }
            if workers[name]?.sessions.isEmpty == true {
                setReserved(false, name, service)
                workers.removeValue(forKey: name)
            }
            dirtyServices.insert(service)
        }
    }

    /// What becomes of a job whose session was lost.
    private mutating func lost(_ lease: Lease, _ session: Session, _ loss: Loss, _ now: Moment) {
        let slot = lease.slot
        counters.lost += 1
        switch (loss, lease.isAlone) {
        case (.parting, _):
            giveBack(slot, .workerLeft, now)
        case (.partition, true):
            giveBack(slot, .workerLost, now)
        case (.death, true):
            fail(slot, lease.started != nil ? .crash : .died, [], now)
        case (.silence, true) where lease.started != nil:
            fail(slot, .ranOut, [], now)
        case (.silence, true):
            giveBack(slot, .workerLost, now)
        case (.death, false) where planted == .batchMatesBlamed:
            fail(slot, .crash, [], now)
        case (.death, false), (.silence, false), (.partition, false):
            suspect(slot)
            giveBack(slot, .workerLost, now)
        }
    }

    /// It runs alone from now on, also after a restart.
    mutating func suspect(_ slot: UInt32) {
        guard !jobs[slot].isSuspect else { return }
        jobs[slot].isSuspect = true
        record(slot, notBefore: nil)
    }

    // MARK: Draining

    mutating func drainWorker(_ request: RequestID, _ name: String, _ now: Moment) {
        let found = workers.keys.filter { $0.split(separator: "\u{0}", omittingEmptySubsequences: false).last.map(String.init) == name }
        for key in found {
            workers[key]?.isDraining = true
            dismissIdle(key, now)
        }
        output.actions.append(.answer(request, found.isEmpty ? .unknown : .done))
    }

    /// Sends away a draining worker's sessions that have nothing left.
    mutating func dismissIdle(_ worker: String, _ now: Moment) {
        for id in workers[worker]?.sessions ?? [] where sessions[id]?.isBusy == false {
            ended(id, .goodbye, now)
            output.actions.append(.dismiss(id))
        }
    }

    // MARK: Clocks

    /// While there are sessions, something happens at least every half heartbeat. If nothing did for longer, this process stood still (it was
    /// stopped, or its whole machine was), and what peers said in that time is still unread: it accuses nobody of silence, and counts as no
    /// lease's time.
    mutating func noticeStandstill(_ now: Moment) {
        let gap = now.uptime.milliseconds - awake
        awake = max(awake, now.uptime.milliseconds)
        guard gap > 2 * configuration.heartbeat.milliseconds, !sessions.isEmpty else { return }
        resumed = now.uptime.milliseconds
        for (counter, lease) in leases {
            leases[counter]?.expiry = lease.expiry.addingSaturating(gap)
            leases[counter]?.started = lease.started?.addingSaturating(gap)
        }
        for (id, session) in sessions {
            for index in session.batches.indices { sessions[id]?.batches[index].granted += gap }
        }
        for (name, worker) in workers { workers[name]?.progressed = worker.progressed.addingSaturating(gap) }
    }

    /// The leases leave: their time begins now, however long the journal took.
    mutating func beginLeases(through last: UInt64, _ now: Moment) {
        let clock = leaseClock(now)
        for counter in (lastSentLease + 1)...max(last, lastSentLease + 1) {
            guard let slot = leases[counter]?.slot else { continue }
            let expiry = clock.addingSaturating(leaseTime(serviceOf(slot)))
            leases[counter]?.expiry = expiry
        }
        lastSentLease = max(lastSentLease, last)
    }

    /// Ends leases that ran out.
    mutating func checkLeases(_ now: Moment) {
        let clock = leaseClock(now)
        var out: [(counter: UInt64, lease: Lease)] = []
        for (counter, lease) in leases where lease.expiry <= clock && counter <= lastSentLease { out.append((counter, lease)) }
        out.sort { $0.counter < $1.counter }
        for (counter, lease) in out {
            guard let session = sessions[lease.session], case .worker(let service, let worker) = session.role else { continue }
            // It waits behind another batch of its worker, which gets on.
            if lease.started == nil, session.reportsProgress,
                let progressed = workers[worker]?.progressed,
                clock.subtractingSaturating(progressed) < configuration.leaseMinimum.milliseconds
            {
                let renewed = clock.addingSaturating(leaseTime(service))
                leases[counter]?.expiry = renewed
                continue
            }
            endLease(lease.slot)
            counters.expiredLeases += 1
            if lease.started == nil, session.reportsProgress {
                giveBack(lease.slot, .notStarted, now)
            } else {
                jobs[lease.slot].isSuspect = true
                fail(lease.slot, .ranOut, [], now)
            }
            endUnanswered(lease.session, session, now)
        }
        nextLeaseCheck = leases.isEmpty ? .max : now.uptime.milliseconds + Self.leaseCheckInterval
    }

    /// A peer that sends no heartbeats ends with the last lease of a batch.
    private mutating func endUnanswered(_ id: SessionID, _ session: Session, _ now: Moment) {
        guard !session.announcesHeartbeats, !session.batches.contains(where: { $0.counters.contains { leases[$0] != nil } }) else { return }
        drop(id, .parting, now)
        output.actions.append(.dismiss(id))
    }

    private var silenceLimit: Int64 { configuration.heartbeat.milliseconds * Int64(configuration.silentHeartbeats) }

    /// Ends peers that have been silent for too long.
    mutating func checkSilence(_ now: Moment) {
        let limit = silenceLimit
        let busyLimit = configuration.leaseMaximum.milliseconds
        var silent: [SessionID] = []
        for (id, session) in sessions {
            let silence = now.uptime.milliseconds - max(session.heard, resumed)
            if silence > limit, session.announcesHeartbeats || !session.isBusy {
                silent.append(id)
            } else if let sent = session.deliveries.first?.sent, !session.announcesHeartbeats,
                now.uptime.milliseconds - max(sent, resumed) > busyLimit
            {
                silent.append(id)
            }
        }
        silent.sort { $0.rawValue < $1.rawValue }
        for id in silent {
            counters.silentPeers += 1
            drop(id, .silence, now)
            output.actions.append(.dismiss(id))
        }
        nextSilenceCheck = sessions.isEmpty ? .max : now.uptime.milliseconds + max(configuration.heartbeat.milliseconds / 2, 1)
    }
}

extension Session {
    var isWorker: Bool { if case .worker = role { true } else { false } }
}
