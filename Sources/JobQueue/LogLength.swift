internal import GRDB
internal import GRDBSQLite
internal import Synchronization

/// Pages in use of SQLite's write-ahead log. Its file's length doesn't tell: the log begins again at the file's start after a checkpoint.
final class LogLength: Sendable {
    private let pages = Atomic<Int>(0)
    /// Of `pages`, what the last checkpoint has seen; only the writer's connection uses it.
    private let seen = Atomic<Int>(0)

    /// Listens to the commits of a connection, which must not outlive this object.
    func observe(_ database: Database) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        _ = sqlite3_wal_hook(
            database.sqliteConnection,
            { context, _, _, pages in
                if let context {
                    Unmanaged<LogLength>.fromOpaque(context).takeUnretainedValue().pages.store(Int(pages), ordering: .relaxed)
                }
                return SQLITE_OK
            }, context)
    }

    /// Pages that were written since the log began, or since the last checkpoint.
    var sinceCheckpoint: Int {
        let (now, before) = (pages.load(ordering: .relaxed), seen.load(ordering: .relaxed))
        return now >= before ? now - before : now
    }

    /// A checkpoint was made.
    func wasCopied() { seen.store(pages.load(ordering: .relaxed), ordering: .relaxed) }
}
