import JobQueue

/// A journal that can lose what it did not sync, without files.
struct SimulatedJournal {
    struct Row {
        var job: RecoveredJob
        var body: [UInt8] = []
    }

    /// What is on the disk.
    private(set) var state = State()
    /// What the operating system holds: written, but lost with the power. Empty at full durability.
    private var unsynced: [JournalBatch] = []
    let isDurable: Bool

    struct State {
        var epoch: UInt32 = 0
        var lastJob: UInt64 = 0
        var lastSequence: UInt64 = 0
        var names: [JournalBatch.NameRecord] = []
        var groups: [String: GroupRecord] = [:]
        var modes: [UInt32: ServiceMode] = [:]
        var rows: [UInt64: Row] = [:]
        var tombstones: [JobKey: Tombstone] = [:]
    }

    init(isDurable: Bool) { self.isDurable = isDurable }

    /// A commit that returned.
    mutating func commit(_ batch: JournalBatch) {
        if isDurable {
            apply(batch)
        } else {
            unsynced.append(batch)
            // A checkpoint, now and then.
            if unsynced.count > 8 { apply(unsynced.removeFirst()) }
        }
    }

    /// The process ended; the operating system lives.
    mutating func processEnded() {
        for batch in unsynced { apply(batch) }
        unsynced = []
    }

    /// The power was cut: `kept` of the writes that were not synced have reached the disk.
    mutating func powerCut(kept: Int) {
        for batch in unsynced.prefix(kept) { apply(batch) }
        unsynced = []
    }

    /// What a reader of the running process sees.
    func tombstone(_ key: JobKey) -> Tombstone? {
        for batch in unsynced.reversed() { if let job = batch.forgotten.last(where: { $0.key == key }) { return job.tombstone } }
        return state.tombstones[key]
    }

    mutating func open(_ secret: LeaseSecret) -> (RecoveredPartition, [RecoveredJob]) {
        state.epoch += 1
        let partition = RecoveredPartition(
            partition: PartitionID(), epoch: Epoch(state.epoch), secret: secret, lastJob: JobNumber(state.lastJob),
            lastSequence: Sequence(state.lastSequence), names: state.names,
            groups: state.groups.values.sorted { $0.settings.name < $1.settings.name },
            modes: state.modes.sorted { $0.key < $1.key }.map { .init(service: $0.key, mode: $0.value) }, wasClean: false)
        return (partition, state.rows.values.map(\.job).sorted { $0.number < $1.number })
    }

    private mutating func apply(_ batch: JournalBatch) {
        state.names += batch.names
        for job in batch.accepted {
            state.lastJob = max(state.lastJob, job.number.rawValue)
            state.rows[job.number.rawValue] = Row(
                job: RecoveredJob(
                    number: job.number, key: job.key, digest: job.digest, producer: job.producer, service: job.service,
                    priority: job.priority, accepted: job.accepted, deadline: job.deadline, notBefore: job.notBefore, attempts: 0,
                    crashes: 0, isSuspect: false, bytes: job.envelope.count + job.payload.count, finished: nil))
        }
        for update in batch.updated {
            state.rows[update.number.rawValue]?.job.attempts = update.attempts
            state.rows[update.number.rawValue]?.job.crashes = update.crashes
            state.rows[update.number.rawValue]?.job.isSuspect = update.isSuspect
            state.rows[update.number.rawValue]?.job.notBefore = update.notBefore
        }
        for finish in batch.finished {
            state.lastSequence = max(state.lastSequence, finish.sequence.rawValue)
            state.rows[finish.number.rawValue]?.job.finished = .init(sequence: finish.sequence, kind: finish.kind)
            state.rows[finish.number.rawValue]?.body = finish.body
        }
        for name in batch.removedGroups { state.groups.removeValue(forKey: name) }
        for group in batch.groups { state.groups[group.settings.name] = group }
        for mode in batch.modes { state.modes[mode.service] = mode.mode }
        for job in batch.forgotten {
            state.rows.removeValue(forKey: job.number.rawValue)
            state.tombstones[job.key] = job.tombstone
        }
    }
}
