internal import Foundation
internal import GRDB
package import Tuning

/// What a held-out example was answered with when a candidate was decided on. Answers are places in the class set.
package struct DecidedAnswer: Sendable, Equatable {
    /// The example's name.
    package let id: String
    package let label: String
    package let untuned: Int
    package let before: Int
    package let after: Int
    package let confidenceBefore: Double
    package let confidenceAfter: Double
    /// Where images are kept.
    package let image: [UInt8]?
}

extension ExampleStore {
    /// So many newest decisions of a class set keep their answers: a report looks at one, and at how the one in service was.
    private static let decisionsKept = 8

    /// Keeps the answers that a decision was made on, in the order of `examples`.
    package func keepAnswers(
        _ run: Int64, _ examples: [LabelledExample], untuned: HeldOutAnswers, before: HeldOutAnswers, after: HeldOutAnswers
    ) throws {
        try queue.write { database in
            try database.execute(sql: "DELETE FROM run_answer WHERE run = ?", arguments: [run])
            for (index, example) in examples.enumerated() {
                let hash = Data(ExampleHash(classSet: example.classSet, id: example.id).bytes)
                // One that was forgotten meanwhile leaves nothing behind.
                try database.execute(
                    sql: """
                        INSERT INTO run_answer SELECT ?, ?, ?, ?, ?, ?, ?, ?
                        WHERE EXISTS (SELECT 1 FROM run_example WHERE run = ? AND hash = ?)
                        """,
                    arguments: [
                        run, hash, example.label, untuned.answers[index], before.answers[index], after.answers[index],
                        before.confidences[index], after.confidences[index], run, hash,
                    ])
            }
            // A published one is what drift is measured against as long as it serves.
            try database.execute(
                sql: """
                    DELETE FROM run_answer WHERE run IN (SELECT id FROM run WHERE class_set = (SELECT class_set FROM run WHERE id = :run)
                    AND id < :run AND id != ifnull((SELECT max(p.id) FROM run AS p WHERE p.state = 'published' AND p.class_set = run.class_set), 0)
                    ORDER BY id DESC LIMIT -1 OFFSET :kept)
                    """, arguments: ["run": run, "kept": Self.decisionsKept - 1])
        }
    }

    /// The answers of a decision, without those of examples that are no longer there.
    package func answers(run: Int64) throws -> [DecidedAnswer] {
        try queue.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT run_answer.*, name, image FROM run_answer JOIN example ON example.hash = run_answer.hash WHERE run = ?
                    ORDER BY run_answer.hash
                    """, arguments: [run]
            ).map { row in
                let image: Data? = row["image"]
                return DecidedAnswer(
                    id: row["name"], label: row["label"], untuned: row["untuned"], before: row["before"], after: row["after"],
                    confidenceBefore: row["confidence_before"], confidenceAfter: row["confidence_after"], image: image.map { Array($0) })
            }
        }
    }

    // MARK: Events

    /// Something that people should know of a class set, like a drift.
    package struct Event: Sendable, Equatable, Encodable {
        /// Milliseconds since 1970-01-01 UTC.
        package let at: Int64
        package let classSet: String
        /// `drift.labels`, `drift.answers`, `drift.over`, `shadow.promoted`, `shadow.dropped`.
        package let kind: String
        /// For people.
        package let text: String

        package init(at: Int64, classSet: String, kind: String, text: String) {
            self.at = at
            self.classSet = classSet
            self.kind = kind
            self.text = text
        }
    }

    package func note(_ event: Event) throws {
        try queue.write {
            try $0.execute(
                sql: "INSERT INTO event (at, class_set, kind, text) VALUES (?, ?, ?, ?)",
                arguments: [event.at, event.classSet, event.kind, event.text])
        }
    }

    /// A class set's newest events, newest first.
    package func events(classSet: String, limit: Int = 100) throws -> [Event] {
        try queue.read {
            try Row.fetchAll(
                $0, sql: "SELECT * FROM event WHERE class_set = ? ORDER BY id DESC LIMIT ?", arguments: [classSet, limit]
            ).map { Event(at: $0["at"], classSet: $0["class_set"], kind: $0["kind"], text: $0["text"]) }
        }
    }

    /// The class sets that have examples or runs, in the order of their names.
    package func classSets() throws -> [String] {
        try queue.read {
            try String.fetchAll($0, sql: "SELECT class_set FROM example UNION SELECT class_set FROM run ORDER BY 1")
        }
    }
}
