internal import GRDB

/// The tables. A migration that was released is never changed; a new version is a new one.
extension SQLiteStore {
    static let version = 2

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE partition (
                        id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, secret_high INTEGER NOT NULL, secret_low INTEGER NOT NULL,
                        last_job INTEGER NOT NULL, last_sequence INTEGER NOT NULL, commits INTEGER NOT NULL, clean INTEGER NOT NULL);
                    CREATE TABLE name (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
                    -- place: 0 none or in the row, 1 segment, 2 spool. fixed: a check over the columns that never change.
                    CREATE TABLE job (
                        number INTEGER PRIMARY KEY, key_high INTEGER NOT NULL, key_low INTEGER NOT NULL, digest_high INTEGER NOT NULL,
                        digest_low INTEGER NOT NULL, producer INTEGER NOT NULL, service INTEGER NOT NULL, priority INTEGER NOT NULL,
                        accepted INTEGER NOT NULL, deadline INTEGER, not_before INTEGER, parent INTEGER, attempts INTEGER NOT NULL,
                        crashes INTEGER NOT NULL, suspect INTEGER NOT NULL, place INTEGER NOT NULL, segment INTEGER NOT NULL,
                        start INTEGER NOT NULL, envelope_bytes INTEGER NOT NULL, payload_bytes INTEGER NOT NULL, fixed INTEGER NOT NULL,
                        sha256 BLOB NOT NULL, id TEXT NOT NULL, envelope BLOB NOT NULL, payload BLOB);
                    CREATE TABLE outcome (
                        sequence INTEGER PRIMARY KEY, job INTEGER NOT NULL, kind INTEGER NOT NULL, finished INTEGER NOT NULL,
                        attempts INTEGER NOT NULL, fixed INTEGER NOT NULL, body BLOB NOT NULL);
                    CREATE TABLE dead_letter (
                        job INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, kind INTEGER NOT NULL, finished INTEGER NOT NULL,
                        attempts INTEGER NOT NULL, forgotten INTEGER NOT NULL);
                    CREATE TABLE sink_group (
                        name TEXT PRIMARY KEY, settings TEXT NOT NULL, cursor INTEGER NOT NULL, last_read INTEGER NOT NULL,
                        read BLOB NOT NULL, generation INTEGER NOT NULL, expired INTEGER NOT NULL, fixed INTEGER NOT NULL);
                    CREATE TABLE service_mode (service INTEGER PRIMARY KEY, mode INTEGER NOT NULL);
                    """)
        }
        migrator.registerMigration("2") { database in try database.execute(sql: releaseTables) }
        return migrator
    }

    static func migrate(_ pool: DatabasePool, path: String) throws {
        let migrator = migrator
        let known = Set(migrator.migrations)
        let applied = try pool.read { database in
            try database.tableExists("grdb_migrations") ? try String.fetchAll(database, sql: "SELECT identifier FROM grdb_migrations") : []
        }
        if let newer = applied.compactMap({ Int($0) }).max(), !applied.allSatisfy(known.contains) {
            throw JobQueueError.newerVersion(path: path, found: newer, known: version)
        }
        try migrator.migrate(pool)
    }

    // MARK: Tombstones: a table a day, dropped whole

    static func tombstoneDays(_ database: Database) throws -> [Int64] {
        try String.fetchAll(database, sql: "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'tombstone\\_%' ESCAPE '\\'")
            .compactMap { Int64($0.dropFirst("tombstone_".count)) }.sorted(by: >)
    }

    static func makeTombstoneTable(_ database: Database, day: Int64) throws {
        try database.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS tombstone_\(day) (
                    key_high INTEGER NOT NULL, key_low INTEGER NOT NULL, digest_high INTEGER NOT NULL, digest_low INTEGER NOT NULL,
                    sequence INTEGER NOT NULL, kind INTEGER NOT NULL, PRIMARY KEY (key_high, key_low)) WITHOUT ROWID
                """)
    }
}

/// Checks of rows: SQLite doesn't notice a flipped bit in a column.
enum RowCheck {
    /// Over a job's columns that never change.
    static func job(
        number: UInt64, key: JobKey, digest: JobDigest, producer: UInt32, service: UInt32, priority: UInt8, accepted: Int64,
        deadline: Int64?,
        parent: UInt64?, bytes: Int
    ) -> Int64 {
        var state = SipHash()
        state.mix(number)
        state.mix(key.high)
        state.mix(key.low)
        state.mix(digest.high)
        state.mix(digest.low)
        state.mix(UInt64(producer) << 32 | UInt64(service))
        state.mix(UInt64(priority))
        state.mix(UInt64(bitPattern: accepted))
        state.mix(UInt64(bitPattern: deadline ?? .min))
        state.mix(parent ?? .max)
        state.mix(UInt64(bytes))
        return Int64(bitPattern: state.finish())
    }

    static func outcome(_ finish: FinishedJob) -> Int64 {
        var state = SipHash()
        state.mix(finish.sequence.rawValue)
        state.mix(finish.number.rawValue)
        state.mix(UInt64(finish.kind.code) << 32 | UInt64(finish.attempts))
        state.mix(UInt64(bitPattern: finish.finished.milliseconds))
        state.mix(finish.body)
        return Int64(bitPattern: state.finish())
    }

    static func group(_ group: GroupRecord, settings: [UInt8], read: [UInt8]) -> Int64 {
        var state = SipHash()
        state.mix(group.cursor.rawValue)
        state.mix(group.lastRead.rawValue)
        state.mix(group.generation.rawValue)
        state.mix(group.expired)
        state.mix(settings)
        state.mix(read)
        return Int64(bitPattern: state.finish())
    }
}

extension SequenceRanges {
    /// Pairs of bounds, 8 bytes each, little-endian.
    var bytes: [UInt8] {
        var result: [UInt8] = []
        for range in ranges {
            for bound in [range.lowerBound, range.upperBound] { withUnsafeBytes(of: bound.littleEndian) { result.append(contentsOf: $0) } }
        }
        return result
    }

    init?(bytes: [UInt8]) {
        guard bytes.count % 16 == 0 else { return nil }
        var ranges: [ClosedRange<UInt64>] = []
        for start in stride(from: 0, to: bytes.count, by: 16) {
            let (lower, upper) = bytes.withUnsafeBytes {
                (
                    UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt64.self)),
                    UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self))
                )
            }
            guard lower <= upper, upper < .max else { return nil }
            ranges.append(lower...upper)
        }
        self.init(ranges)
    }
}
