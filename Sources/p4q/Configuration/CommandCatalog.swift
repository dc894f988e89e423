import Foundation

/// The program's commands and their options, as the argument parser describes them.
struct CommandCatalog: Sendable {
    struct Option: Sendable {
        /// The long name, without dashes.
        let name: String
        let isFlag: Bool
        let isRepeating: Bool
        /// All spellings, with their dashes.
        let spellings: [String]
        /// As people write it; nil if there is none.
        let standard: String?

        /// Whether `arguments` have it.
        func isGiven(in arguments: some Sequence<String>) -> Bool {
            arguments.contains { argument in spellings.contains { argument == $0 || argument.hasPrefix($0 + "=") } }
        }
    }

    /// By a command's words, such as `queue pause`; only those that do something.
    let commands: [String: [Option]]

    /// - Parameter help: `P4Q._dumpHelp()`.
    init(help: String) throws {
        let tool = try JSONDecoder().decode(Tool.self, from: Data(help.utf8))
        var commands: [String: [Option]] = [:]
        func add(_ command: Command, _ path: [String]) {
            guard let subcommands = command.subcommands, !subcommands.isEmpty else {
                commands[path.joined(separator: " ")] = (command.arguments ?? []).compactMap(\.option)
                return
            }
            for subcommand in subcommands where subcommand.commandName != "help" { add(subcommand, path + [subcommand.commandName]) }
        }
        add(tool.command, [])
        self.commands = commands
    }

    /// The command that `arguments` begin with; nil if they begin with none.
    func command(in arguments: [String]) -> (name: String, options: [Option], depth: Int)? {
        for depth in (1...3).reversed() where arguments.count >= depth {
            let name = arguments[..<depth].joined(separator: " ")
            if let options = commands[name] { return (name, options, depth) }
        }
        return nil
    }

    /// As much of the argument parser's description of itself as is needed.
    private struct Tool: Decodable {
        let command: Command
    }

    private struct Command: Decodable {
        let commandName: String
        let subcommands: [Command]?
        let arguments: [Argument]?
    }

    private struct Argument: Decodable {
        struct Name: Decodable {
            let kind: String
            let name: String
        }
        let kind: String
        let isRepeating: Bool
        let names: [Name]?
        let defaultValue: String?

        var option: Option? {
            let long = names?.first { $0.kind == "long" && $0.name != "help" && $0.name != "version" }
            guard kind == "option" || kind == "flag", let long else { return nil }
            return Option(
                name: long.name, isFlag: kind == "flag", isRepeating: isRepeating,
                spellings: (names ?? []).map { ($0.kind == "long" ? "--" : "-") + $0.name }, standard: defaultValue)
        }
    }
}
