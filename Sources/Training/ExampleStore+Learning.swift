package import Foundation
internal import GRDB

extension ExampleStore {
    /// Takes examples in, in one transaction; gives what became of each.
    ///
    /// The same example again changes nothing, so that a job that is delivered twice is used once. Of two labels the one that was given later
    /// counts.
    package func learn(_ examples: [LabelledExample], now: Int64 = ExampleStore.now()) throws -> [ExampleEffect] {
        try queue.write { database in try examples.map { try self.learn($0, now, database) } }
    }

    private func learn(_ example: LabelledExample, _ now: Int64, _ database: Database) throws -> ExampleEffect {
        let hash = ExampleHash(classSet: example.classSet, id: example.id)
        let key = Data(hash.bytes)
        if try Bool.fetchOne(database, sql: "SELECT 1 FROM tombstone WHERE hash = ?", arguments: [key]) != nil { return .forgotten }
        let known = try Row.fetchOne(database, sql: "SELECT label, labelled, digest FROM example WHERE hash = ?", arguments: [key])
        if let known {
            let labelled: Int64 = known["labelled"]
            let isSame = known["label"] == example.label && known["digest"] == Data(example.digest)
            guard !isSame, labelled < example.labelled else { return .unchanged }
        }
        try database.execute(
            sql: """
                INSERT INTO change VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1;
                INSERT INTO arrival VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1;
                """,
            arguments: [example.classSet, example.classSet, now / 86_400_000, example.label])
        try database.execute(
            sql: "INSERT OR REPLACE INTO example SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, count FROM change WHERE class_set = ?",
            arguments: [
                key, example.classSet, example.id, example.label, example.labelled, Data(example.digest), example.features.blob,
                example.teacher.blob, options.keepsImages ? example.image.map { Data($0) } : nil, now,
                hash.isHeldOut(share: heldOutShare), hash.priority, example.classSet,
            ])
        let drawn = try draw(example.classSet, example.label, heldOut: hash.isHeldOut(share: heldOutShare), database)
        return drawn.contains(key) ? .notDrawn : known == nil ? .kept : .corrected
    }

    /// Removes what a class has too many of; gives their hashes.
    private func draw(_ classSet: String, _ label: String, heldOut: Bool, _ database: Database) throws -> Set<Data> {
        let limit = heldOut ? options.heldOutPerClass : options.perClass
        let surplus = try Data.fetchAll(
            database,
            sql: """
                SELECT hash FROM example WHERE class_set = ? AND label = ? AND held_out = ? ORDER BY priority, hash LIMIT -1 OFFSET ?
                """, arguments: [classSet, label, heldOut, limit])
        for hash in surplus { try database.execute(sql: "DELETE FROM example WHERE hash = ?", arguments: [hash]) }
        return Set(surplus)
    }

    /// Forgets examples for good: their rows are overwritten, the write-ahead log is emptied, unfinished runs that learn from them are given up,
    /// and a tombstone (a hash of the name) keeps them from coming back. Gives how many were there.
    package func forget(classSet: String, ids: [String], now: Int64 = ExampleStore.now()) throws -> Int {
        let hashes = ids.map { Data(ExampleHash(classSet: classSet, id: $0).bytes) }
        let (found, runs) = try queue.write { database -> (Int, [Int64]) in
            var found = 0
            var runs: Set<Int64> = []
            for hash in hashes {
                try database.execute(sql: "INSERT OR IGNORE INTO tombstone VALUES (?, ?)", arguments: [hash, now])
                try database.execute(sql: "DELETE FROM example WHERE hash = ?", arguments: [hash])
                found += database.changesCount
                runs.formUnion(
                    try Int64.fetchAll(
                        database, sql: "SELECT run FROM run_example JOIN run ON run.id = run WHERE hash = ? AND state = 'training'",
                        arguments: [hash]))
                try database.execute(
                    sql: "DELETE FROM run_example WHERE hash = :hash; DELETE FROM run_answer WHERE hash = :hash", arguments: ["hash": hash])
            }
            for run in runs {
                try database.execute(
                    sql: "UPDATE run SET state = 'given_up', ended = ?, note = 'an example was forgotten' WHERE id = ?",
                    arguments: [now, run])
            }
            return (found, Array(runs))
        }
        for run in runs { try? FileManager.default.removeItem(at: checkpoint(run)) }
        try emptyLog()
        return found
    }

    /// Nothing that was deleted stays in the write-ahead log.
    private func emptyLog() throws {
        for _ in 0..<200 {
            let isBusy = try queue.writeWithoutTransaction { database -> Bool in
                try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)")?["busy"] ?? false
            }
            if !isBusy { return }
            // Somebody reads: p4q report, p4q label stats.
            usleep(10_000)
        }
        throw TrainingError.unusableFolder(path: folder.path, reason: "its log is being read and can't be emptied")
    }

    /// Where a run keeps its state.
    package func checkpoint(_ run: Int64) -> URL { folder.appendingPathComponent("run-\(run).safetensors") }
}
