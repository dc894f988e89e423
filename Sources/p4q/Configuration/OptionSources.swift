import Configuration
import Foundation
import Synchronization
import SystemPackage

/// Where options come from: the command line, then the environment (`P4Q_BATCH_MAX` is `--batch-max`), then the configuration file (the
/// command's section, then `common`), then what the command does without them.
///
/// What `serve` gives to its dispatcher is read from the section `dispatch` too, after its own.
struct OptionSources {
    enum Origin: Int, CaseIterable { case flag, environment, section, part, common }

    /// Options of the dispatcher that `serve` passes on.
    private static let dispatcherOptions: Set<String> = ["bind", "journal", "http", "key", "allow", "insecure"]

    /// The section that `serve` shares with its dispatcher.
    static let dispatcherSection = "dispatch"

    /// An option that somebody set.
    struct Setting {
        let values: [String]
        let origin: Origin
    }

    let command: String
    let options: [CommandCatalog.Option]
    let file: ConfigurationFile?
    private let reader: ConfigReader
    private let reporter = OriginReporter()

    /// - Parameters:
    ///   - given: the command's arguments, without its name.
    ///   - file: a file that has been checked.
    init(
        command: String, options: [CommandCatalog.Option], given: [String], environment: [String: String], file: ConfigurationFile?
    ) async throws {
        self.command = command
        self.options = options
        self.file = file
        let environment = EnvironmentVariablesProvider(environmentVariables: environment, arraySeparator: "\n")
        var providers: [any ConfigProvider] = [
            InMemoryProvider(name: "flags", values: Self.flags(given, options)),
            KeyMappingProvider(upstream: environment) { AbsoluteConfigKey(["p4q"] + $0.components) },
        ]
        if let file {
            let contents = try await FileProvider<YAMLSnapshot>(filePath: FilePath(file.path))
            func add(_ section: @escaping @Sendable (_ option: [String]) -> String) {
                providers.append(KeyMappingProvider(upstream: contents) { AbsoluteConfigKey([section($0.components)] + $0.components) })
            }
            add { _ in command }
            add { option in
                command == "serve" && option.allSatisfy(Self.dispatcherOptions.contains) ? Self.dispatcherSection : command
            }
            add { _ in ConfigurationFile.common }
        }
        reader = ConfigReader(providers: providers, accessReporter: reporter)
    }

    /// What `option` is set to, and by whom; nil if nobody sets it.
    func setting(_ option: CommandCatalog.Option) -> Setting? {
        let key = ConfigKey([option.name])
        if option.isRepeating, let values = reader.stringArray(forKey: key), let origin = reporter.last {
            return Setting(values: values, origin: origin)
        }
        // One value of a list may stand alone.
        guard let value = reader.string(forKey: key), let origin = reporter.last else { return nil }
        return Setting(values: [value], origin: origin)
    }

    /// Arguments for what the command line does not say.
    var additions: [String] {
        options.flatMap { option -> [String] in
            guard let setting = setting(option), setting.origin != .flag else { return [] }
            return Self.arguments(option, setting.values)
        }
    }

    /// `option` with these values, as arguments.
    static func arguments(_ option: CommandCatalog.Option, _ values: [String]) -> [String] {
        if option.isFlag { return values.first.flatMap(isOn) == true ? ["--\(option.name)"] : [] }
        return values.map { "--\(option.name)=\($0)" }
    }

    /// What a flag's value says; nil if it says nothing.
    static func isOn(_ value: String) -> Bool? {
        switch value.lowercased() {
        case "1", "true", "yes": true
        case "0", "false", "no": false
        default: nil
        }
    }

    /// The options among `given`.
    private static func flags(_ given: [String], _ options: [CommandCatalog.Option]) -> [AbsoluteConfigKey: ConfigValue] {
        let given = Array(given.prefix { $0 != "--" })
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for option in options {
            var found: [String] = []
            for (place, argument) in given.enumerated() {
                if let spelling = option.spellings.first(where: { argument.hasPrefix($0 + "=") }) {
                    found.append(String(argument.dropFirst(spelling.count + 1)))
                } else if option.spellings.contains(argument) {
                    found.append(option.isFlag ? "true" : place + 1 < given.count ? given[place + 1] : "")
                }
            }
            guard let last = found.last else { continue }
            let content: ConfigContent = option.isRepeating ? .stringArray(found) : .string(last)
            values[AbsoluteConfigKey([option.name])] = ConfigValue(content, isSecret: false)
        }
        return values
    }
}

/// Notes which provider gave the last value that was asked for.
private final class OriginReporter: AccessReporter {
    private let origin = Mutex<OptionSources.Origin?>(nil)

    var last: OptionSources.Origin? { origin.withLock { $0 } }

    func report(_ event: AccessEvent) {
        let place = event.providerResults.firstIndex { result in
            if case .success(let found) = result.result { found.value != nil } else { false }
        }
        origin.withLock { $0 = place.flatMap(OptionSources.Origin.init) }
    }
}
