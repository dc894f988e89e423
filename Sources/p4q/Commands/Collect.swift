import ArgumentParser
import Foundation
import Messages
import Transport

/// `p4q collect`: results out of a queue.
struct Collect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Pull results from a worker's endpoint and print them.",
        discussion: """
            Ends after --count results, when none comes for --timeout seconds, or on SIGTERM or SIGINT.

            With --dispatcher, results are those of a group, and are acknowledged when they are written. With --out as well, they are \
            written durably and exactly once: the file is locked, a torn last line is cut off, repeats are dropped by their sequence number. \
            Where --timeout ends it and no dispatcher has answered, the exit code is 69; 77 where the dispatcher has turned the group away.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case json, csv, table }

    @OptionGroup var dispatcherOptions: DispatcherOptions

    @Option(name: .long, help: "With --dispatcher: the group to be a member of (p4q sinks add).")
    var group = "default"

    @Option(name: .long, help: "With --dispatcher: the file that JSON lines are added to, durably, each result once.", completion: .file())
    var out: String?

    @Flag(name: .long, help: "With --out: wait for another process that writes the file, and take over when it ends.")
    var standby = false

    @Option(name: .long, help: "Where results are pulled from; may be repeated.")
    var from: [String] = [">tcp://127.0.0.1:5558"]

    @Option(name: .long, help: "End after this many results.")
    var count: Int?

    @Option(name: .long, help: "End when no result has come for this many seconds.")
    var timeout: Double?

    @Option(name: .long, help: "JSON lines, CSV, or a table at the end.")
    var format: Format = .json

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be at least 1") }
        if out != nil && (dispatcherOptions.dispatcher == nil || format != .json) {
            throw ValidationError("--out goes with --dispatcher, and holds JSON lines")
        }
        if let timeout, timeout <= 0 { throw ValidationError("--timeout must be positive") }
    }

    func run() async throws {
        if let endpoint = try dispatcherOptions.endpoint() {
            let collector = CollectFromDispatcher(
                endpoint: endpoint, options: try dispatcherOptions.socketOptions(), group: group, format: format, count: count,
                timeout: timeout.map { .seconds($0) }, quiet: quiet)
            return try collector.run(into: out, waits: standby)
        }
        let receiver = try Receiver(at: endpoints(from, mode: .connect), in: ZeroMQContext()) { error in
            Notices(isQuiet: false).warn("a message was refused: \(error)")
        }
        let signals = StopSignals { receiver.stop(draining: .seconds(1)) }
        defer { signals.cancel() }
        let tally = try collect(receiver)
        receiver.stop(draining: .zero)
        receiver.join()
        Notices(isQuiet: quiet).note(tally.description)
        if let count, tally.total < count { throw ExitCode(75) }
    }

    private func collect(_ receiver: Receiver) throws -> Tally {
        var tally = Tally()
        var rows: [JobResult] = []
        var progress = Progress("collected", total: count, isQuiet: quiet)
        if format == .csv { try StandardOutput.line(JobResult.csvHeader) }
        while tally.total < count ?? .max {
            // Lines that wait in memory are written before waiting for more.
            if receiver.queue.count == 0 { try StandardOutput.flush() }
            guard let message = receiver.queue.waitTake(timeout: timeout.map { .seconds($0) }) else { break }
            for result in results(of: message) {
                tally.add(result)
                switch format {
                case .json: try StandardOutput.line(result.jsonLine())
                case .csv: try StandardOutput.line(result.csvRow())
                case .table: rows.append(result)
                }
            }
            progress.update(tally.total)
        }
        progress.finish(tally.total)
        try ResultTable.print(rows)
        try StandardOutput.flush()
        return tally
    }

    private func results(of message: Incoming) -> [JobResult] {
        let notices = Notices(isQuiet: false)
        do throws(MessageError) {
            guard let envelope = message.frames.first else { return [] }
            let batch = try ReceivedResultBatch(envelope: envelope.bytes)
            for error in batch.rejected { notices.warn("a result can't be read: \(error)") }
            return batch.results
        } catch {
            notices.warn("a message is not a batch of results: \(error)")
            return []
        }
    }
}

/// What came, counted; with labels in the metadata, how many were right.
struct Tally: CustomStringConvertible {
    private(set) var total = 0
    private var failed = 0
    private var labelled = 0
    private var right = 0

    mutating func add(_ result: JobResult) {
        total += 1
        if case .failed = result.outcome { failed += 1 }
        guard case .scored(let predictions, _) = result.outcome else { return }
        guard let label = result.metadata["label"] else { return }
        labelled += 1
        if predictions.first?.label == label { right += 1 }
    }

    var description: String {
        var text = "\(total) results"
        if failed > 0 { text += ", \(failed) of them failures" }
        if labelled > 0 {
            let percent = rounded(Double(right) / Double(labelled) * 100)
            text += "; \(right) of \(labelled) labelled images right (\(percent) %)"
        }
        return text
    }
}
