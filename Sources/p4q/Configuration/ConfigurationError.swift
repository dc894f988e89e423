/// What is wrong with a configuration file.
struct ConfigurationError: Error, CustomStringConvertible {
    /// One fault, where it is, and what to do.
    struct Problem: Hashable, CustomStringConvertible {
        enum Reason: Hashable {
            case unreadable(String)
            case syntax(String)
            case unknownSection(String, suggestion: String?)
            case unknownKey(String, suggestion: String?)
            case wrongValue(String, reason: String)
        }

        let path: String
        /// From 1; nil for the file as a whole.
        let line: Int?
        let reason: Reason

        /// Stable and for programs.
        var code: String {
            switch reason {
            case .unreadable: "config.unreadable"
            case .syntax: "config.syntax"
            case .unknownSection: "config.unknown_section"
            case .unknownKey: "config.unknown_key"
            case .wrongValue: "config.wrong_value"
            }
        }

        var description: String {
            let text =
                switch reason {
                case .unreadable(let reason): "it can't be read: \(reason)"
                case .syntax(let reason): "it is no YAML: \(reason)"
                case .unknownSection(let name, let suggestion):
                    "there is no command \"\(name)\", and a section is a command, common, or limits" + Self.hint(suggestion)
                case .unknownKey(let key, let suggestion): "\(key) is not known" + Self.hint(suggestion)
                case .wrongValue(let key, let reason): "\(key): \(reason)"
                }
            return "\(path)\(line.map { ":\($0)" } ?? ""): \(text) (\(code))"
        }

        private static func hint(_ suggestion: String?) -> String { suggestion.map { "; did you mean \($0)?" } ?? "" }
    }

    /// At least one.
    let problems: [Problem]

    var description: String { problems.map(\.description).joined(separator: "\n") }

    /// Whether the file is not there, or closed to us.
    var isUnreadable: Bool {
        problems.contains { if case .unreadable = $0.reason { true } else { false } }
    }
}

/// What somebody may have meant.
enum Spelling {
    /// The name that is nearest to `text`, if one is near: a third of its letters may be wrong, two at least.
    static func suggestion(for text: String, among names: some Sequence<String>) -> String? {
        let limit = max(2, text.count / 3)
        return names.map { (name: $0, distance: distance(text, $0)) }.filter { $0.distance <= limit }
            .min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
    }

    /// Letters to insert, remove or replace. Source: Levenshtein's distance, by Wagner and Fischer's table.
    private static func distance(_ first: String, _ second: String) -> Int {
        let (first, second) = (Array(first.utf8), Array(second.utf8))
        var row = Array(0...second.count)
        for (i, letter) in first.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in second.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (letter == other ? 0 : 1))
                diagonal = above
            }
        }
        return row[second.count]
    }
}
