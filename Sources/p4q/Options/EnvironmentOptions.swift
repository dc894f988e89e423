import ArgumentParser
import Foundation

/// Options from the environment: `P4Q_BATCH_MAX=8` is `--batch-max 8` where the command has that option and its arguments don't give it.
enum EnvironmentOptions {
    static func apply(
        to arguments: [String], helpOf help: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> [String] {
        guard environment.keys.contains(where: { $0.hasPrefix("P4Q_") }),
            let tool = try? JSONDecoder().decode(Tool.self, from: Data(help.utf8))
        else { return arguments }
        var command = tool.command
        var depth = 0
        while depth < arguments.count, let next = command.subcommands?.first(where: { $0.commandName == arguments[depth] }) {
            command = next
            depth += 1
        }
        let given = arguments[depth...].prefix { $0 != "--" }
        let additions = (command.arguments ?? []).flatMap { $0.arguments(from: environment, given: given) }
        return arguments[..<depth] + additions + arguments[depth...]
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

        func arguments(from environment: [String: String], given: ArraySlice<String>) -> [String] {
            let spellings = (names ?? []).map { ($0.kind == "long" ? "--" : "-") + $0.name }
            guard let long = names?.first(where: { $0.kind == "long" && $0.name != "help" && $0.name != "version" })?.name,
                let value = environment["P4Q_" + long.uppercased().replacingOccurrences(of: "-", with: "_")],
                !given.contains(where: { argument in spellings.contains { argument == $0 || argument.hasPrefix($0 + "=") } })
            else { return [] }
            if kind == "flag" { return ["1", "true", "yes"].contains(value.lowercased()) ? ["--\(long)"] : [] }
            let values = isRepeating ? value.split(separator: "\n").map(String.init) : [value]
            return values.map { "--\(long)=\($0)" }
        }
    }
}
