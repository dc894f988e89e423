internal import DequeModule

/// Groups of sinks: what they are given, and what they have read.
extension QueueMachine {
    /// The job of an outcome that is kept.
    func outcomeSlot(_ sequence: UInt64) -> UInt32? {
        let first = firstOutcome
        guard sequence >= first, sequence <= lastSequence else { return nil }
        let slot = outcomes[Int(sequence - first)]
        return slot == .none ? nil : slot
    }

    /// The sequence of the oldest outcome that is kept.
    var firstOutcome: UInt64 { lastSequence + 1 - UInt64(outcomes.count) }

    private func takes(_ group: Int, _ sequence: UInt64) -> Bool {
        guard let slot = outcomeSlot(sequence) else { return false }
        return groups[group].takes(serviceOf(slot))
    }

    mutating func sinkReady(_ sink: SinkReady, _ now: Moment) {
        if let session = sessions[sink.session] {
            if session.isBusy || session.isWorker {
                ended(sink.session, .evicted, now)
                output.immediate.append(.dismiss(sink.session))
                return
            }
            ended(sink.session, .goodbye, now)
        }
        guard let group = groups.firstIndex(where: { $0.record.settings.name == sink.group }) else {
            output.immediate.append(.refuseSink(sink.session))
            return
        }
        sessions[sink.session] = Session(
            role: .sink(group: sink.group), identity: sink.identity, credit: sink.credit, batchCount: sink.batchOutcomes, batchBytes: .max,
            announcesHeartbeats: sink.announcesHeartbeats, heard: now.uptime.milliseconds)
        groups[group].members.append(sink.session)
        if groups[group].isExclusive, groups[group].members.count == 1 { activate(group) }
        watchSilence(now)
        deliver(group, now)
    }

    /// A new active member: what it gets carries a new generation, and begins after what is acknowledged.
    private mutating func activate(_ group: Int) {
        groups[group].record.generation = Generation(groups[group].record.generation.rawValue + 1)
        groups[group].isChanged = true
        groups[group].rewind()
    }

    mutating func leaveGroup(_ id: SessionID, _ session: Session, _ name: String, _ now: Moment) {
        guard let group = groups.firstIndex(where: { $0.record.settings.name == name }),
            let place = groups[group].members.firstIndex(of: id)
        else { return }
        groups[group].members.remove(at: place)
        if groups[group].isExclusive {
            if place == 0, !groups[group].members.isEmpty { activate(group) }
        } else {
            let open = session.deliveries.flatMap(\.sequences).filter { $0 > groups[group].cursor }
            counters.redelivered += UInt64(open.count)
            groups[group].again = (groups[group].again + open).sorted()
        }
        deliver(group, now)
    }

    // MARK: Delivering

    /// Gives the group's members what their credit and windows let them have.
    mutating func deliver(_ group: Int, _ now: Moment) {
        groups[group].know(services)
        if groups[group].holdUntil != .max {
            guard groups[group].holdUntil <= now.uptime.milliseconds else { return }
            groups[group].holdUntil = .max
        }
        expireUnread(group)
        skipForeign(group)
        guard !isStopping else { return }
        if groups[group].isExclusive {
            guard let id = groups[group].members.first else { return }
            while let session = sessions[id], session.credit > 0, send(group, id, session, now) {}
        } else {
            var idle = 0
            while idle < groups[group].members.count {
                groups[group].turn = (groups[group].turn + 1) % groups[group].members.count
                let id = groups[group].members[groups[group].turn]
                if let session = sessions[id], session.credit > 0, send(group, id, session, now) { idle = 0 } else { idle += 1 }
            }
        }
    }

    /// One delivery; false if there is none to make.
    private mutating func send(_ group: Int, _ id: SessionID, _ session: Session, _ now: Moment) -> Bool {
        let most = min(session.batchCount, configuration.sinkWindow - session.openOutcomes)
        var items: [Delivery.Item] = []
        while items.count < most, let sequence = nextUnread(group) {
            guard let slot = outcomeSlot(sequence) else { continue }
            let previous = groups[group].isExclusive ? groups[group].lastDelivered : 0
            if groups[group].isExclusive { groups[group].lastDelivered = sequence }
            items.append(
                Delivery.Item(sequence: Sequence(sequence), previous: Sequence(previous), job: JobNumber(jobs[slot].number)))
        }
        guard !items.isEmpty else { return false }
        counters.delivered += UInt64(items.count)
        sessions[id]?.credit -= 1
        sessions[id]?.deliveries.append(.init(sequences: items.map(\.sequence.rawValue), sent: now.uptime.milliseconds))
        let generation = groups[group].isExclusive ? groups[group].record.generation : Generation(0)
        output.actions.append(
            .deliver(Delivery(session: id, group: groups[group].record.settings.name, generation: generation, items: items)))
        return true
    }

    /// The next outcome for the group, which is then taken for delivered.
    private mutating func nextUnread(_ group: Int) -> UInt64? {
        while !groups[group].again.isEmpty {
            let sequence = groups[group].again.removeFirst()
            if sequence > groups[group].cursor, !groups[group].record.read.contains(sequence) { return sequence }
        }
        while groups[group].next <= lastSequence {
            let sequence = groups[group].next
            groups[group].next += 1
            if takes(group, sequence), !groups[group].record.read.contains(sequence) { return sequence }
        }
        return nil
    }

    /// Outcomes of services that the group doesn't get need no acknowledgement.
    private mutating func skipForeign(_ group: Int) {
        while groups[group].cursor < lastSequence {
            let sequence = groups[group].cursor + 1
            if let end = groups[group].record.read.end(ofRangeFrom: sequence) {
                groups[group].record.cursor = Sequence(end)
            } else if !takes(group, sequence) {
                groups[group].record.cursor = Sequence(sequence)
            } else {
                break
            }
        }
        groups[group].record.read.removeThrough(groups[group].cursor)
        groups[group].next = max(groups[group].next, groups[group].cursor + 1)
    }

    /// Takes the oldest for read if the group keeps too much and is made to lose it.
    private mutating func expireUnread(_ group: Int) {
        guard case .expire(let limit) = groups[group].record.settings.retention, lastSequence - groups[group].cursor > UInt64(max(limit, 1))
        else { return }
        let cursor = lastSequence - UInt64(max(limit, 1))
        var lost: UInt64 = 0
        for sequence in (groups[group].cursor + 1)...cursor where takes(group, sequence) && !groups[group].record.read.contains(sequence) {
            lost += 1
        }
        groups[group].record.expired += lost
        counters.expiredUnread += lost
        groups[group].record.cursor = Sequence(cursor)
        groups[group].isChanged = true
    }

    // MARK: Acknowledging

    mutating func acknowledge(_ id: SessionID, _ acknowledgement: Acknowledgement, _ now: Moment) {
        guard let session = sessions[id], case .sink(let name) = session.role,
            let group = groups.firstIndex(where: { $0.record.settings.name == name })
        else {
            output.immediate.append(.acknowledged(id, .refused))
            output.immediate.append(.dismiss(id))
            return
        }
        sessions[id]?.heard = now.uptime.milliseconds
        let receipt: AcknowledgementReceipt
        switch acknowledgement {
        case .through(let sequence, let generation): receipt = acknowledge(group, id, through: sequence.rawValue, generation)
        case .list(let sequences): receipt = acknowledge(group, id, sequences.map(\.rawValue))
        case .failed: receipt = failed(group, id, now)
        }
        if receipt == .refused { counters.refusedAcknowledgements += 1 }
        // A FINAL ends the request, whatever it says.
        if let open = sessions[id]?.deliveries.popFirst() {
            sessions[id]?.credit += 1
            if !groups[group].isExclusive { againUnlessRead(group, open.sequences) }
        }
        if groups[group].isExclusive, groups[group].members.first == id, sessions[id]?.deliveries.isEmpty == true {
            // What the sink did not acknowledge of its deliveries comes again.
            if groups[group].lastDelivered > groups[group].record.lastRead.rawValue { groups[group].rewind() }
        }
        output.actions.append(.acknowledged(id, receipt))
        skipForeign(group)
        deliver(group, now)
    }

    private mutating func againUnlessRead(_ group: Int, _ sequences: [UInt64]) {
        let open = sequences.filter { $0 > groups[group].cursor && !groups[group].record.read.contains($0) }
        guard !open.isEmpty else { return }
        counters.redelivered += UInt64(open.count)
        groups[group].again = (groups[group].again + open).sorted()
    }

    private mutating func acknowledge(
        _ group: Int, _ id: SessionID, through sequence: UInt64, _ generation: Generation
    ) -> AcknowledgementReceipt {
        guard groups[group].isExclusive, groups[group].members.first == id, groups[group].record.generation == generation,
            sequence <= groups[group].lastDelivered
        else { return .refused }
        guard sequence > groups[group].cursor else { return .stored }
        groups[group].record.cursor = Sequence(sequence)
        groups[group].record.lastRead = Sequence(sequence)
        groups[group].isChanged = true
        counters.acknowledged += 1
        return .stored
    }

    private mutating func acknowledge(_ group: Int, _ id: SessionID, _ sequences: [UInt64]) -> AcknowledgementReceipt {
        guard !groups[group].isExclusive, sequences.allSatisfy({ $0 < groups[group].next && $0 > 0 }) else { return .refused }
        for sequence in sequences where sequence > groups[group].cursor {
            if groups[group].record.read.insert(sequence) { counters.acknowledged += 1 }
        }
        groups[group].isChanged = true
        skipForeign(group)
        return .stored
    }

    /// The sink could not store it: the same again, a little later.
    private mutating func failed(_ group: Int, _ id: SessionID, _ now: Moment) -> AcknowledgementReceipt {
        groups[group].holdUntil = now.uptime.milliseconds + configuration.heartbeat.milliseconds
        return .stored
    }
}
