internal import DequeModule
internal import HeapModule

/// What happens because time passes.
extension QueueMachine {
    mutating func tick(_ now: Moment) {
        let clock = now.uptime.milliseconds
        runTimers(clock, now)
        if nextLeaseCheck <= clock { checkLeases(now) }
        if nextSilenceCheck <= clock { checkSilence(now) }
        purgeSome(now)
        if nextForget <= clock { forget(now) }
        for index in services.indices where batchDue(services[index]) <= clock { dirtyServices.insert(index) }
        for index in groups.indices where groups[index].holdUntil <= clock { hasNewOutcomes = true }
    }

    /// Deadlines that have passed, and waiting jobs whose moment has come.
    private mutating func runTimers(_ clock: Int64, _ now: Moment) {
        var steps = 0
        while steps < 8192, let timer = timers.min, timer.time <= clock {
            timers.removeMin()
            steps += 1
            let slot = timer.slot
            guard UInt32(truncatingIfNeeded: jobs[slot].number) == timer.stamp else { continue }
            switch jobs[slot].state {
            case .ready, .waiting:
                if jobs[slot].deadline <= clock {
                    finish(slot, .dead(.expired), [], now)
                } else if jobs[slot].state == .waiting, jobs[slot].when <= clock {
                    makeReady(slot, now)
                }
            case .leased, .finished, .free: break
            }
        }
    }

    // MARK: Forgetting

    /// Forgets outcomes that every group has read and that were kept long enough, or are too many; a few at a time.
    private mutating func forget(_ now: Moment) {
        let clock = now.uptime.milliseconds
        nextForget = clock + 1000
        dropLookups(now)
        for index in groups.indices { groups[index].know(services) }
        let read = groups.map(\.cursor).min() ?? lastSequence
        if read >= firstOutcome, readMarks.last.map({ $0.through < read }) ?? true {
            readMarks.append(ReadMark(time: clock, through: read))
        }
        var through: UInt64 = 0
        let keep = configuration.keepOutcomes.milliseconds
        while let mark = readMarks.first, mark.time.addingSaturating(keep) <= clock {
            through = mark.through
            if through >= firstOutcome + Self.forgetStep { break }
            readMarks.removeFirst()
        }
        let kept = UInt64(max(configuration.keptOutcomes, 0))
        if read > kept, read - kept >= firstOutcome { through = max(through, read - kept) }
        // Full memory is a reason to keep less.
        if jobs.count >= configuration.total.jobs / 8 * 7, configuration.total.jobs > 16 { through = max(through, read) }
        guard through >= firstOutcome else { return }
        let last = min(through, read, firstOutcome + Self.forgetStep)
        while firstOutcome <= last, let slot = outcomes.popFirst() {
            if slot != .none { forget(slot) }
        }
        if last < through { nextForget = clock + 1 }
    }

    private static var forgetStep: UInt64 { 2048 }

    private mutating func forget(_ slot: UInt32) {
        let job = jobs[slot]
        guard let kind = OutcomeKind(code: job.outcome) else { preconditionFailure("job \(job.number) has no outcome") }
        let tombstone = Tombstone(digest: job.digest, sequence: Sequence(job.sequence), outcome: kind)
        output.batch.forgotten.append(ForgottenJob(number: JobNumber(job.number), key: job.key, tombstone: tombstone))
        justForgotten[job.key] = tombstone
        forgottenOrder.append(ForgottenMark(key: job.key, output: output.number))
        jobs.remove(slot)
        counters.forgotten += 1
    }

    /// Lookups that began before a tombstone was durable are over.
    private mutating func dropLookups(_ now: Moment) {
        while let mark = forgottenOrder.first, let committed = mark.committed,
            now.uptime - committed > configuration.lookupLifetime + .seconds(1)
        {
            forgottenOrder.removeFirst()
            justForgotten.removeValue(forKey: mark.key)
        }
    }
}
