internal import Synchronization

/// A journal in memory: for queues that need not survive, and as the twin that the file store is compared with.
///
/// What it holds survives `close`, so that a second runner can open it as if the process had started again.
package final class MemoryStore: JobStore {
    private struct Partition {
        var epoch = Epoch(0)
        var secret: LeaseSecret
        var lastJob: UInt64 = 0
        var lastSequence: UInt64 = 0
        var names: [JournalBatch.NameRecord] = []
        var groups: [String: GroupRecord] = [:]
        var modes: [UInt32: ServiceMode] = [:]
        var jobs: [UInt64: Row] = [:]
        var outcomes: [UInt64: FinishedJob] = [:]
        var letters: Set<UInt64> = []
        /// Dead letters whose outcome is forgotten.
        var forgottenLetters: Set<UInt64> = []
        /// By day, oldest first.
        var tombstones: [(day: Int64, keys: [JobKey: Tombstone])] = []
        var isClean = true
        var figures = StoreFigures()
        var releases = Releases()
    }

    fileprivate struct Row {
        let job: AcceptedJob
        var attempts = 0
        var crashes = 0
        var isSuspect = false
        var notBefore: WallTime?
        var finish: FinishedJob?
        var hasPayload = true
    }

    private let partitions = Mutex<[PartitionID: Partition]>([:])
    private let wall: @Sendable () -> WallTime

    /// `wall` says the day that tombstones are put under.
    package init(wall: @escaping @Sendable () -> WallTime = { PartitionRunner.systemClock()().wall }) { self.wall = wall }

    package func open(_ id: PartitionID) async throws -> RecoveredPartition {
        partitions.withLock { partitions in
            var partition =
                partitions[id] ?? Partition(secret: LeaseSecret(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max)))
            partition.epoch = Epoch(partition.epoch.rawValue + 1)
            let wasClean = partition.isClean
            partition.isClean = false
            partitions[id] = partition
            return RecoveredPartition(
                partition: id, epoch: partition.epoch, secret: partition.secret, lastJob: JobNumber(partition.lastJob),
                lastSequence: Sequence(partition.lastSequence), names: partition.names,
                groups: partition.groups.values.sorted { $0.settings.name < $1.settings.name },
                modes: partition.modes.map { .init(service: $0, mode: $1) }, wasClean: wasClean)
        }
    }

    package func recoveredJobs(after: JobNumber, limit: Int, in id: PartitionID) async throws -> [RecoveredJob] {
        partitions.withLock { partitions in
            guard let partition = partitions[id] else { return [] }
            let rows = partition.jobs.values.filter {
                $0.job.number > after && !partition.forgottenLetters.contains($0.job.number.rawValue)
            }
            return rows.sorted { $0.job.number < $1.job.number }.prefix(limit).map(\.recovered)
        }
    }

    package func commit(_ batch: JournalBatch) async throws {
        let day = wall().day
        try partitions.withLock { partitions in
            guard var partition = partitions.removeValue(forKey: batch.partition) else { throw JobQueueError.closed }
            defer { partitions[batch.partition] = partition }
            guard partition.epoch == batch.epoch else {
                throw JobQueueError.fenced(batch.partition, own: batch.epoch, current: partition.epoch)
            }
            Self.apply(batch, day, &partition)
        }
    }

    /// Refuses whoever does not own the partition any more.
    func fence(_ epoch: Epoch, _ id: PartitionID) throws {
        try partitions.withLock { partitions in
            guard let current = partitions[id]?.epoch else { throw JobQueueError.closed }
            guard current == epoch else { throw JobQueueError.fenced(id, own: epoch, current: current) }
        }
    }

    /// Lends what is kept of releases; changes are kept unless `body` throws.
    func withReleases<Result: Sendable>(_ id: PartitionID, _ body: (inout Releases) throws -> Result) rethrows -> Result {
        try partitions.withLock { partitions in
            var releases = partitions[id]?.releases ?? Releases()
            let result = try body(&releases)
            partitions[id]?.releases = releases
            return result
        }
    }

    private static func apply(_ batch: JournalBatch, _ day: Int64, _ partition: inout Partition) {
        partition.names += batch.names
        for job in batch.accepted {
            partition.jobs[job.number.rawValue] = Row(job: job, notBefore: job.notBefore)
            partition.lastJob = max(partition.lastJob, job.number.rawValue)
        }
        for update in batch.updated {
            partition.jobs[update.number.rawValue]?.attempts = update.attempts
            partition.jobs[update.number.rawValue]?.crashes = update.crashes
            partition.jobs[update.number.rawValue]?.isSuspect = update.isSuspect
            partition.jobs[update.number.rawValue]?.notBefore = update.notBefore
        }
        for finish in batch.finished {
            partition.outcomes[finish.sequence.rawValue] = finish
            partition.jobs[finish.number.rawValue]?.finish = finish
            if case .dead(let reason) = finish.kind, reason.leavesLetter {
                partition.letters.insert(finish.number.rawValue)
            } else {
                partition.jobs[finish.number.rawValue]?.hasPayload = false
            }
            partition.lastSequence = max(partition.lastSequence, finish.sequence.rawValue)
        }
        for name in batch.removedGroups { partition.groups.removeValue(forKey: name) }
        for group in batch.groups { partition.groups[group.settings.name] = group }
        for mode in batch.modes { partition.modes[mode.service] = mode.mode }
        for job in batch.forgotten { forget(job, day, &partition) }
        partition.figures.commits += 1
        partition.figures.rows += UInt64(batch.count)
    }

    private static func forget(_ job: ForgottenJob, _ day: Int64, _ partition: inout Partition) {
        partition.outcomes.removeValue(forKey: job.tombstone.sequence.rawValue)
        if partition.letters.contains(job.number.rawValue) {
            partition.forgottenLetters.insert(job.number.rawValue)
        } else {
            partition.jobs.removeValue(forKey: job.number.rawValue)
        }
        if partition.tombstones.last?.day != day { partition.tombstones.append((day, [:])) }
        partition.tombstones[partition.tombstones.count - 1].keys[job.key] = job.tombstone
    }

    package func contents(of jobs: [JobNumber], in id: PartitionID) async throws -> [JobContent] {
        partitions.withLock { partitions in
            jobs.map { number in
                guard let row = partitions[id]?.jobs[number.rawValue], row.hasPayload else {
                    return .corrupt(number, reason: "it is not kept")
                }
                return .intact(number, envelope: row.job.envelope, payload: row.job.payload)
            }
        }
    }

    package func outcomes(_ sequences: [Sequence], in id: PartitionID) async throws -> [StoredOutcome] {
        partitions.withLock { partitions in
            guard let partition = partitions[id] else { return [] }
            return sequences.compactMap { sequence in
                guard let finish = partition.outcomes[sequence.rawValue], let row = partition.jobs[finish.number.rawValue] else {
                    return nil
                }
                return StoredOutcome(
                    sequence: sequence, job: finish.number, id: row.job.id, producer: partition.names[Int(row.job.producer)].name,
                    service: partition.names[Int(row.job.service)].name, kind: finish.kind, finished: finish.finished,
                    attempts: finish.attempts, envelope: row.job.envelope, body: finish.body)
            }
        }
    }

    /// They are in memory.
    package func indexTombstones(in _: PartitionID) {}

    package func tombstones(of keys: [JobKey], in id: PartitionID) async throws -> [Tombstone?] {
        partitions.withLock { partitions in
            keys.map { key in partitions[id]?.tombstones.lazy.reversed().compactMap { $0.keys[key] }.first }
        }
    }

    package func describe(_ jobs: [JobNumber], in id: PartitionID) async throws -> [JobDescription] {
        partitions.withLock { partitions in
            guard let partition = partitions[id] else { return [] }
            return jobs.compactMap { number in partition.jobs[number.rawValue].map { Self.description($0, partition) } }
        }
    }

    package func deadLetters(after: JobNumber, limit: Int, in id: PartitionID) async throws -> [JobDescription] {
        partitions.withLock { partitions in
            guard let partition = partitions[id] else { return [] }
            return partition.letters.filter { $0 > after.rawValue }.sorted().prefix(limit).compactMap { number in
                partition.jobs[number].map { Self.description($0, partition) }
            }
        }
    }

    private static func description(_ row: Row, _ partition: Partition) -> JobDescription {
        let letter = partition.letters.contains(row.job.number.rawValue) ? row.finish : nil
        return JobDescription(
            number: row.job.number, id: row.job.id, producer: partition.names[Int(row.job.producer)].name,
            service: partition.names[Int(row.job.service)].name, priority: row.job.priority, accepted: row.job.accepted,
            deadline: row.job.deadline, attempts: letter?.attempts ?? row.attempts, crashes: row.crashes, parent: row.job.parent,
            envelopeBytes: row.job.envelope.count, payloadBytes: row.job.payload.count, outcome: letter?.kind, sequence: letter?.sequence,
            finished: letter?.finished)
    }

    package func removeDeadLetters(_ jobs: [JobNumber], in id: PartitionID) async throws -> Int {
        partitions.withLock { partitions in
            var count = 0
            for job in jobs where partitions[id]?.letters.remove(job.rawValue) != nil {
                count += 1
                if partitions[id]?.forgottenLetters.remove(job.rawValue) != nil {
                    partitions[id]?.jobs.removeValue(forKey: job.rawValue)
                } else {
                    partitions[id]?.jobs[job.rawValue]?.hasPayload = false
                }
            }
            return count
        }
    }

    package func erase(_ jobs: [JobNumber], in id: PartitionID) async throws {
        partitions.withLock { partitions in
            for job in jobs {
                guard let row = partitions[id]?.jobs[job.rawValue], let finish = row.finish else { continue }
                let empty = FinishedJob(
                    number: finish.number, sequence: finish.sequence, kind: finish.kind, finished: finish.finished,
                    attempts: finish.attempts, body: [])
                partitions[id]?.jobs[job.rawValue] = row.erased(empty)
                if partitions[id]?.outcomes[finish.sequence.rawValue] != nil {
                    partitions[id]?.outcomes[finish.sequence.rawValue] = empty
                }
                partitions[id]?.letters.remove(job.rawValue)
                if partitions[id]?.forgottenLetters.remove(job.rawValue) != nil { partitions[id]?.jobs.removeValue(forKey: job.rawValue) }
            }
        }
    }

    /// Nothing of it is on a disk.
    package func eraseLeftovers(of service: String, in id: PartitionID) async throws {}

    package func expireTombstones(olderThan age: Duration, keeping limit: Int, now: WallTime, in id: PartitionID) async throws -> Duration {
        partitions.withLock { partitions in
            guard var days = partitions[id]?.tombstones else { return .zero }
            var count = days.reduce(0) { $0 + $1.keys.count }
            let oldest = (now.milliseconds - age.milliseconds) / WallTime.dayLength
            while let first = days.first, days.count > 1 || first.day < oldest, first.day < oldest || count > limit {
                count -= first.keys.count
                days.removeFirst()
            }
            partitions[id]?.tombstones = days
            return days.first.map { .milliseconds(now.milliseconds - $0.day * WallTime.dayLength) } ?? .zero
        }
    }

    /// Throws always: there is nothing that a dispatcher could open again.
    package func backUp(to folder: String) async throws {
        throw JobQueueError.unusableFolder(path: folder, reason: "the journal is kept in memory")
    }

    package func room() async -> StoreFigures { await figures() }

    package func figures() async -> StoreFigures {
        partitions.withLock { partitions in
            partitions.values.reduce(into: StoreFigures()) { sum, partition in
                sum.commits += partition.figures.commits
                sum.rows += partition.figures.rows
                sum.tombstones += UInt64(partition.tombstones.reduce(0) { $0 + $1.keys.count })
                sum.deadLetters += UInt64(partition.letters.count)
            }
        }
    }

    package func close() async throws {
        partitions.withLock { partitions in for id in partitions.keys { partitions[id]?.isClean = true } }
    }
}

extension MemoryStore.Row {
    fileprivate var recovered: RecoveredJob {
        RecoveredJob(
            number: job.number, key: job.key, digest: job.digest, producer: job.producer, service: job.service, priority: job.priority,
            accepted: job.accepted, deadline: job.deadline, notBefore: notBefore, attempts: attempts, crashes: crashes,
            isSuspect: isSuspect, bytes: job.envelope.count + job.payload.count,
            finished: finish.map { .init(sequence: $0.sequence, kind: $0.kind) })
    }

    fileprivate func erased(_ finish: FinishedJob) -> Self {
        let job = AcceptedJob(
            number: job.number, key: job.key, digest: job.digest, id: "", producer: job.producer, service: job.service,
            priority: job.priority, accepted: job.accepted, deadline: job.deadline, notBefore: job.notBefore, parent: job.parent,
            envelope: [], payload: [])
        return Self(
            job: job, attempts: attempts, crashes: crashes, isSuspect: isSuspect, notBefore: notBefore, finish: finish, hasPayload: false)
    }
}

extension WallTime {
    static let dayLength: Int64 = 86_400_000
    /// Days since 1970-01-01 UTC.
    var day: Int64 { Int64((Double(milliseconds) / Double(Self.dayLength)).rounded(.down)) }
}
