internal import Foundation
internal import GRDB
internal import Synchronization

/// What people do with a journal: looking, dead letters, erasure, backups; and what time does: tombstones, figures.
extension SQLiteStore {
    package func describe(_ jobs: [JobNumber], in partition: PartitionID) async throws -> [JobDescription] {
        try checkPartition(partition)
        let names = shared.withLock { $0.names }
        return try await failing {
            try await pool.read { database in
                try jobs.compactMap { number in
                    try Row.fetchOne(
                        database, sql: Self.descriptionQuery + "WHERE number = ?", arguments: [Int64(bitPattern: number.rawValue)]
                    ).map { Self.description($0, names) }
                }
            }
        }
    }

    package func deadLetters(after: JobNumber, limit: Int, in partition: PartitionID) async throws -> [JobDescription] {
        try checkPartition(partition)
        let names = shared.withLock { $0.names }
        return try await failing {
            try await pool.read { database in
                try Row.fetchAll(
                    database, sql: Self.descriptionQuery + "WHERE letter.job > ? ORDER BY number LIMIT ?",
                    arguments: [Int64(bitPattern: after.rawValue), max(limit, 0)]
                ).map { Self.description($0, names) }
            }
        }
    }

    private static let descriptionQuery = """
        SELECT number, id, producer, service, priority, accepted, deadline, coalesce(letter.attempts, job.attempts) AS attempts, crashes,
            parent, envelope_bytes, payload_bytes, letter.kind, letter.sequence, letter.finished
        FROM job LEFT JOIN dead_letter AS letter ON letter.job = job.number

        """

    private static func description(_ row: Row, _ names: [String]) -> JobDescription {
        func name(_ column: String) -> String {
            let number = Int(row.integer(column))
            return names.indices.contains(number) ? names[number] : ""
        }
        return JobDescription(
            number: JobNumber(UInt64(bitPattern: row.integer("number"))), id: row.text("id"), producer: name("producer"),
            service: name("service"),
            priority: Priority(UInt8(truncatingIfNeeded: row.integer("priority"))),
            accepted: WallTime(milliseconds: row.integer("accepted")),
            deadline: row.optionalInteger("deadline").map { WallTime(milliseconds: $0) }, attempts: Int(row.integer("attempts")),
            crashes: Int(row.integer("crashes")), parent: row.optionalInteger("parent").map { JobNumber(UInt64(bitPattern: $0)) },
            envelopeBytes: Int(row.integer("envelope_bytes")), payloadBytes: Int(row.integer("payload_bytes")),
            outcome: row.optionalInteger("kind").flatMap { OutcomeKind(code: UInt8(truncatingIfNeeded: $0)) },
            sequence: row.optionalInteger("sequence").map { Sequence(UInt64(bitPattern: $0)) },
            finished: row.optionalInteger("finished").map { WallTime(milliseconds: $0) })
    }

    // MARK: Dead letters

    package func removeDeadLetters(_ jobs: [JobNumber], in partition: PartitionID) async throws -> Int {
        try checkPartition(partition)
        return try await failing {
            try await pool.writeWithoutTransaction { database in try self.removeDeadLetters(jobs.map(\.rawValue), database) }
        }
    }

    private func removeDeadLetters(_ jobs: [UInt64], _ database: Database) throws -> Int {
        var freed: [(PayloadPlace, [UInt8])] = []
        var count = 0
        try database.inTransaction(.immediate) {
            for job in jobs.map({ Int64(bitPattern: $0) }) {
                guard let forgotten = try Bool.fetchOne(database, sql: "SELECT forgotten FROM dead_letter WHERE job = ?", arguments: [job])
                else { continue }
                count += 1
                if let place = try place(of: job, database) { freed.append(place) }
                try database.cachedStatement(sql: "DELETE FROM dead_letter WHERE job = ?").execute(arguments: [job])
                if forgotten { try database.cachedStatement(sql: "DELETE FROM job WHERE number = ?").execute(arguments: [job]) }
            }
            return .commit
        }
        shared.withLock { shared in
            for (place, sha256) in freed { shared.payloads.release(place, sha256: sha256) }
            for job in jobs { shared.contents.remove(job) }
            shared.figures.deadLetters -= min(shared.figures.deadLetters, UInt64(count))
        }
        return count
    }

    /// Deletes the oldest letters when there are too many.
    func trimDeadLetters(_ batch: JournalBatch, _ database: Database) throws {
        let surplus = Int(shared.withLock { $0.figures.deadLetters }) - options.deadLetters
        guard surplus > 0, !batch.finished.isEmpty else { return }
        let oldest = try Int64.fetchAll(database, sql: "SELECT job FROM dead_letter ORDER BY job LIMIT ?", arguments: [surplus])
        _ = try removeDeadLetters(oldest.map { UInt64(bitPattern: $0) }, database)
    }

    // MARK: Erasure

    package func erase(_ jobs: [JobNumber], in partition: PartitionID) async throws {
        try checkPartition(partition)
        try await failing {
            try await pool.writeWithoutTransaction { database in try self.erase(jobs, database) }
        }
    }

    private func erase(_ jobs: [JobNumber], _ database: Database) throws {
        let numbers = jobs.map { Int64(bitPattern: $0.rawValue) }
        for number in numbers {
            guard let found = try place(of: number, database) else { continue }
            let count = try Int.fetchOne(database, sql: "SELECT payload_bytes FROM job WHERE number = ?", arguments: [number]) ?? 0
            try shared.withLock { try $0.payloads.overwrite(found.0, sha256: found.1, count: count) }
        }
        _ = try removeDeadLetters(jobs.map(\.rawValue), database)
        try database.inTransaction(.immediate) {
            for number in numbers {
                try database.execute(
                    sql: "UPDATE job SET id = '', envelope = x'', payload = NULL WHERE number = ?", arguments: [number])
                for row in try Row.fetchAll(database, sql: "SELECT * FROM outcome WHERE job = ?", arguments: [number]) {
                    try eraseBody(row, database)
                }
            }
            return .commit
        }
        try cutLog(database)
        shared.withLock { shared in
            for job in jobs { shared.contents.remove(job.rawValue) }
            shared.outcomes = ContentCache(limit: options.cacheBytes)
        }
    }

    package func eraseLeftovers(of service: String, in partition: PartitionID) async throws {
        try checkPartition(partition)
        try await failing {
            try await pool.writeWithoutTransaction { database in try self.eraseLeftovers(of: service, database) }
        }
    }

    /// On the writer's connection, so that no payload is written meanwhile.
    private func eraseLeftovers(of service: String, _ database: Database) throws {
        let needed = "NOT EXISTS (SELECT 1 FROM done WHERE done.job = job.number)"
        let done = "WITH done AS MATERIALIZED (SELECT job FROM outcome WHERE job NOT IN (SELECT job FROM dead_letter))"
        var kept: [UInt32: [Range<Int64>]] = [:]
        let rows = try Row.fetchCursor(
            database, sql: "\(done) SELECT segment, start, payload_bytes FROM job WHERE place = 1 AND \(needed)")
        while let row = try rows.next() {
            let start: Int64 = row.integer("start")
            kept[UInt32(truncatingIfNeeded: row.integer("segment")), default: []].append(start..<start + row.integer("payload_bytes"))
        }
        try shared.withLock { try $0.payloads.scrub(keeping: kept) }
        try database.inTransaction(.immediate) {
            try database.execute(
                sql: """
                    \(done) UPDATE job SET payload = NULL WHERE payload IS NOT NULL AND service = (SELECT number FROM name WHERE name = ?)
                    AND NOT \(needed)
                    """, arguments: [service])
            return .commit
        }
        try cutLog(database)
    }

    /// Old pages live on in the log until it is cut, for which no reader may be at work.
    private func cutLog(_ database: Database) throws {
        for attempt in 1... {
            do {
                try database.checkpoint(.truncate)
                return
            } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY || error.resultCode == .SQLITE_LOCKED {
                guard attempt < 200 else { throw LogInUse() }
                usleep(10_000)
            }
        }
    }

    /// Readers kept the log from being cut.
    struct LogInUse: Error, CustomStringConvertible {
        let description = "the journal's log is being read and can't be emptied; erase again"
    }

    private func eraseBody(_ row: Row, _ database: Database) throws {
        guard let kind = OutcomeKind(code: UInt8(truncatingIfNeeded: row.integer("kind"))) else { return }
        let sequence = row.integer("sequence")
        let finish = FinishedJob(
            number: JobNumber(UInt64(bitPattern: row.integer("job"))), sequence: Sequence(UInt64(bitPattern: sequence)), kind: kind,
            finished: WallTime(milliseconds: row.integer("finished")), attempts: Int(row.integer("attempts")), body: [])
        try database.execute(
            sql: "UPDATE outcome SET body = x'', fixed = ? WHERE sequence = ?", arguments: [RowCheck.outcome(finish), sequence])
    }

    // MARK: Tombstones

    package func expireTombstones(olderThan age: Duration, keeping limit: Int, now: WallTime, in partition: PartitionID) async throws
        -> Duration
    {
        try checkPartition(partition)
        let oldest = WallTime(milliseconds: now.milliseconds - age.milliseconds).day
        return try await failing {
            try await pool.writeWithoutTransaction { database in
                var days = self.shared.withLock { $0.days }
                var count = Int(self.shared.withLock { $0.figures.tombstones })
                while let day = days.last, day < oldest || (count > limit && days.count > 1) {
                    count -= try Int.fetchOne(database, sql: "SELECT count(*) FROM tombstone_\(day)") ?? 0
                    // Hashes, not content: overwriting them would hold commits up for nothing.
                    try database.execute(
                        sql: "PRAGMA secure_delete = OFF; DROP TABLE tombstone_\(day); PRAGMA secure_delete = ON")
                    days.removeLast()
                }
                self.shared.withLock { shared in
                    shared.days = days
                    shared.filters = shared.filters.filter { days.contains($0.key) }
                    shared.figures.tombstones = UInt64(max(count, 0))
                }
                return days.last.map { .milliseconds(now.milliseconds - $0 * WallTime.dayLength) } ?? .zero
            }
        }
    }

    // MARK: Figures

    package func room() async -> StoreFigures {
        var figures = StoreFigures()
        (figures.freeBytes, figures.lowestBytes) = folder.room(lowest: options.lowestRoom)
        return figures
    }

    package func figures() async -> StoreFigures {
        let room = folder.room(lowest: options.lowestRoom)
        if room.free >= room.lowest { folder.layBallast() }
        var status = stat()
        let database = ["journal.sqlite", "journal.sqlite-wal"].reduce(UInt64(0)) { sum, name in
            stat(folder.file(name), &status) == 0 ? sum + UInt64(status.st_size) : sum
        }
        let files = shared.withLock { $0.payloads }
        return shared.withLock { shared in
            var figures = shared.figures
            (figures.freeBytes, figures.lowestBytes) = room
            figures.databaseBytes = database
            figures.payloadBytes = files.size
            return figures
        }
    }

    // MARK: Backups

    /// Copies the journal, as it is at one moment, into a folder that does not exist yet. Commits wait while the database is copied.
    package func backUp(to target: String) async throws {
        try checkUsable()
        let files = FileManager.default
        guard !files.fileExists(atPath: target) else {
            throw JobQueueError.unusableFolder(path: target, reason: "it exists already")
        }
        let copy = try JournalFolder(target)
        shared.withLock { $0.payloads.pin() }
        defer { shared.withLock { $0.payloads.unpin() } }
        let highWater = try await failing {
            try await pool.writeWithoutTransaction { database in
                let queue = try DatabaseQueue(path: copy.file("journal.sqlite"))
                try queue.writeWithoutTransaction { try database.backup(to: $0) }
                try queue.close()
                return self.shared.withLock { shared in
                    var mark = HighWaterFile()
                    (mark.epoch, mark.commits) = (shared.epoch, shared.commits)
                    (mark.lastJob, mark.lastSequence) = (shared.lastJob, shared.lastSequence)
                    return mark
                }
            }
        }
        // Payload files only grow, so that what was copied of the rows is in them.
        for name in try files.contentsOfDirectory(atPath: folder.path) where name.hasPrefix("payload-") {
            try files.copyItem(atPath: folder.file(name), toPath: copy.file(name))
        }
        for name in try files.contentsOfDirectory(atPath: folder.file("spool")) {
            try files.copyItem(atPath: folder.file("spool/\(name)"), toPath: copy.file("spool/\(name)"))
        }
        try Self.syncAll(copy)
        try JournalFolder.replace(copy.file("highwater"), with: highWater.bytes)
    }

    /// Copies a backup to where a dispatcher will open it. The target must not exist. Throws if the copy is damaged.
    package static func restore(from backup: String, to target: String) throws {
        let files = FileManager.default
        guard files.fileExists(atPath: backup + "/journal.sqlite") else {
            throw JobQueueError.unusableFolder(path: backup, reason: "it holds no journal")
        }
        guard !files.fileExists(atPath: target) else {
            throw JobQueueError.unusableFolder(path: target, reason: "it exists already")
        }
        do { try files.copyItem(atPath: backup, toPath: target) } catch {
            throw JobQueueError.unusableFolder(path: target, reason: error.localizedDescription)
        }
        try syncAll(try JournalFolder(target))
        let queue = try translating(target) { try DatabaseQueue(path: target + "/journal.sqlite") }
        let verdict = try translating(target) { try queue.read { try String.fetchOne($0, sql: "PRAGMA integrity_check(1)") } }
        try translating(target) { try queue.close() }
        guard verdict == "ok" else { throw JobQueueError.damaged(path: target, reason: verdict ?? "integrity_check") }
        let path = target + "/highwater"
        guard let bytes = files.contents(atPath: path), var mark = HighWaterFile(bytes: [UInt8](bytes)) else { return }
        mark.lastJob += numbersLeftOutByRestore
        mark.lastSequence += numbersLeftOutByRestore
        try JournalFolder.replace(path, with: mark.bytes)
    }

    /// Outcomes after the backup had these numbers, and sinks that saw them would take others of the same numbers for repeats.
    package static let numbersLeftOutByRestore: UInt64 = 500_000

    private static func syncAll(_ folder: JournalFolder) throws {
        let files = FileManager.default
        for name in try files.subpathsOfDirectory(atPath: folder.path) {
            let descriptor = Glibc.open(folder.file(name), O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw JournalFolder.failure(errno, "open", folder.file(name)) }
            defer { Glibc.close(descriptor) }
            guard fsync(descriptor) == 0 else { throw JournalFolder.failure(errno, "fsync", folder.file(name)) }
        }
        try JournalFolder.sync(folder: folder.path)
    }
}
