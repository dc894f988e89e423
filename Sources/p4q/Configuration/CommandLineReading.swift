import ArgumentParser
import Foundation

/// From arguments, environment and configuration file to a command that is ready to run.
struct CommandLineReading {
    let arguments: [String]
    let environment: [String: String]

    /// What this process was started with.
    static var process: CommandLineReading {
        CommandLineReading(arguments: Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment)
    }

    /// The command. Throws `ConfigurationError`, and what the argument parser throws.
    func command() async throws -> any ParsableCommand {
        let catalog = try CommandCatalog(help: P4Q._dumpHelp())
        guard let sources = try await sources(catalog), let found = catalog.command(in: arguments) else {
            return try P4Q.parseAsRoot(arguments)
        }
        return try P4Q.parseAsRoot(arguments[..<found.depth] + sources.additions + arguments[found.depth...])
    }

    /// Where the command's options come from; nil if the arguments name no command.
    func sources(_ catalog: CommandCatalog) async throws -> OptionSources? {
        guard let (name, options, depth) = catalog.command(in: arguments) else { return nil }
        // These look at files that may be wrong.
        if name.hasPrefix("config ") {
            return try await OptionSources(
                command: name, options: options, given: Array(arguments[depth...]), environment: environment, file: nil)
        }
        var file: ConfigurationFile?
        if let path = configurationPath {
            file = try ConfigurationFile(contentsOf: path, catalog: catalog)
            try file?.check(catalog)
        }
        return try await OptionSources(
            command: name, options: options, given: Array(arguments[depth...]), environment: environment, file: file)
    }

    /// `--config`, or `P4Q_CONFIG`.
    var configurationPath: String? {
        let given = Array(arguments.prefix { $0 != "--" })
        for (place, argument) in given.enumerated() {
            if argument.hasPrefix("--config=") { return String(argument.dropFirst("--config=".count)) }
            if argument == "--config", place + 1 < given.count { return given[place + 1] }
        }
        return environment["P4Q_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
    }
}
