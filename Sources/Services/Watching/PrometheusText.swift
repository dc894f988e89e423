internal import Foundation
internal import JobQueue

/// Prometheus' text format, version 0.0.4.
///
/// Source: https://prometheus.io/docs/instrumenting/exposition_formats/
struct PrometheusText {
    private(set) var text = ""

    /// Begins a metric; its samples follow.
    mutating func begin(_ name: String, _ kind: MetricCatalog.Kind) {
        if let help = MetricCatalog.entries[name]?.help { text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n" }
        text += "# TYPE \(name) \(kind.rawValue)\n"
    }

    /// - Parameter labels: as `labels` gives them.
    mutating func sample(_ name: String, _ labels: String, _ value: Double) {
        text += labels.isEmpty ? "\(name) \(Self.number(value))\n" : "\(name){\(labels)} \(Self.number(value))\n"
    }

    mutating func histogram(_ name: String, _ labels: String, _ values: Histogram) {
        let separator = labels.isEmpty ? "" : ","
        var below: UInt64 = 0
        for (bound, count) in zip(values.bounds, values.counts) {
            below += count
            sample("\(name)_bucket", "\(labels)\(separator)le=\"\(Self.number(bound))\"", Double(below))
        }
        sample("\(name)_bucket", "\(labels)\(separator)le=\"+Inf\"", Double(values.count))
        sample("\(name)_sum", labels, values.sum)
        sample("\(name)_count", labels, Double(values.count))
    }

    /// A name as Prometheus allows it: what it doesn't becomes an underscore.
    static func name(_ label: String) -> String {
        let name = String(label.map { $0.isASCII && ($0.isLetter || $0.isNumber) || $0 == "_" || $0 == ":" ? $0 : "_" })
        return name.first?.isNumber == true ? "_" + name : name
    }

    static func labels(_ pairs: [(String, String)]) -> String {
        pairs.map { "\(name($0))=\"\(escaped($1, quotes: true))\"" }.joined(separator: ",")
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return value == value.rounded(.towardZero) && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }

    private static func escaped(_ value: String, quotes: Bool) -> String {
        let escaped = value.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\n", with: "\\n")
        return quotes ? escaped.replacingOccurrences(of: "\"", with: "\\\"") : escaped
    }
}
