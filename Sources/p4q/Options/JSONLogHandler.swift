import Foundation
import Logging

/// Log lines as JSON objects on stderr: `time` (ISO 8601, UTC), `level`, `logger`, `message`, and the metadata's fields beside them.
struct JSONLogHandler: LogHandler {
    let label: String
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()

    init(label: String) { self.label = label }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { try? FileHandle.standardError.write(contentsOf: Data((line(event, at: Date()) + "\n").utf8)) }

    /// One line, without its end. A metadata key that is one of the fixed fields' has `metadata.` in front.
    func line(_ event: LogEvent, at time: Date) -> String {
        var fields = [
            "time": time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)), "level": event.level.rawValue,
            "logger": label,
            "message": "\(event.message)",
        ]
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
            fields[fields[key] == nil ? key : "metadata." + key] = "\(value)"
        }
        if let error = event.error { fields["error"] = "\(error)" }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(fields)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
