import JobQueue
import Yams

/// The section `limits` of a configuration file: what may be open, and whose turn comes how often. Read again while the dispatcher runs.
///
/// `total`, `service` and `producer` (each one that isn't named) are limits; `services` and `producers` have limits by name. Limits are
/// `jobs`, `bytes` (`500`, `10MB`, `2GiB`) and `age` (`90`, `10m`, `1h`, `7d`); producers also have a `weight` of 1 to 1000.
struct QueueLimits: Equatable {
    struct Limits: Equatable {
        var jobs: Int?
        var bytes: Int?
        var age: Duration?
        var weight: Int?

        func applied(to base: QueueConfiguration.Limits) -> QueueConfiguration.Limits {
            QueueConfiguration.Limits(jobs: jobs ?? base.jobs, bytes: bytes ?? base.bytes, age: age ?? base.age)
        }
    }

    var total = Limits()
    var service = Limits()
    var services: [String: Limits] = [:]
    var producer = Limits()
    var producers: [String: Limits] = [:]

    init() {}

    /// Puts these limits over those of `configuration`.
    func apply(to configuration: inout QueueConfiguration) {
        configuration.total = total.applied(to: configuration.total)
        configuration.service = service.applied(to: configuration.service)
        configuration.producer = producer.applied(to: configuration.producer)
        for (name, limits) in services { configuration.services[name] = limits.applied(to: configuration.service) }
        for (name, limits) in producers {
            configuration.producers[name] = limits.applied(to: configuration.producer)
            if let weight = limits.weight { configuration.weights[name] = weight }
        }
    }
}

extension QueueLimits {
    typealias Note = (Node, ConfigurationError.Problem.Reason) -> Void

    /// Reads the section; what is wrong is told to `note`.
    init(_ node: Node, note: Note) {
        let known = ["total", "service", "services", "producer", "producers"]
        guard let mapping = node.mapping else {
            note(node, .wrongValue("limits", reason: "it is not a mapping"))
            return
        }
        for (key, value) in mapping {
            let name = key.string ?? ""
            switch name {
            case "total": total = Self.limits(value, "limits.total", hasWeight: false, note)
            case "service": service = Self.limits(value, "limits.service", hasWeight: false, note)
            case "producer": producer = Self.limits(value, "limits.producer", hasWeight: false, note)
            case "services": services = Self.named(value, "limits.services", hasWeight: false, note)
            case "producers": producers = Self.named(value, "limits.producers", hasWeight: true, note)
            default: note(key, .unknownKey("limits.\(name)", suggestion: Spelling.suggestion(for: name, among: known)))
            }
        }
    }

    private static func named(_ node: Node, _ path: String, hasWeight: Bool, _ note: Note) -> [String: Limits] {
        guard let mapping = node.mapping else {
            note(node, .wrongValue(path, reason: "it is not a mapping of names"))
            return [:]
        }
        var limits: [String: Limits] = [:]
        for (key, value) in mapping {
            let name = key.string ?? ""
            limits[name] = Self.limits(value, "\(path).\(name)", hasWeight: hasWeight, note)
        }
        return limits
    }

    private static func limits(_ node: Node, _ path: String, hasWeight: Bool, _ note: Note) -> Limits {
        var limits = Limits()
        guard let mapping = node.mapping else {
            note(node, .wrongValue(path, reason: "it is not a mapping of jobs, bytes and age"))
            return limits
        }
        for (key, value) in mapping {
            let name = key.string ?? ""
            let text = value.scalar?.string ?? ""
            func wrong(_ reason: String) { note(value, .wrongValue("\(path).\(name)", reason: reason)) }
            switch name {
            case "jobs":
                limits.jobs = Int(text).flatMap { $0 >= 1 ? $0 : nil }
                if limits.jobs == nil { wrong("\"\(text)\" is not a number of at least 1") }
            case "bytes":
                limits.bytes = bytes(text)
                if limits.bytes == nil { wrong("\"\(text)\" is not a size such as 500, 10MB or 2GiB") }
            case "age":
                limits.age = duration(text)
                if limits.age == nil { wrong("\"\(text)\" is not a time such as 90, 10m, 1h or 7d") }
            case "weight" where hasWeight:
                limits.weight = Int(text).flatMap { (1...1000).contains($0) ? $0 : nil }
                if limits.weight == nil { wrong("\"\(text)\" is not a number from 1 to 1000") }
            default:
                let known = ["jobs", "bytes", "age"] + (hasWeight ? ["weight"] : [])
                note(key, .unknownKey("\(path).\(name)", suggestion: Spelling.suggestion(for: name, among: known)))
            }
        }
        return limits
    }

    private static func bytes(_ text: String) -> Int? {
        let units = ["": 1, "B": 1, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
        return number(text, units)
    }

    private static func duration(_ text: String) -> Duration? {
        number(text, ["": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400]).map { .seconds($0) }
    }

    /// A whole number of at least 1 and its unit.
    private static func number(_ text: String, _ units: [String: Int]) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).trimmingPrefix { $0 == " " }
        guard let count = Int(digits), count >= 1, let factor = units[String(unit)] else { return nil }
        let (product, overflow) = count.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }
}
