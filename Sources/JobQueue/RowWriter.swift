internal import GRDB
internal import GRDBSQLite

/// Runs a cached statement once a row. Values are bound to SQLite directly: a row of GRDB's `StatementArguments` costs more than its insert.
struct RowWriter {
    // Keeps the statement alive; GRDB's cache owns it too.
    private let statement: Statement
    private let handle: OpaquePointer
    private let database: Database
    private var place: Int32 = 0
    private var failure = SQLITE_OK

    /// Bytes are copied while they are bound.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    init(_ database: Database, _ sql: String) throws {
        self.database = database
        statement = try database.cachedStatement(sql: sql)
        handle = statement.sqliteStatement
    }

    /// Binds the next value of the row.
    mutating func bind(_ value: Int64) { note(sqlite3_bind_int64(handle, next(), value)) }

    mutating func bind(_ value: UInt64) { bind(Int64(bitPattern: value)) }

    mutating func bind(_ value: Int64?) {
        if let value { bind(value) } else { note(sqlite3_bind_null(handle, next())) }
    }

    mutating func bind(_ bytes: [UInt8]) {
        let place = next()
        note(
            bytes.withUnsafeBytes { buffer in
                // A null pointer would be NULL, and no bytes are not that.
                guard let start = buffer.baseAddress, buffer.count > 0 else { return sqlite3_bind_zeroblob(handle, place, 0) }
                return sqlite3_bind_blob64(handle, place, start, UInt64(buffer.count), Self.transient)
            })
    }

    mutating func bind(_ text: String) {
        let place = next()
        var text = text
        note(
            text.withUTF8 { utf8 in
                utf8.withMemoryRebound(to: CChar.self) { buffer in
                    sqlite3_bind_text(handle, place, buffer.baseAddress, Int32(clamping: buffer.count), Self.transient)
                }
            })
    }

    mutating func bindNull() { note(sqlite3_bind_null(handle, next())) }

    /// Runs the statement with the values that were bound since the last run.
    mutating func run() throws {
        let code = failure == SQLITE_OK ? sqlite3_step(handle) : failure
        place = 0
        failure = SQLITE_OK
        if code == SQLITE_DONE || code == SQLITE_ROW {
            sqlite3_reset(handle)
        } else {
            let message = database.lastErrorMessage
            sqlite3_reset(handle)
            throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message)
        }
    }

    private mutating func next() -> Int32 {
        place += 1
        return place
    }

    private mutating func note(_ code: Int32) { if failure == SQLITE_OK { failure = code } }
}
