import ArgumentParser
import Foundation

/// `p4q config`: what is set where.
struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show where options come from, and check a configuration file.",
        discussion: """
            The command line goes before the environment (--batch-max is P4Q_BATCH_MAX), that before the file that --config or P4Q_CONFIG \
            names, and that before the defaults. The file is YAML: a section a command with its options, common for options that several \
            commands have, and limits of the queue, which a dispatcher takes while it runs when the file changes or at SIGHUP.
            """,
        subcommands: [ConfigShow.self, ConfigValidate.self])
}

/// `p4q config show`
struct ConfigShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Print the options of commands as they would run now, in the file's form.")

    @Argument(help: "Commands, such as dispatch; the long-running ones if not given.")
    var commands: [String] = []

    @Flag(name: .long, help: "Say behind each option where it comes from.")
    var origin = false

    @Option(name: .long, help: "The configuration file; P4Q_CONFIG if not given.", completion: .file())
    var config: String?

    @Argument(parsing: .postTerminator, help: "Arguments of the command, after --.")
    var given: [String] = []

    static let longRunning = ["serve", "dispatch", "worker", "train"]

    func validate() throws {
        if !given.isEmpty && commands.count != 1 { throw ValidationError("arguments after -- go with one command") }
    }

    func run() async throws {
        let catalog = try CommandCatalog(help: P4Q._dumpHelp())
        let environment = ProcessInfo.processInfo.environment.merging(config.map { ["P4Q_CONFIG": $0] } ?? [:]) { $1 }
        var file: ConfigurationFile?
        for command in commands.isEmpty ? Self.longRunning : commands {
            guard catalog.commands[command] != nil else {
                let suggestion = Spelling.suggestion(for: command, among: catalog.commands.keys)
                throw ValidationError("there is no command \(command)" + (suggestion.map { "; did you mean \($0)?" } ?? ""))
            }
            let reading = CommandLineReading(arguments: command.split(separator: " ").map(String.init) + given, environment: environment)
            guard let sources = try await reading.sources(catalog) else { continue }
            file = sources.file
            try StandardOutput.line("\(quoted(command)):")
            for option in sources.options where option.name != "config" { try show(option, sources) }
        }
        for (key, text, line) in file?.limits.lines ?? [] {
            try StandardOutput.line("\(key)\(text)" + (origin && line ? "  # \(file?.path ?? "")" : ""))
        }
        try StandardOutput.flush()
    }

    private func show(_ option: CommandCatalog.Option, _ sources: OptionSources) throws {
        let setting = sources.setting(option)
        let standard = option.standard ?? (option.isFlag ? "false" : nil)
        guard let values = setting?.values ?? standard.map({ [$0] }) else {
            return try StandardOutput.line("  # \(option.name):" + (origin ? "  # not set" : ""))
        }
        let text = values.count > 1 ? "[" + values.map(quoted).joined(separator: ", ") + "]" : quoted(values[0])
        try StandardOutput.line("  \(option.name): \(text)" + (origin ? "  # \(source(option, setting, sources))" : ""))
    }

    private func source(_ option: CommandCatalog.Option, _ setting: OptionSources.Setting?, _ sources: OptionSources) -> String {
        func place(_ section: String) -> String {
            let line = sources.file?.sections[section]?[option.name]?.line
            return "\(sources.file?.path ?? "the file")\(line.map { ":\($0)" } ?? "")"
        }
        switch setting?.origin {
        case nil: return "default"
        case .flag: return "flag"
        case .environment: return "environment P4Q_\(option.name.uppercased().replacingOccurrences(of: "-", with: "_"))"
        case .section: return place(sources.command)
        case .part: return place(OptionSources.dispatcherSection) + " (dispatch)"
        case .common: return place(ConfigurationFile.common) + " (common)"
        }
    }

    /// A YAML scalar: in quotes unless nothing in it means anything to YAML.
    private func quoted(_ text: String) -> String {
        let isPlain =
            !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-".contains($0)) } && text.first != "-"
        if isPlain { return text }
        return "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"") + "\""
    }
}

extension QueueLimits {
    /// The section as it is written, line by line; `isValue`: the line sets something.
    var lines: [(key: String, text: String, isValue: Bool)] {
        if self == QueueLimits() { return [] }
        var lines: [(String, String, Bool)] = [("limits:", "", false)]
        func add(_ name: String, _ limits: Limits, _ indent: String) {
            let facts = [
                ("jobs", limits.jobs.map { "\($0)" }), ("bytes", limits.bytes.map { "\($0)" }),
                ("age", limits.age.map { "\($0.components.seconds)" }), ("weight", limits.weight.map { "\($0)" }),
            ].compactMap { key, value in value.map { "\(key): \($0)" } }
            if !facts.isEmpty { lines.append(("\(indent)\(name): ", "{\(facts.joined(separator: ", "))}", true)) }
        }
        for (name, limits) in [("total", total), ("service", service), ("producer", producer)] { add(name, limits, "  ") }
        for (name, group) in [("services", services), ("producers", producers)] where !group.isEmpty {
            lines.append(("  \(name):", "", false))
            for (member, limits) in group.sorted(by: { $0.key < $1.key }) { add("\"\(member)\"", limits, "    ") }
        }
        return lines
    }
}

/// `p4q config validate`
struct ConfigValidate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Check a configuration file: sections, options, values.",
        discussion: "Prints every fault with its line and exits 65; 66 if the file can't be read.")

    @Argument(help: "The file.", completion: .file())
    var file: String

    func run() throws {
        let catalog = try CommandCatalog(help: P4Q._dumpHelp())
        let read = try ConfigurationFile(contentsOf: file, catalog: catalog)
        try read.check(catalog)
        let count = read.sections.values.reduce(0) { $0 + $1.count }
        try StandardOutput.line(
            "\(file): \(count) options in \(read.sections.count) sections" + (read.limits == QueueLimits() ? "" : ", and limits"))
        try StandardOutput.flush()
    }
}
