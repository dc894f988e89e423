import Foundation
import Yams

/// A configuration file: a section a command with its options, `common` for what several commands have, and `limits` of the queue.
///
/// ```yaml
/// common: {log-format: json}
/// dispatch: {http: 9100, bind: ["@tcp://0.0.0.0:5555"]}
/// limits:
///   producers: {camera: {jobs: 10000, weight: 5}}
/// ```
struct ConfigurationFile {
    typealias Problem = ConfigurationError.Problem

    /// Options of every command that has them.
    static let common = "common"
    static let limits = "limits"

    /// One option in a section.
    struct Entry {
        let values: [String]
        /// From 1.
        let line: Int
    }

    let path: String
    /// By section and option.
    private(set) var sections: [String: [String: Entry]] = [:]
    private(set) var limits = QueueLimits()
    private var problems: [Problem] = []

    /// Reads a file. Throws `ConfigurationError` with everything that is wrong with its form; see `check` for the values.
    init(contentsOf path: String, catalog: CommandCatalog) throws(ConfigurationError) {
        self.path = path
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ConfigurationError(problems: [Problem(path: path, line: nil, reason: .unreadable(error.localizedDescription))])
        }
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw ConfigurationError(problems: [Self.problem(of: error, path)])
        }
        if let root { read(root, catalog) }
        if !problems.isEmpty { throw ConfigurationError(problems: problems) }
    }

    private static func problem(of error: any Error, _ path: String) -> Problem {
        switch error as? YamlError {
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _), .composer(_, let text, let mark, _):
            Problem(path: path, line: mark.line, reason: .syntax(text))
        case .duplicatedKeysInMapping(let duplicates, let context):
            Problem(path: path, line: context.mark.line, reason: .syntax("it has twice: \(duplicates.joined(separator: ", "))"))
        default: Problem(path: path, line: nil, reason: .syntax("\(error)"))
        }
    }

    private mutating func note(_ node: Node, _ reason: Problem.Reason) {
        problems.append(Problem(path: path, line: node.mark?.line, reason: reason))
    }

    private mutating func read(_ root: Node, _ catalog: CommandCatalog) {
        guard let mapping = root.mapping else { return note(root, .syntax("it is not a mapping of sections")) }
        for (key, value) in mapping {
            let name = key.string ?? ""
            if name == Self.limits {
                limits = QueueLimits(value) { node, reason in note(node, reason) }
            } else if let options = name == Self.common ? catalog.commands.values.flatMap({ $0 }) : catalog.commands[name] {
                read(section: name, value, options.filter { $0.name != "config" })
            } else {
                let known = Array(catalog.commands.keys) + [Self.common, Self.limits]
                note(key, .unknownSection(name, suggestion: Spelling.suggestion(for: name, among: known)))
            }
        }
    }

    private mutating func read(section: String, _ node: Node, _ options: [CommandCatalog.Option]) {
        guard let mapping = node.mapping else { return note(node, .wrongValue(section, reason: "it is not a mapping of options")) }
        for (key, value) in mapping {
            let name = key.string ?? ""
            guard let option = options.first(where: { $0.name == name }) else {
                let suggestion = Spelling.suggestion(for: name, among: options.map(\.name))
                note(key, .unknownKey("\(section).\(name)", suggestion: suggestion))
                continue
            }
            do throws(WrongValue) {
                let values = try Self.values(value, option)
                sections[section, default: [:]][name] = Entry(values: values, line: key.mark?.line ?? 1)
            } catch {
                note(value, .wrongValue("\(section).\(name)", reason: error.reason))
            }
        }
    }

    private struct WrongValue: Error { let reason: String }

    private static func values(_ node: Node, _ option: CommandCatalog.Option) throws(WrongValue) -> [String] {
        if let list = node.sequence {
            guard option.isRepeating else { throw WrongValue(reason: "it takes one value, not a list") }
            let values = list.compactMap(\.scalar?.string)
            guard values.count == list.count else { throw WrongValue(reason: "its list has something else than plain values") }
            return values
        }
        guard let scalar = node.scalar?.string, node.null == nil else { throw WrongValue(reason: "it has no value") }
        if option.isFlag, OptionSources.isOn(scalar) == nil { throw WrongValue(reason: "it is true or false, not \"\(scalar)\"") }
        return [scalar]
    }
}
