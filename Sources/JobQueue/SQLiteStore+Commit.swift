internal import Crypto
internal import Foundation
internal import GRDB
internal import Synchronization

/// Writing: one transaction a batch.
extension SQLiteStore {
    package func commit(_ batch: JournalBatch) async throws {
        try checkPartition(batch.partition)
        do {
            try await write(batch)
        } catch JobQueueError.diskFull where folder.freeBallast() {
            try await write(batch)
        }
    }

    private func write(_ batch: JournalBatch) async throws {
        try await failing {
            try await pool.writeWithoutTransaction { database in try self.write(batch, database) }
        }
    }

    /// A failure that leaves the disk's state unknown is the store's last.
    func failing<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as DatabaseError {
            let translated = Self.translated(error, folder.path)
            if case .diskFull = translated {} else { shared.withLock { $0.hasFailed = true } }
            throw translated
        } catch let error as JobQueueError {
            if case .commitUnknown = error { shared.withLock { $0.hasFailed = true } }
            throw error
        } catch is RowDecodingError {
            throw JobQueueError.damaged(path: folder.path, reason: "a row has values of the wrong kind")
        }
    }

    private func write(_ batch: JournalBatch, _ database: Database) throws {
        let hashes = batch.accepted.map(Self.contentHash)
        // Payloads first: a row never names bytes that aren't durable.
        let (places, payloadSyncs) = try shared.withLock { shared in
            try shared.payloads.write(zip(batch.accepted, hashes).map { ($0.payload, $1) })
        }
        let (commits, day) = (shared.withLock { $0.commits } + 1, wall().day)
        var freed: [(PayloadPlace, [UInt8])] = []
        try database.inTransaction(.immediate) {
            try fence(batch.partition, batch.epoch, database)
            try insert(batch, places, hashes, database)
            freed = try finish(batch, database)
            try writeGroups(batch, database)
            try forget(batch, day, database)
            try database.cachedStatement(
                sql: "UPDATE partition SET last_job = max(last_job, ?), last_sequence = max(last_sequence, ?), commits = ? WHERE id = 0"
            ).execute(arguments: [
                Int64(bitPattern: batch.accepted.last?.number.rawValue ?? 0),
                Int64(bitPattern: batch.finished.last?.sequence.rawValue ?? 0),
                Int64(bitPattern: commits),
            ])
            return .commit
        }
        shared.withLock { committed(batch, places, hashes, freed, commits, day, payloadSyncs, &$0) }
        // The batch is durable: a full disk puts off what is left to do, and no more.
        do {
            try trimDeadLetters(batch, database)
            try checkpointIfLarge(database)
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
        }
        try writeHighWaterIfDue()
    }

    /// The SHA-256 over an envelope and its payload, which stands in the row and names the file of a large payload.
    static func contentHash(_ job: AcceptedJob) -> [UInt8] { contentHash(job.envelope, job.payload) }

    static func contentHash(_ envelope: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        var hasher = SHA256()
        // A large payload's file is named by its bytes alone, so that equal ones share it.
        if payload.count <= PayloadFiles.segmentLimit {
            withUnsafeBytes(of: UInt32(envelope.count).littleEndian) { hasher.update(bufferPointer: $0) }
            envelope.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        }
        payload.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        return Array(hasher.finalize())
    }

    func fence(_ partition: PartitionID, _ epoch: Epoch, _ database: Database) throws {
        let current = try Int64.fetchOne(database.cachedStatement(sql: "SELECT epoch FROM partition WHERE id = 0")) ?? 0
        guard current == Int64(epoch.rawValue) else {
            throw JobQueueError.fenced(partition, own: epoch, current: Epoch(UInt32(truncatingIfNeeded: current)))
        }
    }

    private func insert(_ batch: JournalBatch, _ places: [PayloadPlace], _ hashes: [[UInt8]], _ database: Database) throws {
        if !batch.names.isEmpty {
            let statement = try database.cachedStatement(sql: "INSERT INTO name VALUES (?, ?)")
            for name in batch.names { try statement.execute(arguments: [Int64(name.number), name.name]) }
        }
        guard !batch.accepted.isEmpty else { return }
        var row = try RowWriter(
            database, "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for (index, job) in batch.accepted.enumerated() {
            let (place, segment, start): (Int64, Int64, Int64)
            switch places[index] {
            case .row: (place, segment, start) = (0, 0, 0)
            case .segment(let number, let offset): (place, segment, start) = (1, Int64(number), offset)
            case .spool: (place, segment, start) = (2, 0, 0)
            }
            let fixed = RowCheck.job(
                number: job.number.rawValue, key: job.key, digest: job.digest, producer: job.producer, service: job.service,
                priority: job.priority.rawValue, accepted: job.accepted.milliseconds, deadline: job.deadline?.milliseconds,
                parent: job.parent?.rawValue, bytes: job.envelope.count + job.payload.count)
            row.bind(job.number.rawValue)
            row.bind(job.key.high)
            row.bind(job.key.low)
            row.bind(job.digest.high)
            row.bind(job.digest.low)
            row.bind(Int64(job.producer))
            row.bind(Int64(job.service))
            row.bind(Int64(job.priority.rawValue))
            row.bind(job.accepted.milliseconds)
            row.bind(job.deadline?.milliseconds)
            row.bind(job.notBefore?.milliseconds)
            row.bind(job.parent.map { Int64(bitPattern: $0.rawValue) })
            row.bind(place)
            row.bind(segment)
            row.bind(start)
            row.bind(Int64(job.envelope.count))
            row.bind(Int64(job.payload.count))
            row.bind(fixed)
            row.bind(hashes[index])
            row.bind(job.id)
            row.bind(job.envelope)
            if place == 0, !job.payload.isEmpty { row.bind(job.payload) } else { row.bindNull() }
            try row.run()
        }
    }

    /// Updates and outcomes. Returns the payloads that nobody needs any more.
    private func finish(_ batch: JournalBatch, _ database: Database) throws -> [(PayloadPlace, [UInt8])] {
        if !batch.updated.isEmpty {
            let statement = try database.cachedStatement(
                sql: "UPDATE job SET attempts = ?, crashes = ?, suspect = ?, not_before = ? WHERE number = ?")
            for update in batch.updated {
                try statement.execute(arguments: [
                    update.attempts, update.crashes, update.isSuspect, update.notBefore?.milliseconds,
                    Int64(bitPattern: update.number.rawValue),
                ])
            }
        }
        guard !batch.finished.isEmpty else { return [] }
        var freed: [(PayloadPlace, [UInt8])] = []
        let hasFiles = shared.withLock { !$0.payloads.isEmpty } || batch.accepted.contains { $0.payload.count > PayloadFiles.rowLimit }
        var row = try RowWriter(database, "INSERT INTO outcome VALUES (?, ?, ?, ?, ?, ?, ?)")
        for finish in batch.finished {
            let (sequence, job) = (Int64(bitPattern: finish.sequence.rawValue), Int64(bitPattern: finish.number.rawValue))
            let (kind, finished) = (Int64(finish.kind.code), finish.finished.milliseconds)
            row.bind(sequence)
            row.bind(job)
            row.bind(kind)
            row.bind(finished)
            row.bind(Int64(finish.attempts))
            row.bind(RowCheck.outcome(finish))
            row.bind(finish.body)
            try row.run()
            if case .dead(let reason) = finish.kind, reason.leavesLetter {
                try database.cachedStatement(sql: "INSERT INTO dead_letter VALUES (?, ?, ?, ?, ?, 0)")
                    .execute(arguments: [job, sequence, kind, finished, finish.attempts])
            } else if hasFiles, let place = try place(of: job, database) {
                freed.append(place)
            }
        }
        return freed
    }

    /// Where a job's payload lies, if it is in a file.
    func place(of job: Int64, _ database: Database) throws -> (PayloadPlace, [UInt8])? {
        let statement = try database.cachedStatement(sql: "SELECT place, segment, start, sha256 FROM job WHERE number = ?")
        guard let row = try Row.fetchOne(statement, arguments: [job]), let place = Self.place(row), place != .row else { return nil }
        return (place, row.bytes("sha256"))
    }

    /// Of a row that has place, segment and start.
    static func place(_ row: Row) -> PayloadPlace? {
        switch row.integer("place") {
        case 0: .row
        case 1: .segment(UInt32(truncatingIfNeeded: row.integer("segment")), offset: row.integer("start"))
        case 2: .spool
        default: nil
        }
    }

    private func writeGroups(_ batch: JournalBatch, _ database: Database) throws {
        for name in batch.removedGroups {
            try database.cachedStatement(sql: "DELETE FROM sink_group WHERE name = ?").execute(arguments: [name])
        }
        for group in batch.groups {
            let settings = try Self.settingsEncoder().encode(group.settings)
            let read = group.read.bytes
            try database.cachedStatement(sql: "INSERT OR REPLACE INTO sink_group VALUES (?, ?, ?, ?, ?, ?, ?, ?)").execute(arguments: [
                group.settings.name, String(decoding: settings, as: UTF8.self), Int64(bitPattern: group.cursor.rawValue),
                Int64(bitPattern: group.lastRead.rawValue), Data(read), Int64(bitPattern: group.generation.rawValue),
                Int64(bitPattern: group.expired), RowCheck.group(group, settings: [UInt8](settings), read: read),
            ])
        }
        for mode in batch.modes {
            try database.cachedStatement(sql: "INSERT OR REPLACE INTO service_mode VALUES (?, ?)")
                .execute(arguments: [Int64(mode.service), Int64(mode.mode.rawValue)])
        }
    }

    static func settingsEncoder() -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return encoder
    }

    private func forget(_ batch: JournalBatch, _ day: Int64, _ database: Database) throws {
        guard !batch.forgotten.isEmpty else { return }
        if shared.withLock({ $0.days.first }) != day { try Self.makeTombstoneTable(database, day: day) }
        var stone = try RowWriter(database, "INSERT OR REPLACE INTO tombstone_\(day) VALUES (?, ?, ?, ?, ?, ?)")
        // In the order of the keys, so that each page of the table is touched once.
        for job in batch.forgotten.sorted(by: { Int64(bitPattern: $0.key.high) < Int64(bitPattern: $1.key.high) }) {
            stone.bind(job.key.high)
            stone.bind(job.key.low)
            stone.bind(job.tombstone.digest.high)
            stone.bind(job.tombstone.digest.low)
            stone.bind(job.tombstone.sequence.rawValue)
            stone.bind(Int64(job.tombstone.outcome.code))
            try stone.run()
        }
        var letter = try RowWriter(database, "UPDATE dead_letter SET forgotten = 1 WHERE job = ?")
        var jobs: [UInt64] = []
        for job in batch.forgotten {
            if case .dead(let reason) = job.tombstone.outcome, reason.leavesLetter {
                letter.bind(job.number.rawValue)
                try letter.run()
                if database.changesCount > 0 { continue }
            }
            jobs.append(job.number.rawValue)
        }
        try delete("DELETE FROM outcome WHERE sequence BETWEEN ? AND ?", batch.forgotten.map(\.tombstone.sequence.rawValue), database)
        try delete("DELETE FROM job WHERE number BETWEEN ? AND ?", jobs, database)
    }

    /// Runs `sql` for each stretch of consecutive numbers, which costs SQLite much less than a statement a row.
    private func delete(_ sql: String, _ numbers: [UInt64], _ database: Database) throws {
        var statement = try RowWriter(database, sql)
        let sorted = numbers.sorted()
        var start = 0
        for (index, number) in sorted.enumerated() where index + 1 == sorted.count || sorted[index + 1] != number + 1 {
            statement.bind(sorted[start])
            statement.bind(number)
            try statement.run()
            start = index + 1
        }
    }

    /// What memory keeps, after the commit.
    private func committed(
        _ batch: JournalBatch, _ places: [PayloadPlace], _ hashes: [[UInt8]], _ freed: [(PayloadPlace, [UInt8])], _ commits: UInt64,
        _ day: Int64, _ payloadSyncs: Int, _ shared: inout Shared
    ) {
        shared.commits = commits
        for name in batch.names { shared.names.append(name.name) }
        for (index, job) in batch.accepted.enumerated() {
            shared.payloads.retain(places[index], sha256: hashes[index])
            let content = CachedContent(
                id: job.id, producer: job.producer, service: job.service, envelope: job.envelope, payload: job.payload)
            shared.contents.insert(content, job.number.rawValue, bytes: job.envelope.count + job.payload.count + 200)
        }
        for finish in batch.finished {
            cache(finish, &shared)
            if case .dead(let reason) = finish.kind, reason.leavesLetter { shared.figures.deadLetters += 1 }
        }
        for (place, sha256) in freed { shared.payloads.release(place, sha256: sha256) }
        shared.payloads.settle()
        // Newest first, each once, though the clock be set back over midnight.
        if !batch.forgotten.isEmpty, !shared.days.contains(day) {
            shared.days.insert(day, at: shared.days.firstIndex { $0 < day } ?? shared.days.endIndex)
            if shared.filters[day] == nil { shared.filters[day] = TombstoneFilter(isComplete: true) }
        }
        for job in batch.forgotten {
            shared.outcomes.remove(job.tombstone.sequence.rawValue)
            shared.filters[day]?.insert(job.key)
        }
        shared.figures.tombstones += UInt64(batch.forgotten.count)
        shared.lastJob = max(shared.lastJob, batch.accepted.last?.number.rawValue ?? 0)
        shared.lastSequence = max(shared.lastSequence, batch.finished.last?.sequence.rawValue ?? 0)
        shared.figures.commits += 1
        shared.figures.rows += UInt64(batch.count + 1)
        shared.figures.syncs += UInt64(payloadSyncs + 1)
    }

    private func cache(_ finish: FinishedJob, _ shared: inout Shared) {
        guard let content = shared.contents[finish.number.rawValue], Int(content.producer) < shared.names.count,
            Int(content.service) < shared.names.count
        else { return }
        let outcome = StoredOutcome(
            sequence: finish.sequence, job: finish.number, id: content.id, producer: shared.names[Int(content.producer)],
            service: shared.names[Int(content.service)], kind: finish.kind, finished: finish.finished, attempts: finish.attempts,
            envelope: content.envelope, body: finish.body)
        shared.outcomes.insert(outcome, finish.sequence.rawValue, bytes: finish.body.count + content.envelope.count + 200)
        if case .dead(let reason) = finish.kind, reason.leavesLetter { return }
        shared.contents.remove(finish.number.rawValue)
    }

    // MARK: After commits

    /// SQLite's page size, which is its default.
    private static let pageBytes = 4096

    /// Copies the log into the database when it has grown: here, on the writer's connection, and with its errors looked at.
    private func checkpointIfLarge(_ database: Database) throws {
        guard log.sinceCheckpoint > options.checkpointBytes / Self.pageBytes else { return }
        try database.checkpoint(.passive)
        log.wasCopied()
        shared.withLock { $0.figures.syncs += 2 }
    }

    func writeHighWaterIfDue() throws {
        let isDue = shared.withLock { shared in
            shared.commits >= shared.highWater.commits + 1000 || ContinuousClock.now - shared.highWaterTime > .seconds(1)
        }
        if isDue { try writeHighWater() }
    }

    func writeHighWater() throws {
        let new = shared.withLock { shared in
            shared.highWater.epoch = shared.epoch
            shared.highWater.commits = shared.commits
            shared.highWater.lastJob = shared.lastJob
            shared.highWater.lastSequence = shared.lastSequence
            shared.highWaterTime = ContinuousClock.now
            return shared.highWater
        }
        do throws(JobQueueError) {
            try JournalFolder.replace(folder.file("highwater"), with: new.bytes)
        } catch {
            // With a full disk, or too many files open, the old one stays, and is still true.
            guard error.isRetryable else { throw error }
        }
    }
}
