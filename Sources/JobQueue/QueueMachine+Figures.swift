/// What can be asked of a machine.
extension QueueMachine {
    /// Where the job is; nil if the machine doesn't know it: ask the store for a tombstone.
    package func status(of key: JobKey) -> JobStatus? {
        if let slot = jobs.slot(of: key) { return status(slot) }
        return justForgotten[key].map(JobStatus.forgotten)
    }

    /// True if the lease counts now.
    package func isLeased(_ lease: LeaseID) -> Bool { lease.epoch == epoch && leases[lease.counter] != nil }

    /// Jobs without an outcome.
    package var openJobCount: Int { openJobs }

    func status(_ slot: UInt32) -> JobStatus {
        let job = jobs[slot]
        let number = JobNumber(job.number)
        switch job.state {
        case .ready, .free: return .ready(number)
        case .waiting: return .waiting(number, attempts: Int(job.attempts))
        case .leased: return .leased(number, attempts: Int(job.attempts))
        case .finished:
            guard let kind = OutcomeKind(code: job.outcome) else { preconditionFailure("job \(job.number) has no outcome") }
            return .finished(number, sequence: Sequence(job.sequence), outcome: kind)
        }
    }

    /// Open jobs of a service in the order of their acceptance, for people to look at.
    package func peek(service: String, limit: Int) -> [JobNumber] {
        guard let place = nameNumbers[service].flatMap({ names[Int($0)].service }) else { return [] }
        var numbers: [UInt64] = []
        for slot in 0..<jobs.extent {
            switch jobs[slot].state {
            case .ready, .waiting, .leased: if serviceOf(slot) == place { numbers.append(jobs[slot].number) }
            case .finished, .free: break
            }
        }
        numbers.sort()
        return numbers.prefix(max(limit, 0)).map(JobNumber.init)
    }

    package func figures(now: Moment) -> QueueFigures {
        var figures = QueueFigures(counters: counters)
        figures.jobsInMemory = jobs.count
        figures.openJobs = openJobs
        figures.openBytes = openBytes
        figures.inFlight = leases.count
        figures.lastSequence = Sequence(lastSequence)
        figures.services = zip(services, levels(now: now)).map { service, levels in
            .init(
                name: service.text, mode: service.mode, open: service.jobs, bytes: service.bytes,
                ready: service.ready + service.suspects.count, levels: levels)
        }
        figures.groups = groups.map { group in
            .init(
                settings: group.record.settings, cursor: group.record.cursor, unread: Int(clamping: lastSequence - group.cursor),
                members: group.members.count, generation: group.record.generation, expired: group.record.expired)
        }
        figures.workers = workers.map { name, worker in
            let parts = name.split(separator: "\u{0}", omittingEmptySubsequences: false)
            return .init(
                identity: String(parts.first ?? ""), name: String(parts.last ?? ""), sessions: worker.sessions.count,
                batches: worker.openBatches, isDraining: worker.isDraining)
        }.sorted { $0.name < $1.name }
        return figures
    }
}

extension QueueMachine {
    /// What is open of each service by priority, of those that ever had a job. Looks at the producers, not at the jobs.
    func levels(now: Moment) -> [[QueueFigures.Level]] {
        var found: [[Int: QueueFigures.Level]] = Array(repeating: [:], count: services.count)
        func note(_ place: Int, _ priority: UInt8, _ change: (inout QueueFigures.Level) -> Void) {
            change(&found[place][Int(priority), default: .init(priority: Int(priority))])
        }
        func age(_ slot: UInt32) -> Duration { .milliseconds(max(now.uptime.milliseconds.subtractingSaturating(jobs[slot].accepted), 0)) }
        for flow in flows {
            guard let place = names[Int(flow.service)].service else { continue }
            note(place, flow.priority) { level in
                level.open += flow.jobs
                level.bytes += flow.bytes
                level.ready += flow.ready.count
                if !flow.ready.isEmpty { level.oldest = max(level.oldest, age(flow.ready.head)) }
            }
        }
        for (place, service) in services.enumerated() where !service.suspects.isEmpty {
            var slot = service.suspects.head
            while slot != .none {
                note(place, jobs[slot].priority) { level in
                    level.ready += 1
                    level.oldest = max(level.oldest, age(slot))
                }
                slot = jobs[slot].next
            }
        }
        return found.map { $0.values.sorted { $0.priority < $1.priority } }
    }
}

/// Why a leased job went back at no cost.
package enum ReturnReason: String, Hashable, Sendable, CaseIterable {
    /// Its worker handed it back unstarted.
    case handedBack = "handed_back"
    /// Its batch was answered, and it was not.
    case unanswered
    /// Its worker said goodbye, was drained or evicted, or never got it.
    case workerLeft = "worker_left"
    /// Its worker died or fell silent with more than this job.
    case workerLost = "worker_lost"
    /// Its lease ran out before its work started.
    case notStarted = "not_started"
}

/// A look at a queue.
package struct QueueFigures: Sendable {
    package var counters: QueueCounters
    /// Open ones, and those whose outcomes are kept.
    package var jobsInMemory = 0
    package var openJobs = 0
    package var openBytes = 0
    package var inFlight = 0
    package var lastSequence = Sequence(0)
    package var services: [Service] = []
    package var groups: [Group] = []
    package var workers: [Worker] = []

    package struct Service: Hashable, Sendable {
        package let name: String
        package let mode: ServiceMode
        package let open: Int
        package let bytes: Int
        package let ready: Int
        /// Those priorities that ever had a job, ascending.
        package let levels: [Level]
    }

    /// One priority of a service.
    package struct Level: Hashable, Sendable {
        package let priority: Int
        package internal(set) var open = 0
        package internal(set) var ready = 0
        package internal(set) var bytes = 0
        /// Since the acceptance of the ready job that has waited longest: of those at the heads of their producers' lists.
        package internal(set) var oldest = Duration.zero

        init(priority: Int) { self.priority = priority }
    }

    package struct Group: Hashable, Sendable {
        package let settings: GroupSettings
        package let cursor: Sequence
        /// Outcomes after the cursor, those of other services included.
        package let unread: Int
        package let members: Int
        package let generation: Generation
        package let expired: UInt64
    }

    package struct Worker: Hashable, Sendable {
        package let identity: String
        package let name: String
        package let sessions: Int
        package let batches: Int
        package let isDraining: Bool
    }
}

/// What has happened since the process started; all only grow.
package struct QueueCounters: Sendable {
    package internal(set) var accepted: UInt64 = 0
    package internal(set) var duplicates: UInt64 = 0
    package internal(set) var conflicts: UInt64 = 0
    package internal(set) var busy: [BusyReason: UInt64] = [:]
    package internal(set) var batches: UInt64 = 0
    /// Jobs in a leased batch.
    package internal(set) var batchJobs = Histogram(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256])
    /// Seconds from acceptance to lease, for each lease.
    package internal(set) var waits = Histogram(bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600])
    /// Seconds from lease to outcome, of outcomes that come with their lease.
    package internal(set) var works = Histogram(bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60])
    package internal(set) var leased: UInt64 = 0
    package internal(set) var finished: [OutcomeKind: UInt64] = [:]
    /// Leases that ended without an answer because their session did.
    package internal(set) var lost: UInt64 = 0
    /// Jobs that went back at no cost.
    package internal(set) var returned: [ReturnReason: UInt64] = [:]
    package internal(set) var expiredLeases: UInt64 = 0
    package internal(set) var duplicateAnswers: UInt64 = 0
    package internal(set) var refusedAnswers: UInt64 = 0
    package internal(set) var silentPeers: UInt64 = 0
    package internal(set) var delivered: UInt64 = 0
    package internal(set) var redelivered: UInt64 = 0
    package internal(set) var acknowledged: UInt64 = 0
    package internal(set) var refusedAcknowledgements: UInt64 = 0
    /// Outcomes that a group lost by its retention.
    package internal(set) var expiredUnread: UInt64 = 0
    package internal(set) var forgotten: UInt64 = 0
    var retries: [QueueMachine.Failure: UInt64] = [:]

    /// Attempts that failed because a worker said so, its lease ran out, or it died.
    package var failedAttempts: (answered: UInt64, ranOut: UInt64, died: UInt64) {
        (retries[.answered] ?? 0, retries[.ranOut] ?? 0, (retries[.crash] ?? 0) + (retries[.died] ?? 0))
    }
}
