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
