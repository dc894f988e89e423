/// What people and configuration files want.
extension QueueMachine {
    mutating func addGroup(_ request: RequestID, _ settings: GroupSettings, _ start: GroupStart, _ now: Moment) {
        if let known = groups.first(where: { $0.record.settings.name == settings.name }) {
            output.actions.append(.answer(request, known.record.settings == settings ? .done : .conflict))
            return
        }
        let cursor = start == .now ? lastSequence : firstOutcome - 1
        makeGroup(settings, cursor: cursor)
        output.actions.append(.answer(request, .done))
        deliver(groups.count - 1, now)
    }

    mutating func makeGroup(_ settings: GroupSettings, cursor: UInt64) {
        var group = GroupState(
            GroupRecord(
                settings: settings, cursor: Sequence(cursor), lastRead: Sequence(0), read: SequenceRanges(), generation: Generation(0),
                expired: 0))
        group.isChanged = true
        groups.append(group)
    }

    mutating func removeGroup(_ request: RequestID, _ name: String) {
        guard let place = groups.firstIndex(where: { $0.record.settings.name == name }), name != GroupSettings.standard.name else {
            output.actions.append(.answer(request, name == GroupSettings.standard.name ? .conflict : .unknown))
            return
        }
        for id in groups[place].members {
            sessions.removeValue(forKey: id)
            output.actions.append(.dismiss(id))
        }
        groups.remove(at: place)
        output.batch.groups.removeAll { $0.settings.name == name }
        output.batch.removedGroups.append(name)
        output.actions.append(.answer(request, .done))
    }

    mutating func setMode(_ request: RequestID, _ name: String, _ mode: ServiceMode) {
        guard let service = service(named: name) else {
            output.actions.append(.answer(request, .unknown))
            return
        }
        services[service].mode = mode
        output.batch.modes.append(.init(service: services[service].name, mode: mode))
        dirtyServices.insert(service)
        output.actions.append(.answer(request, .done))
    }

    mutating func cancel(_ request: RequestID, _ key: JobKey, _ now: Moment) {
        guard let slot = jobs.slot(of: key) else {
            output.actions.append(.answer(request, .unknown))
            return
        }
        guard jobs[slot].state != .finished else {
            output.actions.append(.answer(request, .finished))
            return
        }
        finish(slot, .dead(.cancelled), [], now)
        output.actions.append(.answer(request, .done))
    }

    mutating func watch(_ job: JobNumber) {
        guard let slot = jobs.slot(of: job.rawValue) else { return }
        if jobs[slot].state == .finished, let kind = OutcomeKind(code: jobs[slot].outcome) {
            output.actions.append(.finished(job, Sequence(jobs[slot].sequence), kind))
        } else {
            jobs[slot].isWatched = true
        }
    }

    // MARK: Purging

    mutating func purge(_ request: RequestID, _ name: String, _ now: Moment) {
        guard let service = nameNumbers[name].flatMap({ names[Int($0)].service }) else {
            output.actions.append(.answer(request, .unknown))
            return
        }
        purges.append(Purge(request: request, service: service, lastJob: lastJob))
        purgeSome(now)
    }

    /// A piece of the first purge, so that no batch for the journal gets too large.
    mutating func purgeSome(_ now: Moment) {
        guard !purges.isEmpty else { return }
        var purge = purges[0]
        var steps = 0
        while purge.slot < jobs.extent, steps < 4096 {
            let slot = purge.slot
            purge.slot += 1
            steps += 1
            let state = jobs[slot].state
            guard state == .ready || state == .waiting, jobs[slot].number <= purge.lastJob, serviceOf(slot) == purge.service else {
                continue
            }
            finish(slot, .dead(.purged), [], now)
            purge.count += 1
        }
        if purge.slot < jobs.extent {
            purges[0] = purge
        } else {
            purges.removeFirst()
            output.actions.append(.answer(purge.request, .purged(purge.count)))
        }
    }

    // MARK: Configuration

    mutating func configure(_ new: QueueConfiguration, _ now: Moment) {
        let old = configuration
        configuration = new
        for index in names.indices {
            names[index].limits = new.producers[names[index].text] ?? new.producer
            names[index].weight = new.weight(of: names[index].text)
        }
        for index in services.indices {
            services[index].limits = new.services[services[index].text] ?? new.service
            services[index].batching = new.batching[services[index].text] ?? new.standardBatching
            dirtyServices.insert(index)
        }
        hasNewOutcomes = true
        if !old.hasSameAges(new) { limitAges() }
    }

    /// Applies limits of age to what is open. A limit that was lifted still counts for jobs it had been applied to.
    private mutating func limitAges() {
        for slot in 0..<jobs.extent {
            let state = jobs[slot].state
            guard state == .ready || state == .waiting || state == .leased else { continue }
            let deadline = jobs[slot].deadline
            limitAge(slot, serviceOf(slot), Int(flows[Int(jobs[slot].flow)].producer))
            if jobs[slot].deadline != deadline { setTimer(slot, jobs[slot].deadline) }
        }
    }
}

extension QueueConfiguration {
    func hasSameAges(_ other: QueueConfiguration) -> Bool {
        total.age == other.total.age && service.age == other.service.age && producer.age == other.producer.age
            && services.mapValues(\.age) == other.services.mapValues(\.age)
            && producers.mapValues(\.age) == other.producers.mapValues(\.age)
    }
}
