import ArgumentParser
import Foundation
import JobQueue
import Messages
import Services
import Synchronization
import Transport

/// `p4q collect --dispatcher`: a group's results, acknowledged when they are written.
struct CollectFromDispatcher {
    let endpoint: Endpoint
    let options: SocketOptions
    let group: String
    let format: Collect.Format
    let count: Int?
    let timeout: Duration?
    let quiet: Bool

    /// Thrown when no dispatcher has answered for as long as was to be waited.
    struct Silence: Error, CustomStringConvertible {
        let endpoint: String
        var description: String {
            "\(endpoint) does not answer: check that a dispatcher runs there, and that it knows this key and has the one of --server-key"
        }
    }

    /// Thrown when the dispatcher has let nobody read the group until the end.
    struct TurnedAway: Error, CustomStringConvertible {
        let group: String
        var description: String {
            "the dispatcher turns group \(group) away: make it (p4q sinks add \(group)), or use a key with the role sink (p4q keys allow)"
        }
    }

    func run(into path: String?, waits: Bool) throws {
        let notices = Notices(isQuiet: quiet)
        let file = try path.map { try ResultFile(path: $0, waits: waits) }
        if let file, file.cut > 0 { notices.warn("\(path ?? ""): a torn last line of \(file.cut) bytes was cut off; it comes again") }
        let context = try ZeroMQContext()
        defer { context.terminate() }
        let name = "collect-\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)"
        let sink = try SinkConnection(to: endpoint, group: group, name: name, in: context, options: options)
        let stopped = Atomic<Bool>(false)
        let signals = StopSignals { stopped.store(true, ordering: .relaxed) }
        defer { signals.cancel() }
        var collection = Collection(format: format, file: file)
        var progress = Progress("collected", total: count, isQuiet: quiet)
        var last = ContinuousClock.now
        var (isOver, isWarned) = (false, false)
        if format == .csv { try StandardOutput.line(JobResult.csvHeader) }
        while collection.tally.total < count ?? .max, !stopped.load(ordering: .relaxed) {
            isOver = timeout.map { ContinuousClock.now - last > $0 } ?? false
            if isOver { break }
            guard let delivery = try sink.next(timeout: .milliseconds(200)) else {
                if sink.refusals == 3, !isWarned {
                    isWarned = true
                    notices.warn("the dispatcher turns group \(group) away: is it there (p4q sinks list), and may this key read it?")
                }
                continue
            }
            last = .now
            for error in delivery.rejected { notices.warn("a result can't be read: \(error)") }
            try sink.acknowledge(delivery, try collection.take(delivery))
            progress.update(collection.tally.total)
        }
        progress.finish(collection.tally.total)
        sink.close()
        try ResultTable.print(collection.rows)
        try StandardOutput.flush()
        notices.note(collection.tally.description + (collection.repeats > 0 ? "; \(collection.repeats) repeats were dropped" : ""))
        if let timeout, isOver { try checkAnswer(of: sink, timeout) }
        if let count, collection.tally.total < count { throw ExitCode(75) }
    }

    /// Nothing may have come because there was nothing, or because nobody was there to give it.
    private func checkAnswer(of sink: SinkConnection, _ timeout: Duration) throws {
        // Dispatchers say something every second.
        guard let heard = sink.lastHeard, ContinuousClock.now - heard < max(timeout, .seconds(5)) else {
            throw Silence(endpoint: endpoint.address)
        }
        if sink.refusals > 0 { throw TurnedAway(group: group) }
    }

    /// What was taken so far, and where it goes.
    private struct Collection {
        let format: Collect.Format
        let file: ResultFile?
        var tally = Tally()
        var rows: [JobResult] = []
        var repeats = 0
        /// What was printed lately, and before that.
        private var printed: (lately: Set<JobResult>, before: Set<JobResult>) = ([], [])
        /// Several deliveries; what a dispatcher gives again is the last one.
        private static let remembered = 1024

        init(format: Collect.Format, file: ResultFile?) {
            self.format = format
            self.file = file
        }

        /// Whether it was not printed lately. A reader that is slower than the dispatcher's patience with this process, which says nothing while
        /// it writes, would get the same results for ever. The whole result counts: another journal at the same address numbers anew.
        private mutating func isNew(_ result: JobResult) -> Bool {
            guard result.place != nil else { return true }
            var key = result
            key.place?.generation = 0
            guard !printed.lately.contains(key), !printed.before.contains(key) else {
                repeats += 1
                return false
            }
            if printed.lately.count >= Self.remembered { printed = ([], printed.lately) }
            printed.lately.insert(key)
            return true
        }

        /// Writes a delivery, and says what of it may be acknowledged.
        mutating func take(_ delivery: SinkConnection.Delivery) throws -> SinkAcknowledgement.Extent {
            let sequences = delivery.results.compactMap { $0.place?.sequence }
            guard let file else {
                for result in delivery.results where isNew(result) { try write(result) }
                try StandardOutput.flush()
                return extent(delivery, sequences)
            }
            // A member that was replaced may still hold deliveries: its file must not get them any more.
            guard delivery.generation >= file.generation || delivery.generation == 0 else { return .failed }
            var lines: [(sequence: UInt64, generation: UInt64, text: String)] = []
            for result in delivery.results {
                guard let place = result.place, !file.sequences.contains(place.sequence) else {
                    repeats += 1
                    continue
                }
                lines.append((place.sequence, place.generation, result.jsonLine()))
                tally.add(result)
            }
            if !lines.isEmpty { try file.append(lines) }
            return extent(delivery, sequences)
        }

        private func extent(_ delivery: SinkConnection.Delivery, _ sequences: [UInt64]) -> SinkAcknowledgement.Extent {
            if delivery.generation > 0, let last = sequences.max() { return .through(last) }
            return .sequences(sequences)
        }

        private mutating func write(_ result: JobResult) throws {
            tally.add(result)
            switch format {
            case .json: try StandardOutput.line(result.jsonLine())
            case .csv: try StandardOutput.line(result.csvRow())
            case .table: rows.append(result)
            }
        }
    }
}
