import ArgumentParser
import Logging

/// How much is logged; always to stderr.
struct LogOptions: ParsableArguments {
    private enum Level: String, ExpressibleByArgument, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    @Option(name: .long, help: "The least level that is logged.")
    private var logLevel = Level.info

    func makeLogger(_ label: String) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: logLevel.rawValue) ?? .info
        return logger
    }
}
