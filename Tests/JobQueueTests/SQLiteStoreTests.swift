import Foundation
import JobQueue
import Testing

@Suite struct SQLiteStoreTests {
    /// A journal with `count` open jobs as a killed process leaves it: everything committed, nothing closed.
    private func killedJournal(_ folder: TemporaryFolder, count: UInt64, payload: [UInt8], name: String = "killed") async throws -> String {
        let store = try SQLiteStore(folder: folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(count, payload: payload))
        try await store.commit(batches.batch { $0.finished = [batches.finish(1, 1, body: Array("the result".utf8))] })
        let copy = folder.path + "/" + name
        try FileManager.default.copyItem(atPath: folder.journal, toPath: copy)
        try await store.close()
        return copy
    }

    private func flip(_ path: String, at offset: Int, mask: UInt8 = 4) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[offset] ^= mask
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    @Test func `a folder belongs to one process at a time`() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore(folder: folder.journal)
        let error = #expect(throws: JobQueueError.self) { try SQLiteStore(folder: folder.journal) }
        #expect(error == .folderLocked(path: folder.journal) && error?.exitCode == 75)
        try await store.close()
        try await SQLiteStore(folder: folder.journal).close()
    }

    @Test func `what was committed is there after a kill, and the epoch is a new one`() async throws {
        let folder = try TemporaryFolder()
        let copy = try await killedJournal(folder, count: 20, payload: [UInt8](repeating: 3, count: 2000))
        let store = try SQLiteStore(folder: copy)
        let found = try await store.open(partition)
        #expect(!found.wasClean && found.epoch == Epoch(2) && found.lastSequence == Sequence(1))
        #expect(try await allJobs(store).count == 20)
        try await store.close()
    }

    @Test(arguments: [3, 5000, 300_000])
    func `a flipped bit in a payload is a damaged job, never other bytes`(size: Int) async throws {
        let folder = try TemporaryFolder()
        let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 65) }
        let copy = try await killedJournal(folder, count: 3, payload: payload)
        if size > 1024 {
            let files = FileManager.default
            let spool = try files.contentsOfDirectory(atPath: copy + "/spool")
            try flip(spool.first.map { "\(copy)/spool/\($0)" } ?? copy + "/payload-1", at: size / 2)
        } else {
            // Rows lie in the log until a checkpoint: close, then damage the database itself.
            let store = try SQLiteStore(folder: copy)
            _ = try await store.open(partition)
            try await store.close()
            let path = copy + "/journal.sqlite"
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            let row = try #require(bytes.firstRange(of: Data("envelope 2".utf8)))
            try flip(path, at: row.lowerBound)
        }
        let store = try SQLiteStore(folder: copy)
        _ = try await store.open(partition)
        _ = try await allJobs(store)
        let contents = try await store.contents(of: [1, 2, 3].map { JobNumber($0) }, in: partition)
        let isCorrupt = contents.map { if case .corrupt = $0 { true } else { false } }
        #expect(
            size == 5000
                ? isCorrupt == [true, false, false] : size == 3 ? isCorrupt == [false, true, false] : isCorrupt == [true, true, true])
        try await store.close()
    }

    @Test func `a journal whose log was deleted is refused, unless the loss is accepted`() async throws {
        let folder = try TemporaryFolder()
        let copy = try await killedJournal(folder, count: 5, payload: [1])
        // The high-water file is written at the opening and each second: let it know of the commits.
        let store = try SQLiteStore(folder: copy)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        for number in 100..<1200 as Range<UInt64> { try await store.commit(batches.batch { $0.accepted = [batches.job(number)] }) }
        let lost = folder.path + "/lost"
        try FileManager.default.copyItem(atPath: copy, toPath: lost)
        try await store.close()
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: lost + "/journal.sqlite" + suffix) }
        let error = #expect(throws: JobQueueError.self) { try SQLiteStore(folder: lost) }
        guard case .commitsLost = error else { return fail("\(String(describing: error))") }
        #expect(error?.exitCode == 74)
        var options = SQLiteStore.Options()
        options.acceptsLoss = true
        let accepted = try SQLiteStore(folder: lost, options: options)
        let found = try await accepted.open(partition)
        #expect(found.lastJob.rawValue >= 100 && found.epoch > Epoch(2))
        try await accepted.close()
    }

    @Test func `a bit flipped anywhere is noticed, or harms nothing`() async throws {
        let folder = try TemporaryFolder()
        let original = try await killedJournal(folder, count: 60, payload: [UInt8](repeating: 9, count: 700))
        var random = SeededSource(seed: 11)
        var noticed = 0
        for trial in 0..<120 {
            let copy = folder.path + "/flip"
            try? FileManager.default.removeItem(atPath: copy)
            try FileManager.default.copyItem(atPath: original, toPath: copy)
            let path = copy + (trial % 2 == 0 ? "/journal.sqlite-wal" : "/journal.sqlite")
            let size = try Data(contentsOf: URL(fileURLWithPath: path)).count
            try flip(path, at: random.below(size), mask: 1 << UInt8(random.below(8)))
            do {
                let store = try SQLiteStore(folder: copy)
                let found = try await store.open(partition)
                let jobs = try await allJobs(store)
                for content in try await store.contents(of: jobs.map(\.number), in: partition) {
                    switch content {
                    case .intact(let job, let envelope, let payload):
                        #expect(envelope == Array("envelope \(job.rawValue)".utf8) && payload == [UInt8](repeating: 9, count: 700))
                    case .corrupt: noticed += 1
                    }
                }
                for outcome in try await store.outcomes([Sequence(1)], in: partition) { #expect(outcome.body == Array("the result".utf8)) }
                // Commits after the last high-water mark may go with the log; what is said to be there must be.
                #expect(jobs.isEmpty || jobs.count == 60 || found.lastJob.rawValue < 60)
                try await store.close()
            } catch is JobQueueError {
                noticed += 1
            }
        }
        #expect(noticed > 0)
    }

    @Test func `a later version's journal is refused by name`() async throws {
        let folder = try TemporaryFolder()
        try await SQLiteStore(folder: folder.journal).close()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c",
            "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute(\"insert into grdb_migrations values('9')\"); c.commit()",
            folder.journal + "/journal.sqlite",
        ]
        try process.run()
        process.waitUntilExit()
        #expect(throws: JobQueueError.newerVersion(path: folder.journal, found: 9, known: 2)) { try SQLiteStore(folder: folder.journal) }
    }

    @Test(arguments: [(nil, 2), (PlantedBug.synchronousNormal, 1), (.synchronousOff, 0)] as [(PlantedBug?, Int)])
    func `commits are synced in full, and a planted weaker level shows`(planted: PlantedBug?, level: Int) async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore(folder: folder.journal, options: .init(), wall: SQLiteStore.systemWall, planted: planted)
        #expect(try store.synchronousLevel() == level)
        try await store.close()
    }

    @Test func `nothing of an erased job is left in any file`() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore(folder: folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        let marks = ["marker-in-payload", "marker-in-large-payload", "marker-in-id", "marker-in-body"]
        let padding = [UInt8](repeating: 1, count: 2000)
        try await store.commit(
            batches.batch { batch in
                batch.names = [.init(number: 0, name: "p"), .init(number: 1, name: "classify")]
                batch.accepted = [
                    batches.job(1, payload: padding + Array(marks[0].utf8), id: marks[2]),
                    batches.job(2, payload: [UInt8](repeating: 2, count: 300_000) + Array(marks[1].utf8)), batches.job(3, payload: padding),
                ]
            })
        try await store.commit(
            batches.batch {
                $0.finished = [batches.finish(1, 1, .dead(.crash), body: Array(marks[3].utf8)), batches.finish(2, 2, .dead(.attempts))]
            })
        #expect(try found(marks, in: folder.journal) == marks)
        try await store.erase([JobNumber(1), JobNumber(2)], in: partition)
        #expect(try found(marks, in: folder.journal) == [])
        guard case .intact = try await store.contents(of: [JobNumber(3)], in: partition)[0] else {
            return fail("a neighbour is gone")
        }
        try await store.close()
    }

    @Test func `leftovers of finished jobs can be overwritten, and what is still needed stays`() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore(folder: folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        let padding = [UInt8](repeating: 1, count: 2000)
        let marks = (1...6).map { "marker-\($0)-of-this-test" }
        try await store.commit(
            batches.batch { batch in
                batch.names = [.init(number: 0, name: "p"), .init(number: 1, name: "classify")]
                // Three in a file with others, one in its row, one in a file of its own, one more with others.
                batch.accepted = [
                    batches.job(1, payload: padding + Array(marks[0].utf8)), batches.job(2, payload: padding + Array(marks[1].utf8)),
                    batches.job(3, payload: padding + Array(marks[2].utf8)), batches.job(4, payload: Array(marks[3].utf8)),
                    batches.job(5, payload: [UInt8](repeating: 2, count: 300_000) + Array(marks[4].utf8)),
                    batches.job(6, payload: padding + Array(marks[5].utf8)),
                ]
            })
        #expect(try found(marks, in: folder.journal) == marks)
        try await store.commit(
            batches.batch {
                $0.finished = [
                    batches.finish(1, 1), batches.finish(3, 2), batches.finish(4, 3), batches.finish(5, 4),
                    batches.finish(6, 5, .dead(.crash)),
                ]
            })
        // Finished is not erased.
        #expect(try found(marks, in: folder.journal).contains(marks[0]))
        try await store.eraseLeftovers(of: "classify", in: partition)
        #expect(try found(marks, in: folder.journal) == [marks[1], marks[5]])
        for job in [2, 6] as [UInt64] {
            guard case .intact = try await store.contents(of: [JobNumber(job)], in: partition)[0] else { return fail("job \(job) is gone") }
        }
        // New payloads come behind what was overwritten, and the last ones to go leave nothing either.
        try await store.commit(batches.batch { $0.accepted = [batches.job(7, payload: padding + Array("marker-7".utf8))] })
        guard case .intact = try await store.contents(of: [JobNumber(7)], in: partition)[0] else { return fail("job 7 is gone") }
        #expect(try await store.removeDeadLetters([JobNumber(6)], in: partition) == 1)
        try await store.commit(batches.batch { $0.finished = [batches.finish(2, 6), batches.finish(7, 7)] })
        try await store.eraseLeftovers(of: "classify", in: partition)
        #expect(try found(marks + ["marker-7"], in: folder.journal) == [])
        try await store.commit(batches.batch { $0.accepted = [batches.job(8, payload: padding + Array("marker-8".utf8))] })
        guard case .intact = try await store.contents(of: [JobNumber(8)], in: partition)[0] else { return fail("job 8 is gone") }
        try await store.close()
    }

    private func found(_ marks: [String], in folder: String) throws -> [String] {
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder).filter { !$0.hasSuffix("ballast") }
        let bytes = files.compactMap { FileManager.default.contents(atPath: folder + "/" + $0) }
        return marks.filter { mark in bytes.contains { $0.firstRange(of: Data(mark.utf8)) != nil } }
    }

    @Test func `payload files go when nobody needs them, and leftovers are swept`() async throws {
        let folder = try TemporaryFolder()
        var store = try SQLiteStore(folder: folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(2, payload: [UInt8](repeating: 5, count: 400_000)))
        let files = FileManager.default
        #expect(try files.contentsOfDirectory(atPath: folder.journal + "/spool").count == 1)
        try await store.commit(batches.batch { $0.finished = [batches.finish(1, 1)] })
        #expect(try files.contentsOfDirectory(atPath: folder.journal + "/spool").count == 1)
        try await store.commit(batches.batch { $0.finished = [batches.finish(2, 2)] })
        #expect(try files.contentsOfDirectory(atPath: folder.journal + "/spool").isEmpty)
        try await store.close()
        for name in ["/payload-77", "/spool/leftover"] { #expect(files.createFile(atPath: folder.journal + name, contents: Data([1]))) }
        store = try SQLiteStore(folder: folder.journal)
        _ = try await store.open(partition)
        _ = try await allJobs(store)
        #expect(!files.fileExists(atPath: folder.journal + "/payload-77") && !files.fileExists(atPath: folder.journal + "/spool/leftover"))
        try await store.close()
    }

    @Test func `nobody else reads a journal, whatever made its folder`() async throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.journal, withIntermediateDirectories: true)
        let store = try SQLiteStore(folder: folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(50, payload: [UInt8](repeating: 6, count: 3000)))
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.journal) {
            let mode = try FileManager.default.attributesOfItem(atPath: "\(folder.journal)/\(name)")[.posixPermissions] as? Int
            #expect((mode ?? 0o777) & 0o077 == 0, "\(name): \(String(mode ?? 0, radix: 8))")
        }
        try await store.close()
    }

    @Test func `a backup taken while it is written to restores what was accepted before it`() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore(folder: folder.journal)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(50, payload: [UInt8](repeating: 6, count: 3000)))
        let writing = Task {
            for number in 100..<400 as Range<UInt64> {
                try await store.commit(
                    batches.batch {
                        $0.accepted = [batches.job(number, payload: [UInt8](repeating: 7, count: 2000))]
                        if number < 150 { $0.finished = [batches.finish(number - 99, number - 99)] }
                    })
            }
        }
        try await store.backUp(to: folder.path + "/backup")
        try await writing.value
        try await store.close()
        try SQLiteStore.restore(from: folder.path + "/backup", to: folder.path + "/restored")
        let restored = try SQLiteStore(folder: folder.path + "/restored")
        let recovered = try await restored.open(partition)
        // What came after the backup had the next numbers, and sinks may have seen them.
        #expect(recovered.lastJob.rawValue > 399 && recovered.lastSequence.rawValue >= SQLiteStore.numbersLeftOutByRestore)
        let jobs = try await allJobs(restored, page: 100)
        #expect(jobs.prefix(50).map(\.number.rawValue) == Array(1...50))
        for content in try await restored.contents(of: jobs.filter { $0.finished == nil }.map(\.number), in: partition) {
            guard case .intact = content else { return fail("\(content)") }
        }
        #expect(throws: JobQueueError.self) { try SQLiteStore.restore(from: folder.path + "/backup", to: folder.path + "/restored") }
        try await restored.close()
    }

    @Test func `a full disk refuses a commit whole, and takes it later`() async throws {
        // Only root can mount a small file system.
        guard getuid() == 0 else { return }
        let folder = try TemporaryFolder()
        let small = folder.path + "/small"
        try FileManager.default.createDirectory(atPath: small, withIntermediateDirectories: true)
        guard run("mount -t tmpfs -o size=3m none \(small)") else { return }
        defer { _ = run("umount -l \(small)") }
        let store = try SQLiteStore(folder: small + "/journal")
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(1))
        let payload = [UInt8](repeating: 3, count: 100_000)
        var number: UInt64 = 1
        var failure: (any Error)?
        while failure == nil, number < 60 {
            do { try await store.commit(batches.batch { $0.accepted = [batches.job(number + 1, payload: payload)] }) } catch {
                failure = error
            }
            if failure == nil { number += 1 }
        }
        #expect(failure as? JobQueueError == .diskFull(path: small + "/journal/payload-1"))
        #expect(await store.figures().isDiskLow)
        #expect(run("mount -o remount,size=16m \(small)"))
        try await store.commit(batches.batch { $0.accepted = [batches.job(number + 1, payload: payload)] })
        guard case .intact(_, _, payload) = try await store.contents(of: [JobNumber(number + 1)], in: partition)[0] else {
            return fail("not kept")
        }
        try await store.close()
    }

    private func run(_ command: String) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", command + " 2>/dev/null"]
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    // MARK: Version 1

    private static let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/journal-1").path

    /// Writes the fixture; its journal must never change again.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["P4Q_WRITE_FIXTURES"] != nil, "it exists"))
    func `write the journal of version 1`() async throws {
        let store = try SQLiteStore(folder: Self.fixture)
        let batches = BatchMaker(epoch: try await store.open(partition).epoch)
        try await store.commit(batches.first(6, payload: [UInt8](repeating: 8, count: 1500)))
        var ranges = SequenceRanges()
        ranges.insert(3)
        try await store.commit(
            batches.batch {
                $0.updated = [JobUpdate(number: JobNumber(5), attempts: 2, crashes: 1, isSuspect: true, notBefore: batches.day)]
                $0.finished = [batches.finish(1, 1), batches.finish(2, 2, .rejected), batches.finish(3, 3, .dead(.crash))]
                $0.groups = [
                    GroupRecord(
                        settings: GroupSettings(name: "g", kind: .exclusive, services: ["classify"]), cursor: Sequence(1),
                        lastRead: Sequence(1),
                        read: ranges, generation: Generation(4), expired: 0)
                ]
                $0.modes = [.init(service: 1, mode: .paused)]
            })
        try await store.commit(
            batches.batch {
                $0.forgotten = [
                    ForgottenJob(
                        number: JobNumber(1), key: batches.job(1).key,
                        tombstone: Tombstone(digest: batches.job(1).digest, sequence: Sequence(1), outcome: .scored))
                ]
            })
        try await store.close()
        for name in ["lock", "ballast", "journal.sqlite-wal", "journal.sqlite-shm"] {
            try? FileManager.default.removeItem(atPath: Self.fixture + "/" + name)
        }
    }

    @Test func `a filter of forgotten ids denies none that it has, and few others`() {
        var random = SystemRandomNumberGenerator()
        let keys = (0..<300_000).map { _ in JobKey(high: random.next(), low: random.next()) }
        var filter = TombstoneFilter(isComplete: false)
        #expect(filter.mayContain(keys[0]), "an incomplete one denied something")
        for key in keys.prefix(200_000) { filter.insert(key) }
        filter.isComplete = true
        #expect(keys.prefix(200_000).allSatisfy(filter.mayContain))
        #expect(keys.suffix(100_000).count(where: filter.mayContain) < 1000)
    }

    @Test func `what was written lately is found by its number while there is room, over gaps too`() {
        var cache = ContentCache<String>(limit: 100)
        for number in [5, 6, 9] as [UInt64] { cache.insert("\(number)", number, bytes: 20) }
        #expect([4, 5, 6, 7, 8, 9, 10].map { cache[$0] } == [nil, "5", "6", nil, nil, "9", nil])
        cache.remove(6)
        #expect(cache[6] == nil && cache[5] == "5")
        cache.insert("too large", 10, bytes: 26)
        #expect(cache[10] == nil)
        for number in 10...13 as ClosedRange<UInt64> { cache.insert("\(number)", number, bytes: 25) }
        #expect(cache[5] == nil && cache[9] == nil && cache[10] == "10" && cache[13] == "13")
        cache.insert("far", 1_000_000, bytes: 1)
        #expect(cache[13] == nil && cache[1_000_000] == "far")
    }

    @Test func `a journal of version 1 is read`() async throws {
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: Self.fixture, toPath: folder.journal)
        let store = try SQLiteStore(folder: folder.journal)
        let found = try await store.open(partition)
        #expect(found.lastJob == JobNumber(6) && found.lastSequence == Sequence(3) && found.epoch == Epoch(2))
        #expect(
            found.groups.map(\.settings.name) == ["g"] && found.groups[0].generation == Generation(4) && found.groups[0].read.contains(3))
        #expect(found.modes.map(\.mode) == [.paused] && found.names.map(\.name) == ["p", "classify"])
        let jobs = try await allJobs(store)
        #expect(jobs.map(\.number.rawValue) == [2, 3, 4, 5, 6] && jobs[3].attempts == 2 && jobs[3].isSuspect)
        for content in try await store.contents(of: [3, 4, 5, 6].map { JobNumber($0) }, in: partition) {
            guard case .intact(_, _, let payload) = content else { return fail("\(content)") }
            #expect(payload == [UInt8](repeating: 8, count: 1500))
        }
        #expect(try await store.tombstones(of: [BatchMaker(epoch: Epoch(1)).job(1).key], in: partition)[0]?.sequence == Sequence(1))
        #expect(try await store.deadLetters(after: JobNumber(0), limit: 9, in: partition).map(\.id) == ["job-3"])
        #expect(try await store.outcomes([Sequence(2)], in: partition).map(\.kind) == [.rejected])
        // What came with version 2 is there, empty, and works.
        #expect(try await store.releaseSlots(in: partition) == ReleaseSlots())
        let row = ClassSetRow(name: "s", sha256: "aa", text: "{}")
        #expect(try await store.commit(.putClassSet(row), epoch: found.epoch, in: partition).sequence == 1)
        try await store.close()
    }
}
