internal import Foundation
internal import GRDB
internal import Synchronization

/// Opening a partition, and everything that only reads.
extension SQLiteStore {
    package func open(_ partition: PartitionID) async throws -> RecoveredPartition {
        try checkPartition(partition)
        let epoch = shared.withLock { shared in
            shared.epoch &+= 1
            return shared.epoch
        }
        let (lastJob, lastSequence, commits) = shared.withLock { ($0.lastJob, $0.lastSequence, $0.commits) }
        let recovered = try await failing {
            try await pool.write { database in
                try database.execute(
                    sql: "UPDATE partition SET epoch = ?, clean = 0, last_job = ?, last_sequence = ?, commits = ? WHERE id = 0",
                    arguments: [
                        Int64(epoch), Int64(bitPattern: lastJob), Int64(bitPattern: lastSequence), Int64(bitPattern: commits + 1),
                    ])
                return try self.recovered(partition, Epoch(epoch), database)
            }
        }
        shared.withLock { shared in
            shared.commits = commits + 1
            shared.names = recovered.partition.names.map(\.name)
            shared.recovering = recovered.finished
            shared.recoveringLetters = recovered.letters
        }
        try writeHighWater()
        return recovered.partition
    }

    private struct Found: Sendable {
        let partition: RecoveredPartition
        let finished: [UInt64: RecoveredJob.Finish]
        /// Dead letters, and whether their outcomes are forgotten.
        let letters: [UInt64: Bool]
    }

    private func recovered(_ id: PartitionID, _ epoch: Epoch, _ database: Database) throws -> Found {
        guard let row = try Row.fetchOne(database, sql: "SELECT * FROM partition WHERE id = 0") else {
            throw JobQueueError.damaged(path: folder.path, reason: "it has no partition 0")
        }
        let names = try Row.fetchAll(database, sql: "SELECT number, name FROM name ORDER BY number").map {
            JournalBatch.NameRecord(number: UInt32(truncatingIfNeeded: $0.integer("number")), name: $0.text("name"))
        }
        guard names.enumerated().allSatisfy({ $0.offset == Int($0.element.number) }) else {
            throw JobQueueError.damaged(path: folder.path, reason: "its names have gaps")
        }
        let groups = try Row.fetchAll(database, sql: "SELECT * FROM sink_group ORDER BY name").map(group)
        let modes = try Row.fetchAll(database, sql: "SELECT * FROM service_mode").map { row in
            JournalBatch.ServiceModeRecord(
                service: UInt32(truncatingIfNeeded: row.integer("service")),
                mode: ServiceMode(rawValue: UInt8(truncatingIfNeeded: row.integer("mode"))) ?? .running)
        }
        var finished: [UInt64: RecoveredJob.Finish] = [:]
        let outcomes = try Row.fetchCursor(database, sql: "SELECT sequence, job, kind FROM outcome")
        while let row = try outcomes.next() {
            let (sequence, job) = (row.integer(0), row.integer(1))
            guard let kind = OutcomeKind(code: UInt8(truncatingIfNeeded: row.integer(2))) else {
                throw JobQueueError.damaged(path: folder.path, reason: "outcome \(sequence) is of no known kind")
            }
            finished[UInt64(bitPattern: job)] = .init(sequence: Sequence(UInt64(bitPattern: sequence)), kind: kind)
        }
        try checkSequences(finished, last: UInt64(bitPattern: row.integer("last_sequence")))
        var letters: [UInt64: Bool] = [:]
        let rows = try Row.fetchCursor(database, sql: "SELECT job, forgotten FROM dead_letter")
        while let row = try rows.next() { letters[UInt64(bitPattern: row.integer(0))] = row.integer(1) != 0 }
        return Found(
            partition: RecoveredPartition(
                partition: id, epoch: epoch,
                secret: LeaseSecret(
                    high: UInt64(bitPattern: row.integer("secret_high")), low: UInt64(bitPattern: row.integer("secret_low"))),
                lastJob: JobNumber(UInt64(bitPattern: row.integer("last_job"))),
                lastSequence: Sequence(UInt64(bitPattern: row.integer("last_sequence"))), names: names, groups: groups, modes: modes,
                wasClean: shared.withLock { $0.wasClean }), finished: finished, letters: letters)
    }

    /// Outcomes lie close together below the last one; what doesn't was not written so.
    private func checkSequences(_ finished: [UInt64: RecoveredJob.Finish], last: UInt64) throws {
        guard let first = finished.values.map(\.sequence.rawValue).min(), let highest = finished.values.map(\.sequence.rawValue).max()
        else {
            return
        }
        guard highest <= last, first > 0, last - first <= UInt64(finished.count) * 2 + 1_000_000 else {
            throw JobQueueError.damaged(path: folder.path, reason: "its outcomes have impossible numbers")
        }
    }

    private func group(_ row: Row) throws -> GroupRecord {
        let (name, text): (String, String) = (row.text("name"), row.text("settings"))
        let read = row.bytes("read")
        guard let settings = try? JSONDecoder().decode(GroupSettings.self, from: Data(text.utf8)), settings.name == name,
            let ranges = SequenceRanges(bytes: read)
        else { throw JobQueueError.damaged(path: folder.path, reason: "group \(name) can't be read") }
        let group = GroupRecord(
            settings: settings, cursor: Sequence(UInt64(bitPattern: row.integer("cursor"))),
            lastRead: Sequence(UInt64(bitPattern: row.integer("last_read"))), read: ranges,
            generation: Generation(UInt64(bitPattern: row.integer("generation"))), expired: UInt64(bitPattern: row.integer("expired")))
        guard row.integer("fixed") == RowCheck.group(group, settings: Array(text.utf8), read: read) else {
            throw JobQueueError.damaged(path: folder.path, reason: "the row of group \(name) doesn't fit its check")
        }
        return group
    }

    package func recoveredJobs(after: JobNumber, limit: Int, in partition: PartitionID) async throws -> [RecoveredJob] {
        try checkPartition(partition)
        guard let finished = shared.withLock({ $0.recovering }) else { return [] }
        let letters = shared.withLock { $0.recoveringLetters }
        let path = folder.path
        let page: (jobs: [RecoveredJob], last: UInt64?, places: [(PayloadPlace, [UInt8])]) = try await failing {
            try await pool.read { database in
                var jobs: [RecoveredJob] = []
                var places: [(PayloadPlace, [UInt8])] = []
                var last: UInt64?
                let rows = try Row.fetchCursor(
                    database.cachedStatement(sql: Self.recoveryQuery), arguments: [Int64(bitPattern: after.rawValue), limit])
                while let row = try rows.next() {
                    let job = try Self.recoveredJob(row, finished, path)
                    last = job.number.rawValue
                    let isLetter = letters[job.number.rawValue]
                    if row.integer(15) != 0, job.finished == nil || isLetter != nil, let place = Self.place(row) {
                        places.append((place, row.bytes("sha256")))
                    }
                    if isLetter != true { jobs.append(job) }
                }
                return (jobs, last, places)
            }
        }
        shared.withLock { shared in
            for (place, sha256) in page.places { shared.payloads.retain(place, sha256: sha256) }
            if page.last == nil {
                shared.recovering = nil
                shared.recoveringLetters = [:]
                shared.payloads.sweep()
            }
        }
        // A page of nothing but forgotten dead letters is not the end.
        if page.jobs.isEmpty, let last = page.last { return try await recoveredJobs(after: JobNumber(last), limit: limit, in: partition) }
        return page.jobs
    }

    private static let recoveryQuery = """
        SELECT number, key_high, key_low, digest_high, digest_low, producer, service, priority, accepted, deadline, not_before, parent,
            attempts, crashes, suspect, place, segment, start, envelope_bytes, payload_bytes, fixed, sha256
        FROM job WHERE number > ? ORDER BY number LIMIT ?
        """

    private static func recoveredJob(_ row: Row, _ finished: [UInt64: RecoveredJob.Finish], _ path: String) throws -> RecoveredJob {
        func word(_ index: Int) -> UInt64 { UInt64(bitPattern: row.integer(index)) }
        let (deadline, notBefore, parent) = (row.optionalInteger(9), row.optionalInteger(10), row.optionalInteger(11))
        let job = RecoveredJob(
            number: JobNumber(word(0)), key: JobKey(high: word(1), low: word(2)), digest: JobDigest(high: word(3), low: word(4)),
            producer: UInt32(truncatingIfNeeded: word(5)), service: UInt32(truncatingIfNeeded: word(6)),
            priority: Priority(UInt8(truncatingIfNeeded: word(7))), accepted: WallTime(milliseconds: row.integer(8)),
            deadline: deadline.map { WallTime(milliseconds: $0) }, notBefore: notBefore.map { WallTime(milliseconds: $0) },
            attempts: Int(row.integer(12)), crashes: Int(row.integer(13)), isSuspect: row.integer(14) != 0,
            bytes: Int(row.integer(18)) &+ Int(row.integer(19)),
            finished: finished[word(0)])
        let fixed = RowCheck.job(
            number: job.number.rawValue, key: job.key, digest: job.digest, producer: job.producer, service: job.service,
            priority: job.priority.rawValue, accepted: job.accepted.milliseconds, deadline: deadline,
            parent: parent.map { UInt64(bitPattern: $0) },
            bytes: job.bytes)
        guard fixed == row.integer(20) else {
            throw JobQueueError.damaged(path: path, reason: "the row of job \(job.number.rawValue) doesn't fit its check")
        }
        return job
    }

    // MARK: Contents

    package func contents(of jobs: [JobNumber], in partition: PartitionID) async throws -> [JobContent] {
        try checkPartition(partition)
        var result: [JobContent?] = shared.withLock { shared in
            jobs.map { number in
                shared.contents[number.rawValue].map { .intact(number, envelope: $0.envelope, payload: $0.payload) }
            }
        }
        let missing = result.indices.filter { result[$0] == nil }
        guard !missing.isEmpty else { return result.compactMap { $0 } }
        let numbers = missing.map { jobs[$0] }
        let files = shared.withLock { $0.payloads }
        let found = try await failing {
            try await pool.read { database in try numbers.map { try Self.content(of: $0, files, database) } }
        }
        for (index, content) in zip(missing, found) { result[index] = content }
        return result.compactMap { $0 }
    }

    private static func content(of number: JobNumber, _ files: PayloadFiles, _ database: Database) throws -> JobContent {
        let statement = try database.cachedStatement(
            sql: "SELECT place, segment, start, payload_bytes, sha256, envelope, payload FROM job WHERE number = ?")
        guard let row = try Row.fetchOne(statement, arguments: [Int64(bitPattern: number.rawValue)]) else {
            return .corrupt(number, reason: "it is not kept")
        }
        let (sha256, envelope) = (row.bytes("sha256"), row.bytes("envelope"))
        guard let place = place(row) else { return .corrupt(number, reason: "its payload's place is unknown") }
        let payload: [UInt8]
        if place == .row {
            payload = row.bytes("payload")
        } else {
            let count = Int(clamping: row.integer("payload_bytes"))
            guard (0...(4 << 30)).contains(count), let bytes = try files.read(place, sha256: sha256, count: count) else {
                return .corrupt(number, reason: "its payload's file is missing or too short")
            }
            payload = bytes
        }
        guard contentHash(envelope, payload) == sha256 else { return .corrupt(number, reason: "its SHA-256 has changed") }
        return .intact(number, envelope: envelope, payload: payload)
    }

    package func outcomes(_ sequences: [Sequence], in partition: PartitionID) async throws -> [StoredOutcome] {
        try checkPartition(partition)
        var result: [StoredOutcome?] = shared.withLock { shared in sequences.map { shared.outcomes[$0.rawValue] } }
        let missing = result.indices.filter { result[$0] == nil }
        guard !missing.isEmpty else { return result.compactMap { $0 } }
        let numbers = missing.map { sequences[$0] }
        let path = folder.path
        let names = shared.withLock { $0.names }
        let found = try await failing {
            try await pool.read { database in try numbers.map { try Self.outcome($0, names, path, database) } }
        }
        for (index, outcome) in zip(missing, found) { result[index] = outcome }
        return result.compactMap { $0 }
    }

    private static func outcome(_ sequence: Sequence, _ names: [String], _ path: String, _ database: Database) throws -> StoredOutcome? {
        let statement = try database.cachedStatement(
            sql: """
                SELECT job, kind, finished, outcome.attempts, outcome.fixed, body, id, producer, service, envelope
                FROM outcome JOIN job ON job.number = outcome.job WHERE sequence = ?
                """)
        guard let row = try Row.fetchOne(statement, arguments: [Int64(bitPattern: sequence.rawValue)]) else { return nil }
        guard let kind = OutcomeKind(code: UInt8(truncatingIfNeeded: row.integer(1))) else {
            throw JobQueueError.damaged(path: path, reason: "outcome \(sequence.rawValue) is of no known kind")
        }
        let finish = FinishedJob(
            number: JobNumber(UInt64(bitPattern: row.integer(0))), sequence: sequence, kind: kind,
            finished: WallTime(milliseconds: row.integer(2)), attempts: Int(row.integer(3)), body: row.bytes(5))
        let (producer, service) = (Int(row.integer(7)), Int(row.integer(8)))
        guard RowCheck.outcome(finish) == row.integer(4), names.indices.contains(producer), names.indices.contains(service) else {
            throw JobQueueError.damaged(path: path, reason: "the row of outcome \(sequence.rawValue) doesn't fit its check")
        }
        return StoredOutcome(
            sequence: sequence, job: finish.number, id: row.text(6), producer: names[producer], service: names[service], kind: kind,
            finished: finish.finished, attempts: finish.attempts, envelope: row.bytes(9), body: finish.body)
    }

    package func tombstones(of keys: [JobKey], in partition: PartitionID) async throws -> [Tombstone?] {
        try checkPartition(partition)
        let candidates = shared.withLock { shared in
            keys.map { key in shared.days.filter { shared.filters[$0]?.mayContain(key) ?? true } }
        }
        guard candidates.contains(where: { !$0.isEmpty }) else { return Array(repeating: nil, count: keys.count) }
        return try await failing {
            try await pool.read { database in
                try zip(keys, candidates).map { try Self.tombstone($0, $1, database) }
            }
        }
    }

    package func indexTombstones(in partition: PartitionID) async throws {
        try checkPartition(partition)
        for day in shared.withLock({ shared in shared.days.filter { shared.filters[$0]?.isComplete == false } }) {
            var last = JobKey(high: UInt64(bitPattern: .min), low: UInt64(bitPattern: .min))
            var isComplete = false
            while !isComplete, !Task.isCancelled, shared.withLock({ $0.filters[day] != nil && !$0.isClosed }) {
                // Not `failing`: where it ends early, lookups ask the table.
                let page = try await pool.read { [last] in try Self.tombstoneKeys(day, from: last, limit: Self.indexedAtOnce, $0) }
                if let end = page.last { last = end }
                isComplete = page.count < Self.indexedAtOnce
                shared.withLock { shared in
                    for key in page { shared.filters[day]?.insert(key) }
                    if isComplete { shared.filters[day]?.isComplete = true }
                }
            }
        }
    }

    private static var indexedAtOnce: Int { 8192 }

    /// Keys in the table's order, from `key` on; none if the table is gone.
    private static func tombstoneKeys(_ day: Int64, from key: JobKey, limit: Int, _ database: Database) throws -> [JobKey] {
        guard try database.tableExists("tombstone_\(day)") else { return [] }
        let rows = try Row.fetchCursor(
            database, sql: "SELECT key_high, key_low FROM tombstone_\(day) WHERE (key_high, key_low) >= (?, ?) ORDER BY 1, 2 LIMIT ?",
            arguments: [Int64(bitPattern: key.high), Int64(bitPattern: key.low), limit])
        var keys: [JobKey] = []
        while let row = try rows.next() {
            keys.append(JobKey(high: UInt64(bitPattern: row.integer(0)), low: UInt64(bitPattern: row.integer(1))))
        }
        return keys
    }

    private static func tombstone(_ key: JobKey, _ days: [Int64], _ database: Database) throws -> Tombstone? {
        for day in days {
            let statement = try database.cachedStatement(
                sql: "SELECT digest_high, digest_low, sequence, kind FROM tombstone_\(day) WHERE key_high = ? AND key_low = ?")
            guard let row = try Row.fetchOne(statement, arguments: [Int64(bitPattern: key.high), Int64(bitPattern: key.low)]),
                let kind = OutcomeKind(code: UInt8(truncatingIfNeeded: row.integer(3)))
            else { continue }
            return Tombstone(
                digest: JobDigest(high: UInt64(bitPattern: row.integer(0)), low: UInt64(bitPattern: row.integer(1))),
                sequence: Sequence(UInt64(bitPattern: row.integer(2))), outcome: kind)
        }
        return nil
    }
}
