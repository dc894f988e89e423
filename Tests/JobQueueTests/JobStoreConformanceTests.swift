import Foundation
import JobQueue
import Testing

/// Makes the stores that the conformance suite runs on; `reopen` is what a new process would see.
struct StoreMaker: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let make: @Sendable (String) throws -> any JobStore
    /// Whether a second instance finds what the first one left.
    let outlivesInstance: Bool

    static let memory = StoreMaker(testDescription: "in memory", make: { _ in MemoryStore() }, outlivesInstance: false)
    static let sqlite = StoreMaker(testDescription: "SQLite", make: { try SQLiteStore(folder: $0) }, outlivesInstance: true)
    static let uncached = StoreMaker(
        testDescription: "SQLite without a cache",
        make: { folder in
            var options = SQLiteStore.Options()
            options.cacheBytes = 0
            return try SQLiteStore(folder: folder, options: options)
        }, outlivesInstance: true)
    static let all = [memory, sqlite, uncached]
}

/// A folder that goes when it is let go of.
final class TemporaryFolder: Sendable {
    let path: String
    init() throws {
        path = NSTemporaryDirectory() + "p4q-queue-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
    var journal: String { path + "/journal" }
}

/// Batches for tests, with everything that isn't told made up from the number.
struct BatchMaker {
    var epoch: Epoch
    let day = WallTime(milliseconds: 1_700_000_000_000)

    func job(_ number: UInt64, payload: [UInt8] = [1, 2, 3], id: String? = nil) -> AcceptedJob {
        AcceptedJob(
            number: JobNumber(number), key: JobKey(producer: "p", service: "classify", id: "\(number)"),
            digest: JobDigest(high: number, low: 5), id: id ?? "job-\(number)", producer: 0, service: 1, priority: Priority(5),
            accepted: day,
            deadline: number % 2 == 0 ? WallTime(milliseconds: day.milliseconds + 1000) : nil,
            notBefore: number % 3 == 0 ? WallTime(milliseconds: day.milliseconds + 5) : nil, parent: number == 4 ? JobNumber(1) : nil,
            envelope: Array("envelope \(number)".utf8), payload: payload)
    }

    func finish(_ number: UInt64, _ sequence: UInt64, _ kind: OutcomeKind = .scored, body: [UInt8] = [9, 9]) -> FinishedJob {
        FinishedJob(
            number: JobNumber(number), sequence: Sequence(sequence), kind: kind, finished: day, attempts: 1, body: body)
    }

    func batch(_ change: (inout JournalBatch) -> Void) -> JournalBatch {
        var batch = JournalBatch()
        batch.epoch = epoch
        change(&batch)
        return batch
    }

    /// The first batch of a journal: names, and jobs 1 to `count`.
    func first(_ count: UInt64, payload: [UInt8] = [1, 2, 3]) -> JournalBatch {
        batch { batch in
            batch.names = [.init(number: 0, name: "p"), .init(number: 1, name: "classify")]
            batch.accepted = (1...count).map { job($0, payload: payload) }
        }
    }
}

let partition = PartitionID()

func allJobs(_ store: any JobStore, page: Int = 3) async throws -> [RecoveredJob] {
    var (jobs, last): ([RecoveredJob], JobNumber) = ([], JobNumber(0))
    while true {
        let next = try await store.recoveredJobs(after: last, limit: page, in: partition)
        guard let end = next.last else { return jobs }
        jobs += next
        last = end.number
    }
}

@Suite struct JobStoreConformanceTests {
    @Test(arguments: StoreMaker.all)
    func `an empty journal opens, and each opening raises the epoch`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let first = try await store.open(partition)
        #expect(try await allJobs(store).isEmpty)
        let second = try await store.open(partition)
        #expect(second.epoch.rawValue == first.epoch.rawValue + 1 && second.secret == first.secret)
        #expect(first.lastJob == JobNumber(0) && first.lastSequence == Sequence(0) && first.groups.isEmpty && first.names.isEmpty)
        try await store.close()
    }

    @Test(arguments: StoreMaker.all)
    func `a write under an older epoch is refused and changes nothing`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let old = try await store.open(partition).epoch
        let new = try await store.open(partition).epoch
        let batch = BatchMaker(epoch: old).first(2)
        await #expect(throws: JobQueueError.fenced(partition, own: old, current: new)) { try await store.commit(batch) }
        #expect(try await store.contents(of: [JobNumber(1)], in: partition).allSatisfy { if case .corrupt = $0 { true } else { false } })
        try await store.commit(BatchMaker(epoch: new).first(2))
        #expect(try await store.describe([JobNumber(1), JobNumber(2)], in: partition).count == 2)
        try await store.close()
    }

    @Test(arguments: StoreMaker.all)
    func `everything that was committed is there after a restart`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        var store = try maker.make(folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(8))
        var ranges = SequenceRanges()
        for sequence in [3, 4, 9] as [UInt64] { ranges.insert(sequence) }
        let group = GroupRecord(
            settings: GroupSettings(name: "g", kind: .exclusive, services: ["classify"], retention: .expire(limit: 7)),
            cursor: Sequence(1), lastRead: Sequence(1), read: ranges, generation: Generation(3), expired: 2)
        try await store.commit(
            batches.batch { batch in
                batch.updated = [
                    JobUpdate(number: JobNumber(2), attempts: 2, crashes: 1, isSuspect: true, notBefore: WallTime(milliseconds: 77)),
                    JobUpdate(number: JobNumber(3), attempts: 0, crashes: 0, isSuspect: true, notBefore: nil),
                ]
                batch.finished = [batches.finish(5, 1), batches.finish(1, 2, .rejected), batches.finish(6, 3, .dead(.crash))]
                batch.groups = [group]
                batch.modes = [.init(service: 1, mode: .paused)]
            })
        try await store.close()
        if maker.outlivesInstance { store = try maker.make(folder.journal) }
        let found = try await store.open(partition)
        #expect(found.lastJob == JobNumber(8) && found.lastSequence == Sequence(3) && found.wasClean)
        #expect(found.names.map(\.name) == ["p", "classify"] && found.groups == [group])
        #expect(found.modes == [.init(service: 1, mode: .paused)])
        let jobs = try await allJobs(store)
        #expect(jobs.map(\.number.rawValue) == Array(1...8))
        let second = jobs[1]
        #expect(second.attempts == 2 && second.crashes == 1 && second.isSuspect && second.notBefore == WallTime(milliseconds: 77))
        #expect(second.deadline == WallTime(milliseconds: 1_700_000_001_000) && second.priority == Priority(5))
        #expect(jobs[2].isSuspect && jobs[2].notBefore == nil && jobs[5].bytes == 10 + 3)
        #expect(jobs.compactMap(\.finished).map(\.sequence.rawValue) == [2, 1, 3])
        #expect(jobs.filter { $0.finished == nil }.map(\.number.rawValue) == [2, 3, 4, 7, 8])
        try await store.close()
    }

    @Test(arguments: StoreMaker.all, [0, 3, 1024, 1025, 200_000, 300_000])
    func `contents come back as they were, of every size`(maker: StoreMaker, size: Int) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try await store.commit(batches.first(3, payload: payload))
        let contents = try await store.contents(of: [3, 1].map { JobNumber($0) }, in: partition)
        let expected: [(UInt64, [UInt8])] = [(3, payload), (1, payload)]
        #expect(contents.count == 2)
        for (content, (number, payload)) in zip(contents, expected) {
            guard case .intact(let job, let envelope, let bytes) = content else {
                Issue.record("\(content)")
                continue
            }
            #expect(job.rawValue == number && envelope == Array("envelope \(number)".utf8) && bytes == payload)
        }
        try await store.close()
    }

    @Test(arguments: StoreMaker.all)
    func `outcomes come with their jobs, and those that are gone are left out`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(3))
        try await store.commit(
            batches.batch { $0.finished = [batches.finish(2, 1, body: [1]), batches.finish(1, 2, .rejected, body: [2])] })
        let outcomes = try await store.outcomes([2, 7, 1].map { Sequence($0) }, in: partition)
        #expect(outcomes.map(\.sequence.rawValue) == [2, 1] && outcomes.map(\.body) == [[2], [1]])
        #expect(outcomes.map(\.id) == ["job-1", "job-2"] && outcomes.allSatisfy { $0.producer == "p" && $0.service == "classify" })
        #expect(outcomes.map(\.kind) == [.rejected, .scored] && outcomes[0].envelope == Array("envelope 1".utf8))
        try await store.close()
    }

    @Test(arguments: StoreMaker.all)
    func `what is forgotten leaves a tombstone, also after a restart`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        var store = try maker.make(folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(3))
        try await store.commit(batches.batch { $0.finished = [batches.finish(2, 1), batches.finish(3, 2, .dead(.attempts))] })
        let stones = [2, 3].map { number in
            ForgottenJob(
                number: JobNumber(number), key: batches.job(number).key,
                tombstone: Tombstone(
                    digest: batches.job(number).digest, sequence: Sequence(number - 1), outcome: number == 2 ? .scored : .dead(.attempts)))
        }
        try await store.commit(batches.batch { $0.forgotten = stones })
        // Before and after a restart, and when the index of what was there at the restart is complete.
        for round in 0...2 {
            if round == 2 { try await store.indexTombstones(in: partition) }
            let found = try await store.tombstones(of: (1...3).map { batches.job($0).key }, in: partition)
            #expect(found == [nil, stones[0].tombstone, stones[1].tombstone])
            #expect(try await store.outcomes([Sequence(1), Sequence(2)], in: partition).isEmpty)
            if round == 0 {
                try await store.close()
                if maker.outlivesInstance { store = try maker.make(folder.journal) }
                _ = try await store.open(partition)
                #expect(try await allJobs(store, page: 1).map(\.number.rawValue) == [1])
            }
        }
        // The dead letter outlives its outcome.
        #expect(try await store.deadLetters(after: JobNumber(0), limit: 9, in: partition).map(\.number.rawValue) == [3])
        #expect(await store.figures().tombstones == 2)
        let now = SQLiteStore.systemWall()
        _ = try await store.expireTombstones(olderThan: .seconds(7 * 86_400), keeping: 100, now: now, in: partition)
        #expect(await store.figures().tombstones == 2)
        let later = WallTime(milliseconds: now.milliseconds + 9 * 86_400_000)
        _ = try await store.expireTombstones(olderThan: .seconds(7 * 86_400), keeping: 100, now: later, in: partition)
        #expect(try await store.tombstones(of: [batches.job(2).key], in: partition) == [nil])
        try await store.close()
    }

    @Test(arguments: StoreMaker.all)
    func `dead letters keep their content until they are removed`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        let payload = [UInt8](repeating: 7, count: 5000)
        try await store.commit(batches.first(4, payload: payload))
        try await store.commit(
            batches.batch {
                $0.finished = [
                    batches.finish(1, 1, .dead(.crash)), batches.finish(2, 2, .dead(.cancelled)), batches.finish(3, 3, .dead(.expired)),
                    batches.finish(4, 4),
                ]
            })
        let letters = try await store.deadLetters(after: JobNumber(0), limit: 10, in: partition)
        #expect(letters.map(\.number.rawValue) == [1, 3] && letters.map(\.outcome) == [.dead(.crash), .dead(.expired)])
        #expect(letters[0].id == "job-1" && letters[0].payloadBytes == 5000 && letters[0].sequence == Sequence(1))
        #expect(try await store.deadLetters(after: JobNumber(1), limit: 10, in: partition).map(\.number.rawValue) == [3])
        guard case .intact(_, _, payload) = try await store.contents(of: [JobNumber(1)], in: partition)[0] else {
            Issue.record("the letter has lost its content")
            return
        }
        #expect(try await store.removeDeadLetters([JobNumber(1), JobNumber(2)], in: partition) == 1)
        #expect(try await store.deadLetters(after: JobNumber(0), limit: 10, in: partition).map(\.number.rawValue) == [3])
        #expect(await store.figures().deadLetters == 1)
        try await store.close()
    }

    @Test(arguments: StoreMaker.all)
    func `groups can be removed, and made again in the same batch`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        func group(_ name: String, cursor: UInt64) -> GroupRecord {
            GroupRecord(
                settings: GroupSettings(name: name), cursor: Sequence(cursor), lastRead: Sequence(0), read: SequenceRanges(),
                generation: Generation(0), expired: 0)
        }
        try await store.commit(batches.batch { $0.groups = [group("a", cursor: 1), group("b", cursor: 1)] })
        try await store.commit(
            batches.batch {
                $0.removedGroups = ["a", "b"]
                $0.groups = [group("b", cursor: 5)]
            })
        #expect(try await store.open(partition).groups == [group("b", cursor: 5)])
        try await store.close()
    }

    @Test(arguments: StoreMaker.all)
    func `erased jobs keep nothing of their content`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(2))
        try await store.commit(batches.batch { $0.finished = [batches.finish(1, 1, .dead(.crash), body: [5]), batches.finish(2, 2)] })
        try await store.erase([JobNumber(1)], in: partition)
        let outcomes = try await store.outcomes([Sequence(1), Sequence(2)], in: partition)
        #expect(
            outcomes.map(\.id) == ["", "job-2"] && outcomes[0].body.isEmpty && outcomes[0].envelope.isEmpty && !outcomes[1].body.isEmpty)
        #expect(try await store.deadLetters(after: JobNumber(0), limit: 10, in: partition).isEmpty)
        try await store.close()
    }
}
