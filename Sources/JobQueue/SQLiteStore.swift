internal import Foundation
internal import GRDB
internal import Synchronization

/// A partition's journal in a folder: job rows in SQLite (write-ahead log, `synchronous=FULL`), payloads in files beside it.
///
/// One connection does all the writing and the checkpoints; others only read. An error of a write or an fsync that is not a full disk ends
/// the store for this process (`.commitUnknown`, then `.closed`): what is on the disk can only be told by opening it again.
package final class SQLiteStore: JobStore {
    /// What can be chosen about a store.
    package struct Options: Sendable {
        /// False: `synchronous=NORMAL`, which loses the last commits when the power is cut.
        package var isDurable = true
        /// Go on although commits are missing.
        package var acceptsLoss = false
        /// Fewer free bytes on the disk are too few; nil: 512 MB, or 5 % of a small disk.
        package var lowestRoom: Int?
        /// Bytes of contents and of outcomes that are kept in memory, each.
        package var cacheBytes = 64 << 20
        /// Dead letters beyond this many are deleted, the oldest first.
        package var deadLetters = 100_000
        /// Bytes of the write-ahead log after which it is copied into the database.
        package var checkpointBytes = 16 << 20

        package init() {}
    }

    let folder: JournalFolder
    let pool: DatabasePool
    let options: Options
    let planted: PlantedBug?
    let wall: @Sendable () -> WallTime
    let shared: Mutex<Shared>
    let log = LogLength()

    /// What the writer and readers share.
    struct Shared {
        var payloads: PayloadFiles
        var contents: ContentCache<CachedContent>
        var outcomes: ContentCache<StoredOutcome>
        var names: [String] = []
        var figures = StoreFigures()
        var hasFailed = false
        var isClosed = false
        var epoch: UInt32 = 0
        var commits: UInt64 = 0
        var lastJob: UInt64 = 0
        var lastSequence: UInt64 = 0
        /// As the high-water file says.
        var highWater = HighWaterFile()
        var highWaterTime = ContinuousClock.now
        /// Outcomes found at the start, by job; dropped when the last page was read.
        var recovering: [UInt64: RecoveredJob.Finish]?
        var recoveringLetters: [UInt64: Bool] = [:]
        /// Days that have tombstones, newest first.
        var days: [Int64] = []
        /// By day.
        var filters: [Int64: TombstoneFilter] = [:]
        var wasClean = true
    }

    struct CachedContent: Sendable {
        let id: String
        let producer: UInt32
        let service: UInt32
        let envelope: [UInt8]
        let payload: [UInt8]
    }

    /// Locks and opens the folder, and checks that what was committed is there. Throws `JobQueueError`.
    package convenience init(
        folder: String, options: Options = Options(), wall: @escaping @Sendable () -> WallTime = SQLiteStore.systemWall
    ) throws {
        try self.init(folder: folder, options: options, wall: wall, planted: nil)
    }

    package static let systemWall: @Sendable () -> WallTime = { WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }

    /// With a fault that a test plants.
    package init(folder path: String, options: Options, wall: @escaping @Sendable () -> WallTime, planted: PlantedBug?) throws {
        folder = try JournalFolder(path)
        self.options = options
        self.planted = planted
        self.wall = wall
        let database = folder.file("journal.sqlite")
        let isNew = !FileManager.default.fileExists(atPath: database)
        try folder.makePrivate("journal.sqlite")
        pool = try Self.translating(path) { try Self.openPool(database) }
        shared = Mutex(
            Shared(
                payloads: PayloadFiles(folder: path), contents: ContentCache(limit: options.cacheBytes),
                outcomes: ContentCache(limit: options.cacheBytes)))
        try Self.translating(path) { try prepare(isNew: isNew) }
        folder.layBallast()
    }

    private static func openPool(_ path: String) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.maximumReaderCount = 2
        configuration.label = "journal"
        configuration.persistentReadOnlyConnections = true
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA cache_size = -32768; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 0;")
        }
        return try DatabasePool(path: path, configuration: configuration)
    }

    /// Migrates, checks, and reads what the partition's row says.
    private func prepare(isNew: Bool) throws {
        let level = planted == .synchronousOff ? "OFF" : planted == .synchronousNormal || !options.isDurable ? "NORMAL" : "FULL"
        try pool.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA synchronous = \(level)")
            log.observe(database)
        }
        if !isNew { try checkStructure() }
        try Self.migrate(pool, path: folder.path)
        try pool.write { database in
            try database.execute(
                sql: "INSERT OR IGNORE INTO partition VALUES (0, 0, ?, ?, 0, 0, 0, 1)",
                arguments: [Int64.random(in: .min ... .max), Int64.random(in: .min ... .max)])
        }
        try checkHighWater(isNew: isNew)
        let days = try pool.read { try Self.tombstoneDays($0) }
        let (tombstones, letters) = try pool.read { database in
            let stones = try days.reduce(0) { try $0 + (Int.fetchOne(database, sql: "SELECT count(*) FROM tombstone_\($1)") ?? 0) }
            return (stones, try Int.fetchOne(database, sql: "SELECT count(*) FROM dead_letter") ?? 0)
        }
        shared.withLock { shared in
            shared.days = days
            for day in days { shared.filters[day] = TombstoneFilter(isComplete: false) }
            shared.figures.tombstones = UInt64(tombstones)
            shared.figures.deadLetters = UInt64(letters)
        }
    }

    /// After an unclean end, SQLite's own check.
    private func checkStructure() throws {
        let isClean = try pool.read { database in
            try database.tableExists("partition") ? try Bool.fetchOne(database, sql: "SELECT clean FROM partition") ?? true : true
        }
        shared.withLock { $0.wasClean = isClean }
        guard !isClean else { return }
        let verdict = try pool.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
        guard verdict == "ok" else { throw JobQueueError.damaged(path: folder.path, reason: verdict ?? "quick_check") }
    }

    /// Refuses a journal that ends before what was committed.
    private func checkHighWater(isNew: Bool) throws {
        let path = folder.file("highwater")
        let row = try pool.read { database in
            try Row.fetchOne(database, sql: "SELECT epoch, commits, last_job, last_sequence FROM partition WHERE id = 0")
        }
        guard let row else { throw JobQueueError.damaged(path: folder.path, reason: "it has no partition 0") }
        let commits = UInt64(bitPattern: row.integer("commits"))
        let bytes = FileManager.default.contents(atPath: path).map { [UInt8]($0) }
        let highWater = bytes.flatMap(HighWaterFile.init(bytes:))
        if !options.acceptsLoss {
            if let highWater {
                guard commits >= highWater.commits else {
                    throw JobQueueError.commitsLost(path: folder.path, found: commits, expected: highWater.commits)
                }
            } else if bytes != nil || (!isNew && commits > 1) {
                // The first commit, that of `open`, comes before the first high-water file, and nothing is accepted before both.
                throw JobQueueError.damaged(path: folder.path, reason: "its high-water file is \(bytes == nil ? "missing" : "unreadable")")
            }
        }
        let (lastJob, lastSequence) = (row.integer("last_job"), row.integer("last_sequence"))
        // What was lost under --accept-loss may have been seen outside: its numbers are not given again.
        shared.withLock { shared in
            shared.commits = max(commits, highWater?.commits ?? 0)
            shared.lastJob = max(UInt64(bitPattern: lastJob), highWater?.lastJob ?? 0)
            shared.lastSequence = max(UInt64(bitPattern: lastSequence), highWater?.lastSequence ?? 0)
            shared.epoch = max(UInt32(truncatingIfNeeded: row.integer("epoch")), highWater?.epoch ?? 0)
        }
    }

    /// Runs SQLite code; its errors become the module's.
    static func translating<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as DatabaseError {
            throw translated(error, path)
        } catch is RowDecodingError {
            throw JobQueueError.damaged(path: path, reason: "a row has values of the wrong kind")
        }
    }

    static func translated(_ error: DatabaseError, _ path: String) -> JobQueueError {
        switch error.resultCode {
        case .SQLITE_FULL: .diskFull(path: path)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: .damaged(path: path, reason: error.message ?? "\(error.resultCode)")
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_READONLY:
            .unusableFolder(path: path, reason: error.message ?? "\(error.resultCode)")
        case .SQLITE_ABORT, .SQLITE_INTERRUPT, .SQLITE_MISUSE: .closed
        default: .commitUnknown(reason: "\(error.extendedResultCode): \(error.message ?? "")")
        }
    }

    /// After a failure nothing is read or written any more.
    func checkUsable() throws {
        guard !shared.withLock({ $0.hasFailed || $0.isClosed }) else { throw JobQueueError.closed }
    }

    func checkPartition(_ partition: PartitionID) throws {
        guard partition == PartitionID() else {
            throw JobQueueError.damaged(path: folder.path, reason: "it has partition 0, not \(partition.rawValue)")
        }
        try checkUsable()
    }

    /// SQLite's `synchronous` of the connection that writes: 2 is FULL.
    package func synchronousLevel() throws -> Int {
        try pool.writeWithoutTransaction { try Int.fetchOne($0, sql: "PRAGMA synchronous") ?? 0 }
    }

    package func close() async throws {
        let wasUsable = shared.withLock { shared in
            defer { shared.isClosed = true }
            shared.payloads.closeFiles()
            return !shared.isClosed && !shared.hasFailed
        }
        defer { folder.unlock() }
        guard wasUsable else { return }
        try Self.translating(folder.path) {
            do {
                try pool.writeWithoutTransaction { database in
                    try database.execute(sql: "UPDATE partition SET clean = 1 WHERE id = 0")
                    try database.checkpoint(.truncate)
                }
            } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
                // The next start checks what there is.
            }
            try writeHighWater()
            try pool.close()
        }
    }
}
