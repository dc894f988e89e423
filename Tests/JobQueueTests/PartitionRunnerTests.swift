import Foundation
import JobQueue
import Synchronization
import Testing

/// A producer, a worker and a sink around a runner, in one process.
private final class Loop: Sendable {
    struct State {
        var accepted: Set<UInt64> = []
        var outcomes: [UInt64: String] = [:]
        var payloads: [UInt64: [UInt8]] = [:]
        var retried: Set<UInt64> = []
    }

    let state = Mutex(State())
    let runner = Mutex<PartitionRunner?>(nil)

    func open(
        _ store: any JobStore, worker: Bool = true, configuration base: QueueConfiguration = QueueConfiguration(),
        clock: @escaping @Sendable () -> Moment = PartitionRunner.systemClock()
    ) async throws -> PartitionRunner {
        var configuration = base
        configuration.standardBatching.wait = .milliseconds(1)
        configuration.retryBase = .milliseconds(20)
        // These peers answer and never beat: on a busy machine a second may pass without an answer.
        configuration.heartbeat = .seconds(60)
        let opened = try await PartitionRunner.open(store: store, configuration: configuration, clock: clock) { [weak self] in
            self?.receive($0)
        }
        runner.withLock { $0 = opened }
        if worker { opened.post(.ready(WorkerReady(session: SessionID(1), identity: "w", worker: "w", service: "classify", credit: 2))) }
        opened.post(.sinkReady(SinkReady(session: SessionID(2), identity: "s", group: "default")))
        return opened
    }

    func submit(_ numbers: Range<Int>, to runner: PartitionRunner) {
        let jobs = numbers.map { number in
            Submission(
                id: "\(number)", key: JobKey(producer: "p", service: "classify", id: "\(number)"),
                digest: JobDigest(high: UInt64(number), low: 0), payload: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1500)
            )
        }
        runner.post(
            .submit(
                SubmissionBatch(
                    request: RequestID(UInt64(numbers.lowerBound)), producer: "p", service: "classify", jobs: jobs,
                    lookedUp: runner.now.uptime)))
    }

    private func receive(_ outgoing: [PartitionRunner.Outgoing]) {
        guard let runner = runner.withLock({ $0 }) else { return }
        for item in outgoing {
            switch item {
            case .action(.verdicts(_, let verdicts)):
                for case .accepted(let job) in verdicts { _ = state.withLock { $0.accepted.insert(job.rawValue) } }
            case .jobs(let batch, let contents):
                var answers: [WorkerAnswer] = []
                for (grant, content) in zip(batch.grants, contents) {
                    guard case .intact(let job, _, let payload) = content else { continue }
                    // Every tenth fails once.
                    let fails = state.withLock { state in
                        state.payloads[job.rawValue] = payload
                        return job.rawValue % 10 == 0 && state.retried.insert(job.rawValue).inserted
                    }
                    answers.append(WorkerAnswer(lease: grant.lease, verdict: fails ? .retry : .scored, body: [1]))
                }
                runner.post(.answer(batch.session, identity: "w", answers))
            case .outcomes(let delivery, let outcomes):
                state.withLock { state in for outcome in outcomes { state.outcomes[outcome.job.rawValue] = outcome.id } }
                runner.post(.acknowledge(delivery.session, .list(delivery.items.map(\.sequence))))
            case .action: break
            }
        }
    }
}

@Suite struct PartitionRunnerTests {
    @Test(arguments: StoreMaker.all)
    func `jobs go through from submission to acknowledgement, with their bytes`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let loop = Loop()
        let runner = try await loop.open(store)
        let running = Task { try await runner.run() }
        for first in stride(from: 0, to: 300, by: 50) { loop.submit(first..<first + 50, to: runner) }
        try await eventually { loop.state.withLock { $0.outcomes.count } == 300 }
        loop.state.withLock { state in
            #expect(state.accepted == Set(1...300) && state.outcomes.allSatisfy { $0.value == "\($0.key - 1)" })
            #expect(state.payloads.allSatisfy { $0.value == [UInt8](repeating: UInt8(truncatingIfNeeded: $0.key - 1), count: 1500) })
        }
        try await eventually { runner.read { $0.figures(now: runner.now).groups[0].cursor } == Sequence(300) }
        runner.finish()
        try await running.value
        try await store.close()
    }

    @Test func `what fails beside the commits ends the run, though nothing is to be committed`() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore(folder: folder.journal)
        let loop = Loop()
        var configuration = QueueConfiguration()
        configuration.rememberCheck = .milliseconds(50)
        let runner = try await loop.open(store, configuration: configuration)
        let ended = Mutex<(any Error)?>(nil)
        let running = Task {
            do { try await runner.run() } catch { ended.withLock { $0 = error } }
        }
        loop.submit(0..<10, to: runner)
        try await eventually { loop.state.withLock { $0.outcomes.count } == 10 }
        try await eventually { runner.read { $0.figures(now: runner.now).groups[0].cursor } == Sequence(10) }
        #expect(await runner.barrier())
        try await store.close()
        try await eventually { ended.withLock { $0 as? JobQueueError } == .closed }
        await running.value
        // Nothing that is decided from here on will ever be durable.
        loop.submit(10..<20, to: runner)
        #expect(await runner.barrier() == false)
    }

    @Test(arguments: StoreMaker.all)
    func `behind a barrier everything decided before it was committed and sent`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        let store = try maker.make(folder.journal)
        let loop = Loop()
        let runner = try await loop.open(store, worker: false)
        let running = Task { try await runner.run() }
        for first in stride(from: 0, to: 500, by: 10) {
            loop.submit(first..<first + 10, to: runner)
            #expect(await runner.barrier())
            #expect(loop.state.withLock { $0.accepted.count } == first + 10)
        }
        runner.finish()
        try await running.value
        try await store.close()
    }

    @Test(arguments: StoreMaker.all)
    func `ids count for the days that are wanted, and the window's length is known`(maker: StoreMaker) async throws {
        let folder = try TemporaryFolder()
        // The store dates tombstones by its own clock: the runner's is ahead of it by `days`.
        let days = Mutex<Int64>(0)
        let system = PartitionRunner.systemClock()
        let clock: @Sendable () -> Moment = {
            let now = system()
            return Moment(uptime: now.uptime, wall: WallTime(milliseconds: now.wall.milliseconds + days.withLock { $0 } * 86_400_000))
        }
        var configuration = QueueConfiguration()
        configuration.keepOutcomes = .zero
        configuration.rememberCheck = .milliseconds(50)
        let store = try maker.make(folder.journal)
        let loop = Loop()
        let runner = try await loop.open(store, configuration: configuration, clock: clock)
        let running = Task { try await runner.run() }
        #expect(runner.deduplicationWindow == .zero)
        loop.submit(0..<40, to: runner)
        try await eventually { runner.read { $0.figures(now: runner.now).jobsInMemory } == 0 && runner.deduplicationWindow > .zero }
        let key = JobKey(producer: "p", service: "classify", id: "7")
        #expect(try await runner.tombstones(of: [key]) != [nil])
        days.withLock { $0 = 6 }
        try await eventually { runner.deduplicationWindow >= .seconds(6 * 86_400) }
        #expect(try await runner.tombstones(of: [key]) != [nil])
        days.withLock { $0 = 9 }
        try await eventually { runner.deduplicationWindow == .zero }
        #expect(try await runner.tombstones(of: [key]) == [nil])
        runner.finish()
        try await running.value
        try await store.close()
    }

    @Test func `after a kill nothing that was accepted is lost`() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore(folder: folder.journal)
        let loop = Loop()
        let runner = try await loop.open(store, worker: false)
        let running = Task { try await runner.run() }
        for first in stride(from: 0, to: 1000, by: 20) { loop.submit(first..<first + 20, to: runner) }
        try await eventually { loop.state.withLock { $0.accepted.count } > 300 }
        let accepted = loop.state.withLock { $0.accepted }
        try copyLive(folder.journal, to: folder.path + "/killed")
        runner.finish()
        try await running.value
        try await store.close()

        let second = try SQLiteStore(folder: folder.path + "/killed")
        let after = Loop()
        let restarted = try await after.open(second)
        let rerunning = Task { try await restarted.run() }
        try await eventually { accepted.isSubset(of: after.state.withLock { Set($0.outcomes.keys) }) }
        restarted.finish()
        try await rerunning.value
        try await second.close()
    }

    /// What a kill would leave: in an order in which nothing copied later is needed by what was copied before.
    private func copyLive(_ journal: String, to target: String) throws {
        let files = FileManager.default
        try files.createDirectory(atPath: target + "/spool", withIntermediateDirectories: true)
        let payloads = { try files.contentsOfDirectory(atPath: journal).filter { $0.hasPrefix("payload-") } }
        for name in ["highwater", "journal.sqlite", "journal.sqlite-wal"] + (try payloads()) {
            try files.copyItem(atPath: "\(journal)/\(name)", toPath: "\(target)/\(name)")
        }
    }

    /// Waits for `condition`, at most half a minute.
    private func eventually(_ condition: () -> Bool) async throws {
        for _ in 0..<3000 {
            if condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("it didn't happen in time")
    }
}
