import ArgumentParser
import Logging

extension Logger.Level: ExpressibleByArgument {}

/// How much is logged; always to stderr.
struct LogOptions: ParsableArguments {
    @Option(name: .long, help: "The least level that is logged: trace, debug, info, notice, warning, error, critical.")
    var logLevel: Logger.Level = .info

    func makeLogger(_ label: String) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = logLevel
        return logger
    }
}
