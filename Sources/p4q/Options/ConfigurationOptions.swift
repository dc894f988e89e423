import ArgumentParser

/// Where options are read from that the arguments and the environment don't give.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .long, help: "A YAML file of options, a section a command (p4q config show); P4Q_CONFIG names it for every command.",
        completion: .file())
    var config: String?

    /// The file's section `limits`.
    func limits() throws -> QueueLimits { try file()?.limits ?? QueueLimits() }

    /// The file, if there is one.
    func file() throws -> ConfigurationFile? {
        guard let config else { return nil }
        return try ConfigurationFile(contentsOf: config, catalog: CommandCatalog(help: P4Q._dumpHelp()))
    }
}
