import ArgumentParser
import Foundation
import JobQueue
import Synchronization

/// `p4q bench journal`: jobs through the queue and its journal, without sockets.
struct BenchJournal: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal", abstract: "Jobs a second accepted, leased, completed and acknowledged in the journal, without sockets.")

    @Option(
        name: .long, help: "The folder to put the journal in; a temporary one in the current folder if left out.", completion: .directory)
    var folder: String?

    @Option(name: .long, help: "Bytes of a job's payload.")
    var payloadBytes = 100

    @Option(name: .long, help: "Bytes of a job's envelope.")
    var envelopeBytes = 100

    @Option(name: .long, help: "Bytes of a result.")
    var resultBytes = 200

    @Option(name: .long, help: "Jobs in a request, and in a batch for a worker.")
    var batch = 64

    @Option(name: .long, help: "Jobs that are open at a time.")
    var open = 8192

    @Option(name: .long, help: "How long to measure.")
    var seconds = 10.0

    @Option(name: .long, help: "Instead: fill the journal with this many open jobs, then measure a restart.")
    var restartJobs: Int?

    @Flag(name: .long, help: "Measure a journal in memory.")
    var memory = false

    @Flag(name: .long, help: "Print a JSON object.")
    var json = false

    func validate() throws {
        if batch < 1 || open < batch || seconds <= 0 || payloadBytes < 0 || envelopeBytes < 0 || resultBytes < 0 || restartJobs ?? 1 < 1 {
            throw ValidationError("--batch and --seconds must be positive, --open at least --batch, sizes not negative")
        }
    }

    func run() async throws {
        let path = folder ?? "p4q-bench-journal-\(ProcessInfo.processInfo.processIdentifier)"
        defer { if folder == nil { try? FileManager.default.removeItem(atPath: path) } }
        if let restartJobs { return try await measureRestart(path, restartJobs) }
        let store: any JobStore = memory ? MemoryStore() : try SQLiteStore(folder: path)
        let loop = try await JournalLoop(store: store, bench: self)
        async let running: Void = loop.run()
        try await Task.sleep(for: .seconds(min(1, seconds / 4)))
        let (before, start, processor) = (await store.figures(), ContinuousClock.now, BenchPipeline.processorSeconds())
        let jobsBefore = loop.acknowledged
        try await Task.sleep(for: .seconds(seconds))
        let (after, elapsed) = (await store.figures(), BenchPipeline.seconds(ContinuousClock.now - start))
        let jobs = Double(loop.acknowledged - jobsBefore)
        let busy = BenchPipeline.processorSeconds() - processor
        loop.finish()
        try await running
        try await store.close()
        try printReport(
            [
                ("jobs_per_second", rounded(jobs / elapsed)), ("jobs", Int(jobs)),
                ("megabytes_per_second", rounded(jobs * Double(payloadBytes) / elapsed / 1e6)), ("payload_bytes", payloadBytes),
                ("envelope_bytes", envelopeBytes), ("result_bytes", resultBytes), ("jobs_per_request", batch),
                ("rows_per_job", rounded(Double(after.rows - before.rows) / max(jobs, 1), 3)),
                ("syncs_per_job", rounded(Double(after.syncs - before.syncs) / max(jobs, 1), 5)),
                ("commits_per_second", rounded(Double(after.commits - before.commits) / elapsed)),
                ("core_microseconds_per_job", rounded(busy / max(jobs, 1) * 1e6)), ("processor", processorName()),
            ], json: json)
    }

    /// Memory of this process.
    private static func residentBytes() -> Int {
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ").dropFirst().first
        return (pages.flatMap { Int($0) } ?? 0) * sysconf(Int32(_SC_PAGESIZE))
    }

    /// Fills a journal, ends without closing it, and opens it again.
    private func measureRestart(_ path: String, _ count: Int) async throws {
        do {
            let store = try SQLiteStore(folder: path)
            let loop = try await JournalLoop(store: store, bench: self, hasWorker: false, limit: count)
            async let running: Void = loop.run()
            while loop.accepted < count { try await Task.sleep(for: .milliseconds(50)) }
            loop.finish()
            try await running
        }
        let (before, start) = (Self.residentBytes(), ContinuousClock.now)
        let store = try SQLiteStore(folder: path)
        let runner = try await PartitionRunner.open(store: store, configuration: JournalLoop.configuration) { _ in }
        let elapsed = BenchPipeline.seconds(ContinuousClock.now - start)
        let grown = max(0, Self.residentBytes() - before)
        let open = runner.read { $0.openJobCount }
        try await store.close()
        try printReport(
            [
                ("open_jobs", open), ("seconds_until_ready", rounded(elapsed, 3)),
                ("resident_bytes_per_job", rounded(Double(grown) / Double(max(open, 1)))),
                ("journal_bytes_per_job", rounded(Double(await store.figures().databaseBytes) / Double(max(open, 1)))),
                ("processor", processorName()),
            ], json: json)
    }
}

/// A producer, a worker and a sink in one process, as fast as the queue lets them.
private final class JournalLoop: Sendable {
    private let runner = Mutex<PartitionRunner?>(nil)
    private let bench: BenchJournal
    private let limit: Int
    private let progress = Mutex((sent: 0, accepted: 0, acknowledged: 0))
    private let body: [UInt8]

    static let configuration: QueueConfiguration = {
        var configuration = QueueConfiguration()
        configuration.standardBatching.wait = .zero
        configuration.sinkWindow = 4096
        configuration.keptOutcomes = 20_000
        configuration.total = .init(jobs: 4_000_000, bytes: 1 << 40)
        configuration.service = configuration.total
        return configuration
    }()

    init(store: any JobStore, bench: BenchJournal, hasWorker: Bool = true, limit: Int = .max) async throws {
        self.bench = bench
        self.limit = limit
        body = [UInt8](repeating: 7, count: bench.resultBytes)
        let opened = try await PartitionRunner.open(store: store, configuration: Self.configuration) { [weak self] in self?.receive($0) }
        runner.withLock { $0 = opened }
        guard hasWorker else { return }
        for session in UInt64(1)...4 {
            opened.post(
                .ready(
                    WorkerReady(
                        session: SessionID(session), identity: "bench", worker: "w\(session)", service: "classify", credit: 4,
                        batchJobs: bench.batch, announcesHeartbeats: false)))
        }
        opened.post(
            .sinkReady(
                SinkReady(session: SessionID(9), identity: "bench", group: "default", credit: 4, announcesHeartbeats: false)))
    }

    var accepted: Int { progress.withLock { $0.accepted } }
    var acknowledged: Int { progress.withLock { $0.acknowledged } }

    func run() async throws {
        guard let runner = runner.withLock({ $0 }) else { return }
        submit()
        try await runner.run()
    }

    func finish() { runner.withLock { $0 }?.finish() }

    /// Keeps `--open` jobs open.
    private func submit() {
        guard let runner = runner.withLock({ $0 }) else { return }
        while true {
            let first = progress.withLock { progress -> Int? in
                let done = limit == .max ? progress.acknowledged : progress.accepted
                guard progress.sent - done + bench.batch <= bench.open, progress.sent < limit else { return nil }
                progress.sent += bench.batch
                return progress.sent - bench.batch
            }
            guard let first else { return }
            let jobs = (first..<min(first + bench.batch, limit)).map { number in
                let id = "job-\(number)"
                return Submission(
                    id: id, key: JobKey(producer: "bench", service: "classify", id: id), digest: JobDigest(high: UInt64(number), low: 0),
                    envelope: [UInt8](repeating: 1, count: bench.envelopeBytes),
                    payload: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: bench.payloadBytes))
            }
            let batch = SubmissionBatch(
                request: RequestID(UInt64(first)), producer: "bench", service: "classify", jobs: jobs, lookedUp: runner.now.uptime)
            for case .verdicts in runner.post(.submit(batch)) {
                progress.withLock { $0.sent -= jobs.count }
                return
            }
        }
    }

    private func receive(_ outgoing: [PartitionRunner.Outgoing]) {
        guard let runner = runner.withLock({ $0 }) else { return }
        for item in outgoing {
            switch item {
            case .jobs(let batch, _):
                let answers = batch.grants.map { WorkerAnswer(lease: $0.lease, verdict: .scored, body: body) }
                runner.post(.answer(batch.session, identity: "bench", answers))
            case .outcomes(let delivery, let outcomes):
                runner.post(.acknowledge(delivery.session, .list(delivery.items.map(\.sequence))))
                progress.withLock { $0.acknowledged += outcomes.count }
            case .action(.verdicts(_, let verdicts)): progress.withLock { $0.accepted += verdicts.count }
            case .action: break
            }
        }
        submit()
    }
}
