import Foundation
import Messages
import TextTable

/// A release for people and programs; its coding keys are the JSON's.
struct ReleaseFacts: Codable {
    /// What is in place for a class set.
    struct State: Codable {
        let class_set: String
        let class_set_sha256: String
        let live: UInt64?
        let previous: UInt64?
        let shadow: UInt64?
        let pinned: UInt64?
        let last: UInt64
        /// Images that the fleet has scored with the shadow too, and with the same answer.
        let shadow_scored: UInt64?
        let shadow_agreed: UInt64?

        init(_ state: ReleaseState, shadow sum: ScoringCounts.Shadow? = nil) throws {
            func some(_ version: UInt64) -> UInt64? { version == 0 ? nil : version }
            class_set = state.classSet.name
            class_set_sha256 = state.classSet.sha256.hex
            live = try state.live?.unverifiedManifest().version
            let tried = try state.shadow?.unverifiedManifest().version
            shadow = tried
            previous = some(state.previous)
            pinned = some(state.pinned)
            last = state.last
            let known = sum.flatMap { $0.version == tried ? $0 : nil }
            (shadow_scored, shadow_agreed) = (known?.scored, known?.agreed)
        }
    }

    let class_set: String
    let version: UInt64
    let parent: UInt64
    let mode: String
    /// live, shadow, previous, or empty.
    let state: String
    let content_from: UInt64?
    let class_set_sha256: String
    let learned_on: String
    let learned_on_sha256: String
    let model: String
    let model_sha256: String
    let bits: String
    let content_sha256: String
    let content_bytes: Int
    let is_kept: Bool
    let maker: String
    let signer: String
    let created: String
    let note: String
    let golden_probabilities: [Float]
    /// What a trainer's gate measured.
    let gate: Gate?

    /// Counts of held-out examples, and the test on them.
    struct Gate: Codable {
        let run: UInt64
        let held_out: Int
        let right_before: Int
        let right_after: Int
        let right_untuned: Int
        let gained: Int
        let lost: Int
        let p: Double
        let level: Double
        let test: Int
        let calibration_error_before: Double
        let calibration_error_after: Double

        init(_ gate: GateEvidence) {
            (run, held_out, test) = (gate.run, gate.examples, gate.test)
            (right_before, right_after, right_untuned) = (gate.before, gate.after, gate.untuned)
            (gained, lost, p, level) = (gate.gained, gate.lost, gate.p, gate.level)
            (calibration_error_before, calibration_error_after) = (gate.calibrationErrorBefore, gate.calibrationErrorAfter)
        }
    }

    init(_ entry: ReleaseEntry, in place: ReleaseState?) throws {
        let manifest = try entry.release.unverifiedManifest()
        let versions = try place.map { try State($0) }
        class_set = manifest.classSet.name
        version = manifest.version
        parent = manifest.parent
        mode = "\(manifest.mode)"
        state =
            switch manifest.version {
            case versions?.live: versions?.pinned == nil ? "live" : "live, pinned"
            case versions?.shadow: "shadow"
            case versions?.previous: "previous"
            default: ""
            }
        content_from = manifest.contentFrom == 0 ? nil : manifest.contentFrom
        class_set_sha256 = manifest.classSet.sha256.hex
        learned_on = manifest.learnedOn.name
        learned_on_sha256 = manifest.learnedOn.sha256.hex
        model = manifest.model.name
        model_sha256 = manifest.model.sha256.hex
        bits = manifest.bits
        content_sha256 = manifest.contentSHA256.hex
        content_bytes = manifest.contentBytes
        is_kept = entry.isKept
        maker = manifest.maker
        signer = entry.release.publicKey.map { String(format: "%02x", $0) }.joined()
        created = Date(timeIntervalSince1970: Double(manifest.createdUnixMilliseconds) / 1000).formatted(.iso8601)
        note = manifest.note
        golden_probabilities = manifest.goldens.map(\.probability)
        gate = manifest.gate.map(Gate.init)
    }

    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// A line for each field in which two releases differ.
    static func differences(_ old: ReleaseFacts, _ new: ReleaseFacts) throws -> [String] {
        func fields(_ facts: ReleaseFacts) throws -> [String: String] {
            let object = try JSONSerialization.jsonObject(with: Data(try json(facts).utf8)) as? [String: Any] ?? [:]
            var found: [String: String] = [:]
            for (key, value) in object {
                // The gate's figures one by one.
                for (name, part) in value as? [String: Any] ?? [:] { found["\(key).\(name)"] = "\(part)" }
                if !(value is [String: Any]) { found[key] = "\(value)".replacingOccurrences(of: "\n", with: " ") }
            }
            return found
        }
        let (left, right) = (try fields(old), try fields(new))
        return Set(left.keys).union(right.keys).sorted().filter { left[$0] != right[$0] }.map {
            "\($0): \(left[$0] ?? "-") -> \(right[$0] ?? "-")"
        }
    }
}

/// Releases as tables, or as lines of JSON.
enum ReleaseTable {
    static var states: TextTable<ReleaseFacts.State> {
        TextTable { state in
            [
                Column(title: "class set", value: state.class_set), Column(title: "live", value: text(state.live), align: .right),
                Column(title: "previous", value: text(state.previous), align: .right),
                Column(title: "shadow", value: text(state.shadow), align: .right),
                Column(title: "pinned", value: text(state.pinned), align: .right),
                Column(title: "agreed", value: agreement(state), align: .right),
                Column(title: "last", value: "\(state.last)", align: .right),
                Column(title: "sha256", value: String(state.class_set_sha256.prefix(12))),
            ]
        }
    }

    static var releases: TextTable<ReleaseFacts> {
        TextTable { facts in
            [
                Column(title: "version", value: "\(facts.version)", align: .right), Column(title: "state", value: facts.state),
                Column(title: "mode", value: facts.mode), Column(title: "parent", value: "\(facts.parent)", align: .right),
                Column(title: "from", value: text(facts.content_from), align: .right), Column(title: "bits", value: facts.bits),
                Column(title: "bytes", value: "\(facts.content_bytes)", align: .right),
                Column(title: "held out", value: facts.gate.map { "\($0.right_before) → \($0.right_after) of \($0.held_out)" } ?? ""),
                Column(title: "p", value: facts.gate.map { String(format: "%.2g", $0.p) } ?? "", align: .right),
                Column(title: "kept", value: facts.is_kept ? "yes" : "no"), Column(title: "maker", value: facts.maker),
                Column(title: "created", value: facts.created), Column(title: "note", value: String(facts.note.prefix(60))),
            ]
        }
    }

    private static func agreement(_ state: ReleaseFacts.State) -> String {
        guard let scored = state.shadow_scored, let agreed = state.shadow_agreed, scored > 0 else { return "" }
        return "\(fixed(Double(agreed) / Double(scored) * 100, 1)) % of \(scored)"
    }

    private static func text(_ version: UInt64?) -> String { version.map { "\($0)" } ?? "" }

    static func print<Row: Encodable>(_ rows: [Row], json: Bool, table: TextTable<Row>) {
        let lines = json ? rows.compactMap { try? ReleaseFacts.json($0) } : EvaluationTable.drawn(table, rows, .plain)
        for line in lines { Swift.print(line) }
    }
}
