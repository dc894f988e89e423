import ArgumentParser
import Foundation
import JobQueue
import Messages
import Services
import Transport

/// `p4q status`: a dispatcher at one glance.
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "A dispatcher at one glance: queue, outcomes, workers, sinks, journal.")

    @OptionGroup var admin: AdminOptions

    func run() throws {
        let status = try DispatcherStatus(json: try admin.ask(.figures).json)
        for line in StatusText.lines(status, before: nil, elapsed: nil) { print(line) }
    }
}

/// `p4q top`: the same, live.
struct Top: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch a dispatcher live, with rates; without a terminal, a line each time.", discussion: "Ends on SIGINT or SIGTERM.")

    @OptionGroup var admin: AdminOptions

    @Option(name: .long, help: "Seconds between looks.")
    var interval = 1.0

    @Option(name: .long, help: "End after this many looks.")
    var count: Int?

    func validate() throws { if interval < 0.1 { throw ValidationError("--interval must be at least 0.1") } }

    func run() throws {
        var before: (status: DispatcherStatus, at: ContinuousClock.Instant)?
        var looks = 0
        while looks < count ?? .max {
            let status = try DispatcherStatus(json: try admin.ask(.figures).json)
            let now = ContinuousClock.now
            let elapsed = before.map { now - $0.at }
            let lines = StatusText.lines(status, before: before?.status, elapsed: elapsed)
            if StandardOutput.isTerminal {
                try StandardOutput.line("\u{1B}[H\u{1B}[2J" + lines.joined(separator: "\n"))
            } else {
                try StandardOutput.line(StatusText.line(status, before: before?.status, elapsed: elapsed))
            }
            try StandardOutput.flush()
            before = (status, now)
            looks += 1
            if looks < count ?? .max { Thread.sleep(forTimeInterval: interval) }
        }
    }
}

/// A dispatcher's figures for people.
enum StatusText {
    static func lines(_ status: DispatcherStatus, before: DispatcherStatus?, elapsed: Duration?) -> [String] {
        func rate(_ value: (DispatcherStatus) -> UInt64) -> String {
            guard let before, let elapsed else { return "" }
            return "  (\(perSecond(value(status), value(before), elapsed)) a second)"
        }
        var lines = [
            "open jobs     \(status.openJobs) (\(status.inFlight) leased), \(megabytes(UInt64(clamping: status.openBytes)))",
            "accepted      \(status.accepted)\(rate { $0.accepted }); \(status.duplicates) known already, \(status.busy) told to wait",
            "outcomes      \(status.lastSequence)\(rate { $0.lastSequence })",
        ]
        for (kind, count) in status.outcomes.sorted(by: { $0.key < $1.key }) {
            lines.append("  \(kind.padding(toLength: 14, withPad: " ", startingAt: 0))\(count)")
        }
        lines.append(
            "failed tries  " + status.failedAttempts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
        lines.append("dead letters  \(status.deadLetters)")
        lines.append(latency("wait for lease", status.waitSeconds, before?.waitSeconds))
        lines.append(latency("work          ", status.workSeconds, before?.workSeconds))
        lines.append(
            "journal       \(megabytes(status.journalBytes)), \(megabytes(status.freeBytes)) free\(status.isDiskLow ? ", DISK IS LOW" : ""), "
                + "\(status.commits) commits\(rate { $0.commits })")
        for service in status.services {
            let oldest = service.levels.map(\.oldestSeconds).max() ?? 0
            lines.append(
                "service       \(service.name): \(service.mode), \(service.open) open, \(service.ready) ready"
                    + (oldest > 0 ? ", the oldest for \(seconds(oldest))" : ""))
        }
        for group in status.groups {
            lines.append("group         \(group.name): \(group.kind), \(group.members) members, \(group.unread) unread")
        }
        for worker in status.workers {
            lines.append("worker        \(worker.name): \(worker.batches) batches\(worker.isDraining ? ", draining" : "")")
        }
        for release in status.releases {
            lines.append("release       \(release.classSet) \(release.version): \(release.mode)")
        }
        return lines
    }

    /// Percentiles of what has ended since the last look, or since the start.
    private static func latency(_ name: String, _ now: Histogram, _ before: Histogram?) -> String {
        var values = Histogram(bounds: now.bounds)
        values.add(now, since: before ?? values)
        let text = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)].map { name, share in
            "\(name) \(values.quantile(share).map(seconds) ?? "-")"
        }
        return name + "  " + text.joined(separator: ", ")
    }

    private static func seconds(_ value: Double) -> String {
        value < 1 ? String(format: "%.0f ms", value * 1000) : String(format: "%.1f s", value)
    }

    static func line(_ status: DispatcherStatus, before: DispatcherStatus?, elapsed: Duration?) -> String {
        var line = "open=\(status.openJobs) leased=\(status.inFlight) accepted=\(status.accepted) outcomes=\(status.lastSequence)"
        if let before, let elapsed { line += " outcomes_per_second=\(perSecond(status.lastSequence, before.lastSequence, elapsed))" }
        return line + " workers=\(status.workers.count) unread=\(status.groups.map(\.unread).max() ?? 0) dead=\(status.deadLetters)"
    }

    private static func perSecond(_ now: UInt64, _ before: UInt64, _ elapsed: Duration) -> String {
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
        return String(format: "%.1f", Double(now) - Double(before) >= 0 ? (Double(now) - Double(before)) / max(seconds, 0.001) : 0)
    }

    private static func megabytes(_ bytes: UInt64) -> String { String(format: "%.1f MB", Double(bytes) / 1e6) }
}
