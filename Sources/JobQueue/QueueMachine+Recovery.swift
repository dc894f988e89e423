internal import DequeModule

/// From what a store found to a queue that runs.
extension QueueMachine {
    /// Names, groups and modes; called by `init`.
    mutating func restore(_ recovered: RecoveredPartition, _ now: Moment) {
        for name in recovered.names.sorted(by: { $0.number < $1.number }) { addName(name.name) }
        groups = recovered.groups.map { GroupState($0) }
        if !groups.contains(where: { $0.record.settings.name == GroupSettings.standard.name }) {
            makeGroup(.standard, cursor: lastSequence)
        }
        for mode in recovered.modes where Int(mode.service) < names.count {
            services[service(numbered: mode.service)].mode = mode.mode
        }
        nextForget = now.uptime.milliseconds + 1000
    }

    /// A page of jobs. Throws `JobQueueError.damaged` if they name what isn't there.
    package mutating func restore(_ page: [RecoveredJob], now: Moment) throws {
        for job in page {
            guard Int(job.producer) < names.count, Int(job.service) < names.count else {
                throw JobQueueError.damaged(path: "", reason: "job \(job.number.rawValue) belongs to an unknown producer or service")
            }
            restore(job, now)
        }
    }

    private mutating func restore(_ job: RecoveredJob, _ now: Moment) {
        let service = service(numbered: job.service)
        let accepted = min(now.uptime(of: job.accepted), now.uptime)
        var slot = JobSlot(
            key: job.key, digest: job.digest, number: job.number.rawValue,
            deadline: job.deadline.map { Self.recovered($0, of: job, now).milliseconds } ?? .max, when: 0,
            accepted: accepted.milliseconds, lease: 0,
            flow: flow(job.service, job.producer, job.priority.rawValue), bytes: UInt32(clamping: job.bytes),
            priority: job.priority.rawValue)
        slot.attempts = UInt8(clamping: job.attempts + (planted == .restartCostsAttempt && job.finished == nil ? 1 : 0))
        slot.crashes = UInt8(clamping: job.crashes)
        slot.isSuspect = job.isSuspect
        if let finished = job.finished {
            slot.state = .finished
            slot.outcome = finished.kind.code
            slot.when = Int64(bitPattern: finished.sequence.rawValue)
            unplaced.append(jobs.insert(slot))
            return
        }
        if let notBefore = job.notBefore {
            // A retry waits no longer than it ever may.
            let longest = job.attempts > 0 ? now.uptime + configuration.retryMaximum + configuration.retryMaximum : .never
            slot.when = min(Self.recovered(notBefore, of: job, now), longest).milliseconds
        }
        open(jobs.insert(slot), service, now)
        if planted == .restartCostsAttempt, Int(slot.attempts) >= configuration.attempts, let place = jobs.slot(of: slot.number) {
            unplacedDead.append(place)
        }
    }

    /// Where a moment that was set when the job was accepted lies on the continuous clock. The wall clock may have been put back since:
    /// what is left of a wait is never longer than the whole of it was.
    private static func recovered(_ moment: WallTime, of job: RecoveredJob, _ now: Moment) -> Uptime {
        let whole = max(moment.milliseconds.subtractingSaturating(job.accepted.milliseconds), 0)
        return min(now.uptime(of: moment), now.uptime + .milliseconds(whole))
    }

    /// Called after the last page: from now on events may come.
    package mutating func start(now: Moment) {
        unplaced.sort { jobs[$0].sequence < jobs[$1].sequence }
        if planted == .sequenceAtSend { renumber() }
        if let first = unplaced.first {
            outcomes = Deque(repeating: .none, count: Int(lastSequence + 1 - jobs[first].sequence))
            for slot in unplaced { outcomes[Int(jobs[slot].sequence - jobs[first].sequence)] = slot }
        }
        unplaced = []
        for index in groups.indices {
            let cursor = min(max(groups[index].cursor, firstOutcome - 1), lastSequence)
            groups[index].record.cursor = Sequence(cursor)
            groups[index].record.read.removeThrough(cursor)
            groups[index].rewind()
        }
        for slot in unplacedDead { finish(slot, .dead(.attempts), [], now) }
        unplacedDead = []
    }

    /// The planted bug: what no group has read yet gets numbers in the order of the jobs.
    private mutating func renumber() {
        let read = groups.map(\.cursor).max() ?? 0
        let open = unplaced.filter { jobs[$0].sequence > read }
        let sequences = open.map { jobs[$0].when }
        for (slot, sequence) in zip(open.sorted { jobs[$0].number < jobs[$1].number }, sequences) { jobs[slot].when = sequence }
        unplaced.sort { jobs[$0].sequence < jobs[$1].sequence }
    }
}
