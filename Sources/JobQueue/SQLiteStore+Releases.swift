internal import Crypto
internal import Foundation
internal import GRDB
internal import Synchronization

/// Class sets and releases: manifests, contents and slots in the database, each change in one transaction.
extension SQLiteStore {
    static let releaseTables = """
        -- One row: the number of the last change.
        CREATE TABLE release_clock (id INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);
        INSERT INTO release_clock VALUES (0, 0);
        CREATE TABLE release_content (sha256 BLOB PRIMARY KEY, bytes BLOB NOT NULL);
        CREATE TABLE release (
            class_set TEXT NOT NULL, version INTEGER NOT NULL, parent INTEGER NOT NULL, shadow INTEGER NOT NULL,
            accepted INTEGER NOT NULL, content BLOB NOT NULL, signed BLOB NOT NULL, PRIMARY KEY (class_set, version));
        CREATE INDEX release_by_content ON release (content);
        -- fixed: a check over the columns before it.
        CREATE TABLE release_slot (
            class_set TEXT PRIMARY KEY, class_set_sha256 TEXT NOT NULL, live INTEGER NOT NULL, previous INTEGER NOT NULL,
            shadow INTEGER NOT NULL, pinned INTEGER NOT NULL, last INTEGER NOT NULL, fixed INTEGER NOT NULL);
        CREATE TABLE class_set (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, text TEXT NOT NULL);
        """

    package func releaseSlots(in partition: PartitionID) async throws -> ReleaseSlots {
        try checkPartition(partition)
        return try await failing {
            try await pool.read { database in
                var found = ReleaseSlots()
                found.sequence = UInt64(bitPattern: try Int64.fetchOne(database, sql: "SELECT sequence FROM release_clock") ?? 0)
                found.slots = try Row.fetchAll(database, sql: "SELECT * FROM release_slot ORDER BY class_set").map(self.slot)
                for slot in found.slots {
                    for version in [slot.live, slot.shadow] where version > 0 {
                        let row = try Row.fetchOne(
                            database, sql: Self.releaseQuery + "WHERE class_set = ? AND version = ?",
                            arguments: [slot.classSet, Int64(bitPattern: version)])
                        guard let row else { throw self.damage("release \(version) of \(slot.classSet) is in place and not there") }
                        found.releases.append(Self.release(row))
                    }
                }
                return found
            }
        }
    }

    package func commit(_ change: ReleaseChange, epoch: Epoch, in partition: PartitionID) async throws -> CommittedRelease {
        try checkPartition(partition)
        do {
            return try await write(change, epoch)
        } catch JobQueueError.diskFull where folder.freeBallast() {
            return try await write(change, epoch)
        }
    }

    private func write(_ change: ReleaseChange, _ epoch: Epoch) async throws -> CommittedRelease {
        try await failing {
            try await pool.writeWithoutTransaction { database in
                let commits = self.shared.withLock { $0.commits } + 1
                var committed: CommittedRelease?
                try database.inTransaction(.immediate) {
                    try self.fence(PartitionID(), epoch, database)
                    committed = try self.apply(change, database)
                    try database.execute(
                        sql: "UPDATE partition SET commits = ? WHERE id = 0", arguments: [Int64(bitPattern: commits)])
                    return .commit
                }
                self.shared.withLock { shared in
                    shared.commits = commits
                    shared.figures.commits += 1
                    shared.figures.syncs += 1
                }
                try self.writeHighWaterIfDue()
                guard let committed else { throw JobQueueError.closed }
                return committed
            }
        }
    }

    private func apply(_ change: ReleaseChange, _ database: Database) throws -> CommittedRelease {
        let name = change.classSet
        var old = try Row.fetchOne(database, sql: "SELECT * FROM release_slot WHERE class_set = ?", arguments: [name]).map(slot)
        switch change {
        case .publish, .putClassSet:
            if old == nil, try Int.fetchOne(database, sql: "SELECT count(*) FROM release_slot") ?? 0 >= ReleaseLimits.classSets {
                throw ReleaseRefusal.tooMany(limit: ReleaseLimits.classSets)
            }
            old = old ?? ReleaseSlot(classSet: name)
        default: break
        }
        guard let slot = try old?.applying(change) else { throw ReleaseRefusal.unknown }
        switch change {
        case .publish(let release, let content, let classSet):
            try insert(release, content, database)
            if !release.isShadow { try put(classSet, database) }
        case .putClassSet(let row): try put(row, database)
        default: break
        }
        try database.execute(
            sql: "INSERT OR REPLACE INTO release_slot VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                slot.classSet, slot.classSetSHA256, Int64(bitPattern: slot.live), Int64(bitPattern: slot.previous),
                Int64(bitPattern: slot.shadow), Int64(bitPattern: slot.pinned), Int64(bitPattern: slot.last), RowCheck.slot(slot),
            ])
        if case .publish = change { try prune(slot, database) }
        try database.execute(sql: "UPDATE release_clock SET sequence = sequence + 1 WHERE id = 0")
        let sequence = try Int64.fetchOne(database, sql: "SELECT sequence FROM release_clock") ?? 0
        return CommittedRelease(sequence: UInt64(bitPattern: sequence), slot: slot)
    }

    private func insert(_ release: StoredRelease, _ content: [UInt8]?, _ database: Database) throws {
        let sha256 = Data(release.contentSHA256)
        if let content {
            try database.execute(sql: "INSERT OR REPLACE INTO release_content VALUES (?, ?)", arguments: [sha256, Data(content)])
        } else if try Int.fetchOne(database, sql: "SELECT 1 FROM release_content WHERE sha256 = ?", arguments: [sha256]) == nil {
            throw ReleaseRefusal.contentGone
        }
        try database.execute(
            sql: "INSERT INTO release VALUES (?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                release.classSet, Int64(bitPattern: release.version), Int64(bitPattern: release.parent), release.isShadow,
                release.accepted.milliseconds, sha256, Data(release.signed),
            ])
    }

    private func put(_ row: ClassSetRow, _ database: Database) throws {
        try database.execute(sql: "INSERT OR REPLACE INTO class_set VALUES (?, ?, ?)", arguments: [row.name, row.sha256, row.text])
    }

    /// Drops contents that only old releases have.
    private func prune(_ slot: ReleaseSlot, _ database: Database) throws {
        let oldest = try Int64.fetchOne(
            database, sql: "SELECT version FROM release WHERE class_set = ? ORDER BY version DESC LIMIT 1 OFFSET ?",
            arguments: [slot.classSet, ReleaseLimits.contents - 1])
        guard let oldest else { return }
        let needed = slot.needed.map { String(Int64(bitPattern: $0)) }.joined(separator: ", ")
        // A content that a newer release or another class set has as well stays.
        try database.execute(
            sql: """
                DELETE FROM release_content WHERE sha256 IN (
                    SELECT content FROM release WHERE class_set = ? AND version < ? AND version NOT IN (\(needed)))
                AND sha256 NOT IN (SELECT content FROM release WHERE class_set <> ? OR version >= ? OR version IN (\(needed)))
                """,
            arguments: [slot.classSet, oldest, slot.classSet, oldest])
    }

    package func releases(of classSet: String, before: UInt64, limit: Int, in partition: PartitionID) async throws -> [StoredRelease] {
        try checkPartition(partition)
        return try await failing {
            try await pool.read { database in
                try Row.fetchAll(
                    database, sql: Self.releaseQuery + "WHERE class_set = ? AND version < ? ORDER BY version DESC LIMIT ?",
                    arguments: [classSet, Int64(clamping: before), max(limit, 0)]
                ).map(Self.release)
            }
        }
    }

    package func releaseContent(_ sha256: [UInt8], in partition: PartitionID) async throws -> [UInt8]? {
        try checkPartition(partition)
        return try await failing {
            try await pool.read { database in
                let row = try Row.fetchOne(
                    database, sql: "SELECT bytes FROM release_content WHERE sha256 = ?", arguments: [Data(sha256)])
                guard let bytes = row?.bytes(0), Array(SHA256.hash(data: bytes)) == sha256 else { return nil }
                return bytes
            }
        }
    }

    package func classSetText(named name: String, in partition: PartitionID) async throws -> String? {
        try checkPartition(partition)
        return try await failing {
            try await pool.read { database in
                try Row.fetchOne(database, sql: "SELECT text FROM class_set WHERE name = ?", arguments: [name])?.text(0)
            }
        }
    }

    // MARK: Rows

    private static let releaseQuery = """
        SELECT class_set, version, parent, shadow, content, signed, accepted,
            EXISTS (SELECT 1 FROM release_content WHERE sha256 = release.content) AS kept
        FROM release

        """

    private static func release(_ row: Row) -> StoredRelease {
        var release = StoredRelease(
            classSet: row.text("class_set"), version: UInt64(bitPattern: row.integer("version")),
            parent: UInt64(bitPattern: row.integer("parent")), isShadow: row.integer("shadow") != 0, contentSHA256: row.bytes("content"),
            signed: row.bytes("signed"), accepted: WallTime(milliseconds: row.integer("accepted")))
        release.hasContent = row.integer("kept") != 0
        return release
    }

    private func slot(_ row: Row) throws -> ReleaseSlot {
        var slot = ReleaseSlot(classSet: row.text("class_set"), classSetSHA256: row.text("class_set_sha256"))
        slot.live = UInt64(bitPattern: row.integer("live"))
        slot.previous = UInt64(bitPattern: row.integer("previous"))
        slot.shadow = UInt64(bitPattern: row.integer("shadow"))
        slot.pinned = UInt64(bitPattern: row.integer("pinned"))
        slot.last = UInt64(bitPattern: row.integer("last"))
        guard RowCheck.slot(slot) == row.integer("fixed") else { throw damage("what is in place for \(slot.classSet) was changed") }
        return slot
    }

    private func damage(_ reason: String) -> JobQueueError { .damaged(path: folder.path, reason: reason) }
}

extension RowCheck {
    static func slot(_ slot: ReleaseSlot) -> Int64 {
        var state = SipHash()
        state.mix(Array(slot.classSet.utf8))
        state.mix(Array(slot.classSetSHA256.utf8))
        for number in [slot.live, slot.previous, slot.shadow, slot.pinned, slot.last] { state.mix(number) }
        return Int64(bitPattern: state.finish())
    }
}
