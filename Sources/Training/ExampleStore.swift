package import Foundation
internal import GRDB

/// The trainer's labelled examples and the journal of its training runs, in SQLite: what is returned from a call is on the disk.
///
/// One process has the folder. Each class keeps a bounded number of examples, drawn uniformly of all that came, so that old knowledge is
/// rehearsed and no class drowns the others; what is held out has bounds of its own.
package final class ExampleStore: Sendable {
    /// What can be chosen about a store.
    package struct Options: Sendable {
        /// Examples a class to learn from. 2,000: 1,000 classes of ViT-B/32's features are 16 GB, ten classes 160 MB.
        package var perClass = 2000
        /// Held-out examples a class.
        package var heldOutPerClass = 500
        /// The share of names that is held out; fixed when the folder is made. 0.4: of 1,000 labels 400 decide, and show a gain of five points beyond
        /// chance (six of six draws of labels of the built-in model's field domain; four of six with 0.3, two with 0.2).
        package var heldOutShare = 0.4
        /// Keep the images themselves, for the report's thumbnails.
        package var keepsImages = false

        package init() {}
    }

    package let folder: URL
    package let options: Options
    /// As the folder was made with.
    package let heldOutShare: Double
    let queue: DatabaseQueue
    private let lock: Int32

    /// Opens the folder, makes it if need be, and locks it.
    ///
    /// - Parameter identity: equal only for models, teachers and preprocessing that give equal features.
    /// - Throws: `TrainingError`.
    package init(folder: URL, identity: String, options: Options = Options()) throws {
        self.folder = folder
        self.options = options
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw TrainingError.unusableFolder(path: folder.path, reason: error.localizedDescription)
        }
        lock = Glibc.open(folder.path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw TrainingError.unusableFolder(path: folder.path, reason: String(cString: strerror(errno))) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw TrainingError.locked(path: folder.path)
        }
        Self.removeUnfinished(folder)
        do {
            queue = try Self.open(folder)
            heldOutShare = try queue.write { try Self.settle($0, identity: identity, share: options.heldOutShare, folder: folder) }
        } catch let error as DatabaseError {
            close(lock)
            throw TrainingError.damaged(path: folder.path, reason: error.message ?? "\(error.resultCode)")
        } catch {
            close(lock)
            throw error
        }
    }

    /// Looks into a folder beside its trainer; nothing can be changed.
    package init(reading folder: URL) throws {
        let path = folder.appendingPathComponent("examples.sqlite").path
        guard FileManager.default.fileExists(atPath: path) else {
            throw TrainingError.unusableFolder(path: folder.path, reason: "there is no examples.sqlite in it")
        }
        self.folder = folder
        options = Options()
        lock = -1
        do {
            var configuration = Configuration()
            configuration.readonly = true
            queue = try DatabaseQueue(path: path, configuration: configuration)
            heldOutShare = try queue.read { try Double.fetchOne($0, sql: "SELECT held_out_share FROM store") ?? 0 }
        } catch let error as DatabaseError {
            throw TrainingError.damaged(path: folder.path, reason: error.message ?? "\(error.resultCode)")
        }
    }

    deinit {
        try? queue.close()
        if lock >= 0 { close(lock) }
    }

    /// What a process that was killed while it wrote a checkpoint has left.
    private static func removeUnfinished(_ folder: URL) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        where name.hasPrefix(".run-") && name.hasSuffix(".tmp") {
            try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
        }
    }

    private static func open(_ folder: URL) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.label = "examples"
        configuration.journalMode = .wal
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
        }
        let queue = try DatabaseQueue(path: folder.appendingPathComponent("examples.sqlite").path, configuration: configuration)
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { try $0.execute(sql: schema) }
        migrator.registerMigration("2") { try $0.execute(sql: answersSchema) }
        try migrator.migrate(queue)
        return queue
    }

    private static let schema = """
        CREATE TABLE store (id INTEGER PRIMARY KEY CHECK (id = 0), identity TEXT NOT NULL, held_out_share DOUBLE NOT NULL);
        -- Features are float32, little-endian. `hash` is ExampleHash; `changed` numbers what was learned or corrected.
        CREATE TABLE example (
          hash BLOB PRIMARY KEY, class_set TEXT NOT NULL, name TEXT NOT NULL, label TEXT NOT NULL, labelled INTEGER NOT NULL,
          digest BLOB NOT NULL, features BLOB NOT NULL, teacher BLOB NOT NULL, image BLOB, arrived INTEGER NOT NULL,
          held_out BOOLEAN NOT NULL, priority INTEGER NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX example_draw ON example (class_set, label, held_out, priority);
        CREATE INDEX example_changed ON example (class_set, changed);
        -- Names that must not come back.
        CREATE TABLE tombstone (hash BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
        -- Labels that came, by day since 1970.
        CREATE TABLE arrival (
          class_set TEXT NOT NULL, day INTEGER NOT NULL, label TEXT NOT NULL, count INTEGER NOT NULL,
          PRIMARY KEY (class_set, day, label)) WITHOUT ROWID;
        CREATE TABLE change (class_set TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE run (
          id INTEGER PRIMARY KEY AUTOINCREMENT, class_set TEXT NOT NULL, class_set_sha256 TEXT NOT NULL, seed INTEGER NOT NULL,
          state TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER, changes INTEGER NOT NULL, parent INTEGER, family INTEGER,
          test INTEGER, held_out INTEGER, candidate BLOB, verdict TEXT, version INTEGER, note TEXT);
        -- The exact examples of a run, journalled before it starts.
        CREATE TABLE run_example (
          run INTEGER NOT NULL, hash BLOB NOT NULL, label TEXT NOT NULL, digest BLOB NOT NULL, held_out BOOLEAN NOT NULL,
          PRIMARY KEY (run, hash)) WITHOUT ROWID;
        CREATE INDEX run_example_hash ON run_example (hash);
        """

    private static let answersSchema = """
        -- What held-out examples were answered with when a run was decided on; answers are places in the class set.
        CREATE TABLE run_answer (
          run INTEGER NOT NULL, hash BLOB NOT NULL, label TEXT NOT NULL, untuned INTEGER NOT NULL, before INTEGER NOT NULL,
          after INTEGER NOT NULL, confidence_before DOUBLE NOT NULL, confidence_after DOUBLE NOT NULL,
          PRIMARY KEY (run, hash)) WITHOUT ROWID;
        CREATE INDEX run_answer_hash ON run_answer (hash);
        -- For a run's list: is an example's image held out under another name? Without it 11,000 examples took longer than 20 minutes.
        CREATE INDEX example_digest ON example (class_set, digest);
        CREATE TABLE event (
          id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, class_set TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);
        """

    /// The split's share, as it was fixed when the folder was made. Throws for another model's features.
    private static func settle(_ database: Database, identity: String, share: Double, folder: URL) throws -> Double {
        try database.execute(sql: "INSERT OR IGNORE INTO store VALUES (0, ?, ?)", arguments: [identity, share])
        guard let row = try Row.fetchOne(database, sql: "SELECT identity, held_out_share FROM store"), row["identity"] == identity else {
            throw TrainingError.otherModel(path: folder.path)
        }
        return row["held_out_share"]
    }

    /// Milliseconds since 1970-01-01 UTC.
    package static func now() -> Int64 { Int64(Date().timeIntervalSince1970 * 1000) }
}

extension [Float] {
    /// Little-endian float32.
    var blob: Data { Data(flatMap { Swift.withUnsafeBytes(of: $0.bitPattern.littleEndian, Array<UInt8>.init) }) }

    init(blob: Data) {
        self = blob.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
    }
}
