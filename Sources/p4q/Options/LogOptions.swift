import ArgumentParser
import Logging

/// How much is logged; always to stderr.
struct LogOptions: ParsableArguments {
    private enum Level: String, ExpressibleByArgument, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    @Option(name: .long, help: "The least level that is logged.")
    private var logLevel = Level.info

    private enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    @Option(name: .long, help: "How log lines look.")
    private var logFormat = Format.text

    /// As another command of this program takes them; those of `names` are left out.
    func arguments(without names: Set<String>) -> [String] {
        [("log-level", logLevel.rawValue), ("log-format", logFormat.rawValue)].filter { !names.contains($0.0) }
            .map { "--\($0)=\($1)" }
    }

    func makeLogger(_ label: String) -> Logger {
        let format = logFormat
        var logger = Logger(label: label) { label -> any LogHandler in
            switch format {
            case .text: StreamLogHandler.standardError(label: label)
            case .json: JSONLogHandler(label: label)
            }
        }
        logger.logLevel = Logger.Level(rawValue: logLevel.rawValue) ?? .info
        return logger
    }
}
