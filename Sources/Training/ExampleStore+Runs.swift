internal import Foundation
internal import GRDB
package import Tuning

/// A training run as it is journalled.
package struct TrainingRecord: Sendable, Equatable {
    package enum State: String, Sendable {
        case training
        /// The gate has let it through; it may be published already.
        case accepted
        case published
        /// The gate has stopped it.
        case rejected
        /// An example was forgotten, or could not be found any more, before it was done.
        case givenUp = "given_up"
        case failed
    }

    package let id: Int64
    package let classSet: String
    package let classSetSHA256: String
    package let seed: UInt64
    package let state: State
    /// Milliseconds since 1970-01-01 UTC.
    package let started: Int64
    package let ended: Int64?
    /// Of the class set, when it began.
    package let changes: Int
    /// The release that the candidate was compared with; nil before that, 0 where there was none.
    package let parent: UInt64?
    /// Where the family of tests began: the number of held-out examples then.
    package let family: Int?
    package let test: Int?
    package let verdict: GateVerdict?
    package let version: UInt64?
    package let note: String?
}

extension ExampleStore {
    /// Lists the examples, the held-out ones too, and begins a run with them; in one transaction.
    ///
    /// Labels outside of `labels` are left out, and so is an example to learn from whose image is held out under another name.
    package func beginRun(
        classSet: String, sha256: String, labels: [String], seed: UInt64, now: Int64 = ExampleStore.now()
    ) throws -> TrainingRecord {
        let id = try queue.write { database -> Int64 in
            try database.execute(
                sql: """
                    INSERT INTO run (class_set, class_set_sha256, seed, state, started, changes)
                    VALUES (?, ?, ?, 'training', ?, ifnull((SELECT count FROM change WHERE class_set = ?), 0))
                    """, arguments: [classSet, sha256, Int64(bitPattern: seed), now, classSet])
            let id = database.lastInsertedRowID
            for label in Set(labels) {
                try database.execute(
                    sql: """
                        INSERT INTO run_example SELECT ?, hash, label, digest, held_out FROM example AS e WHERE class_set = ? AND label = ?
                        AND (held_out OR NOT EXISTS
                          (SELECT 1 FROM example AS h WHERE h.class_set = e.class_set AND h.held_out AND h.digest = e.digest))
                        """, arguments: [id, classSet, label])
            }
            return id
        }
        guard let run = try run(id) else { throw TrainingError.damaged(path: folder.path, reason: "run \(id) is gone") }
        return run
    }

    package func run(_ id: Int64) throws -> TrainingRecord? {
        try queue.read { try Row.fetchOne($0, sql: "SELECT * FROM run WHERE id = ?", arguments: [id]).map(Self.record) }
    }

    /// A class set's runs, oldest first.
    package func runs(classSet: String) throws -> [TrainingRecord] {
        try queue.read {
            try Row.fetchAll($0, sql: "SELECT * FROM run WHERE class_set = ? ORDER BY id", arguments: [classSet]).map(Self.record)
        }
    }

    /// The run that is to be gone on with, if there is one.
    package func openRun(classSet: String) throws -> TrainingRecord? {
        try runs(classSet: classSet).last { $0.state == .training || $0.state == .accepted }
    }

    /// What a run has made: a release's content.
    package func candidate(_ run: Int64) throws -> [UInt8]? {
        try queue.read { try Data.fetchOne($0, sql: "SELECT candidate FROM run WHERE id = ?", arguments: [run]) }.map { Array($0) }
    }

    /// False, and nothing is kept, if the run was given up meanwhile: an example that it learns from was forgotten.
    package func keepCandidate(_ run: Int64, _ content: [UInt8]) throws -> Bool {
        let isKept = try queue.write { database in
            try database.execute(
                sql: "UPDATE run SET candidate = ? WHERE id = ? AND state IN ('training', 'accepted')", arguments: [Data(content), run])
            return database.changesCount > 0
        }
        try? FileManager.default.removeItem(at: checkpoint(run))
        return isKept
    }

    /// False, and nothing is decided, if the run was given up meanwhile.
    package func decide(
        _ run: Int64, _ verdict: GateVerdict, parent: UInt64, family: Int, now: Int64 = ExampleStore.now()
    ) throws -> Bool {
        let text = String(decoding: try JSONEncoder().encode(verdict), as: UTF8.self)
        return try queue.write { database in
            try database.execute(
                sql: """
                    UPDATE run SET state = ?, verdict = ?, parent = ?, family = ?, test = ?, held_out = ?, ended = ?
                    WHERE id = ? AND state IN ('training', 'accepted')
                    """,
                arguments: [
                    verdict.isAccepted ? "accepted" : "rejected", text, Int64(bitPattern: parent), family, verdict.figures.test,
                    verdict.figures.examples, now, run,
                ])
            return database.changesCount > 0
        }
    }

    package func end(
        _ run: Int64, _ state: TrainingRecord.State, version: UInt64? = nil, note: String? = nil, now: Int64 = ExampleStore.now()
    ) throws {
        try queue.write { database in
            try database.execute(
                sql: "UPDATE run SET state = ?, version = ?, note = ?, ended = ? WHERE id = ?",
                arguments: [state.rawValue, version.map { Int64(bitPattern: $0) }, note, now, run])
        }
        try? FileManager.default.removeItem(at: checkpoint(run))
    }

    /// Which test of which family the next decision on a class set is.
    package func nextTest(classSet: String, heldOut: Int, before run: Int64) throws -> (family: Int, test: Int) {
        let decided = try runs(classSet: classSet).filter { $0.test != nil && $0.id <= run }
        guard let last = decided.last, let family = last.family, let test = last.test, last.state != .published, heldOut < 2 * family else {
            return (heldOut, 1)
        }
        return (family, test + 1)
    }

    private static func record(_ row: Row) -> TrainingRecord {
        let (verdict, seed, parent, version): (String?, Int64, Int64?, Int64?) = (
            row["verdict"], row["seed"], row["parent"], row["version"]
        )
        return TrainingRecord(
            id: row["id"], classSet: row["class_set"], classSetSHA256: row["class_set_sha256"], seed: UInt64(bitPattern: seed),
            state: TrainingRecord.State(rawValue: row["state"]) ?? .failed, started: row["started"], ended: row["ended"],
            changes: row["changes"], parent: parent.map { UInt64(bitPattern: $0) }, family: row["family"], test: row["test"],
            verdict: verdict.flatMap { try? JSONDecoder().decode(GateVerdict.self, from: Data($0.utf8)) },
            version: version.map { UInt64(bitPattern: $0) }, note: row["note"])
    }
}
