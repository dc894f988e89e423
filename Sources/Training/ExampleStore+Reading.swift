internal import Foundation
internal import GRDB

/// How many examples a class has.
package struct LabelCount: Sendable, Equatable, Codable {
    package let classSet: String
    package let label: String
    package let training: Int
    package let heldOut: Int
}

/// Labels that came on one day.
package struct LabelArrival: Sendable, Equatable {
    /// Days since 1970-01-01 UTC.
    package let day: Int64
    package let label: String
    package let count: Int
}

extension ExampleStore {
    /// By class set and label.
    package func labelCounts() throws -> [LabelCount] {
        try queue.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT class_set, label, sum(held_out = 0) AS training, sum(held_out) AS held_out FROM example
                    GROUP BY class_set, label ORDER BY class_set, label
                    """
            ).map { LabelCount(classSet: $0["class_set"], label: $0["label"], training: $0["training"], heldOut: $0["held_out"]) }
        }
    }

    /// Names that were forgotten.
    package func tombstones() throws -> Int { try queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM tombstone") ?? 0 } }

    /// Labels that came, day by day.
    package func arrivals(classSet: String) throws -> [LabelArrival] {
        try queue.read { database in
            try Row.fetchAll(
                database, sql: "SELECT day, label, count FROM arrival WHERE class_set = ? ORDER BY day, label", arguments: [classSet]
            ).map { LabelArrival(day: $0["day"], label: $0["label"], count: $0["count"]) }
        }
    }

    /// An example; nil where it is not kept.
    package func example(classSet: String, id: String) throws -> LabelledExample? {
        let hash = Data(ExampleHash(classSet: classSet, id: id).bytes)
        return try queue.read { database in
            try Row.fetchOne(database, sql: "SELECT * FROM example WHERE hash = ?", arguments: [hash]).map(Self.example)
        }
    }

    /// How many examples of a class set were learned or corrected, ever.
    package func changes(classSet: String) throws -> Int {
        try queue.read { try Int.fetchOne($0, sql: "SELECT count FROM change WHERE class_set = ?", arguments: [classSet]) ?? 0 }
    }

    /// Every example of a class set that changed behind `changes`, oldest change first; without those that a run has listed, if one is given.
    func examples(classSet: String, changedAfter changes: Int, unlistedIn run: Int64 = 0) throws -> [LabelledExample] {
        try queue.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT * FROM example WHERE class_set = ? AND changed > ?
                    AND hash NOT IN (SELECT hash FROM run_example WHERE run = ?) ORDER BY changed
                    """, arguments: [classSet, changes, run]
            ).map(Self.example)
        }
    }

    /// The examples of a run as they were listed, those to learn from or those held out; nil if one of them is gone.
    package func examples(run: Int64, heldOut: Bool) throws -> [LabelledExample]? {
        try queue.read { database in
            let listed = try Int.fetchOne(
                database, sql: "SELECT count(*) FROM run_example WHERE run = ? AND held_out = ?", arguments: [run, heldOut])
            let found = try Row.fetchAll(
                database,
                sql: """
                    SELECT example.*, run_example.label AS listed FROM run_example JOIN example ON example.hash = run_example.hash
                    AND example.digest = run_example.digest WHERE run = ? AND run_example.held_out = ? ORDER BY run_example.hash
                    """, arguments: [run, heldOut]
            ).map { row in
                var example = Self.example(row)
                example.label = row["listed"]
                return example
            }
            return found.count == listed ? found : nil
        }
    }

    private static func example(_ row: Row) -> LabelledExample {
        let (digest, image): (Data, Data?) = (row["digest"], row["image"])
        return LabelledExample(
            classSet: row["class_set"], id: row["name"], label: row["label"], labelled: row["labelled"], digest: Array(digest),
            features: [Float](blob: row["features"]), teacher: [Float](blob: row["teacher"]), image: image.map { Array($0) })
    }
}
