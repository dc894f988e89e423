import ArgumentParser
import Foundation
import JobQueue
import Logging
import Metrics
import Services
import Synchronization

/// Takes a dispatcher's limits from its configuration file again. A file that can't be used changes nothing and is said so.
final class LimitsReload: Sendable {
    private let reading: CommandLineReading
    private let dispatcher: Dispatcher
    private let logger: Logger
    private let state: Mutex<(queue: QueueConfiguration, arguments: [String: [String]])>
    private let results: [String: Counter]

    private enum Result: String, CaseIterable { case applied, unchanged, refused }

    /// Options that `QueueOptions` turns into the queue's numbers; the others count from the next start on.
    private static let live: Set<String> = [
        "max-jobs", "max-queue-bytes", "max-age", "producer-jobs", "batch-jobs", "batch-wait", "batch-latency", "attempts", "sink-window",
        "keep-outcomes", "remember-days", "remember-ids", "weight",
    ]

    /// - Parameter queue: what the dispatcher goes by now.
    init(
        _ reading: CommandLineReading, dispatcher: Dispatcher, queue: QueueConfiguration, metrics: any MetricsFactory, logger: Logger
    ) async throws {
        self.reading = reading
        self.dispatcher = dispatcher
        self.logger = logger
        state = Mutex((queue, try await Self.settings(reading)))
        results = Dictionary(
            uniqueKeysWithValues: Result.allCases.map {
                ($0.rawValue, Counter(label: "p4q_config_reloads_total", dimensions: [("result", $0.rawValue)], factory: metrics))
            })
    }

    /// Reads everything again as at the start, and applies what may change while it runs.
    func reload(_ cause: ConfigurationWatcher.Cause) async {
        do {
            guard let command = try await reading.command() as? Dispatch else { return }
            let new = try command.limits.configuration(file: try command.configurationOptions.limits())
            let settings = try await Self.settings(reading)
            let (old, before) = state.withLock { state in
                defer { state = (new, settings) }
                return state
            }
            let later = Set(settings.keys).union(before.keys).filter { settings[$0] != before[$0] && !Self.live.contains($0) }.sorted()
            if !later.isEmpty {
                logger.warning("changed options count from the next start on", metadata: ["options": "\(later.joined(separator: ", "))"])
            }
            let changes = Self.changes(from: old, to: new)
            if changes.isEmpty { return note(.unchanged) }
            dispatcher.reconfigure(new)
            note(.applied)
            logger.notice(
                "administration",
                metadata: [
                    "audit.who": "\(cause.rawValue)", "audit.call": "limits", "config.file": "\(reading.configurationPath ?? "none")",
                    "limits.changes": "\(changes.joined(separator: "; "))",
                ])
        } catch {
            note(.refused)
            let reason = CommandFailure.isExplained(error) ? "\(error)" : P4Q.message(for: error)
            logger.error(
                "the configuration can't be used; the limits before stay",
                metadata: ["config.file": "\(reading.configurationPath ?? "none")", "error": "\(reason)"])
        }
    }

    private func note(_ result: Result) { results[result.rawValue]?.increment() }

    /// What each option is set to.
    private static func settings(_ reading: CommandLineReading) async throws -> [String: [String]] {
        guard let sources = try await reading.sources(CommandCatalog(help: P4Q._dumpHelp())) else { return [:] }
        return Dictionary(
            uniqueKeysWithValues: sources.options.compactMap { option in sources.setting(option).map { (option.name, $0.values) } })
    }

    /// What is another number now, for the audit line.
    private static func changes(from old: QueueConfiguration, to new: QueueConfiguration) -> [String] {
        let (before, after) = (old.figures, new.figures)
        return Set(before.keys).union(after.keys).sorted().compactMap { name in
            before[name] == after[name] ? nil : "\(name) \(before[name] ?? "none") -> \(after[name] ?? "none")"
        }
    }
}

extension QueueConfiguration {
    /// Its numbers by name, for people.
    fileprivate var figures: [String: String] {
        var figures: [String: String] = [
            "attempts": "\(attempts)", "sink_window": "\(sinkWindow)", "keep_outcomes": "\(keepOutcomes)", "remember_ids": "\(rememberIDs)",
            "remembered_ids": "\(rememberedIDs)", "batch.jobs": "\(standardBatching.jobs)", "batch.wait": "\(standardBatching.wait)",
        ]
        figures["batch.latency"] = standardBatching.latencyTarget.map { "\($0)" }
        func add(_ name: String, _ limits: Limits) {
            if limits.jobs != .max { figures["\(name).jobs"] = "\(limits.jobs)" }
            if limits.bytes != .max { figures["\(name).bytes"] = "\(limits.bytes)" }
            figures["\(name).age"] = limits.age.map { "\($0)" }
        }
        add("total", total)
        add("service", service)
        add("producer", producer)
        for (name, limits) in services { add("services.\(name)", limits) }
        for (name, limits) in producers { add("producers.\(name)", limits) }
        for (name, weight) in weights { figures["producers.\(name).weight"] = "\(weight)" }
        return figures
    }
}
