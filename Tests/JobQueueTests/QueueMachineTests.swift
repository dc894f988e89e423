import JobQueue
import Testing

@Suite struct SubmissionTests {
    @Test func `the same job again is a duplicate with its state, another under its id a conflict`() {
        var bench = MachineBench()
        let key = JobKey(producer: "p", service: "classify", id: "a")
        let job = Submission(id: "a", key: key, digest: JobDigest(high: 1, low: 1))
        var other = job
        other.digest = JobDigest(high: 1, low: 2)
        #expect(bench.submit([job]).verdicts == [.accepted(JobNumber(1))])
        #expect(bench.submit([job, other]).verdicts == [.duplicate(.ready(JobNumber(1))), .conflict])
        let batch = bench.worker(1).leased[0]
        #expect(bench.submit([job]).verdicts == [.duplicate(.leased(JobNumber(1), attempts: 0))])
        bench.answer(batch)
        #expect(bench.submit([job]).verdicts == [.duplicate(.finished(JobNumber(1), sequence: Sequence(1), outcome: .scored))])
        #expect(bench.machine.status(of: key) == .finished(JobNumber(1), sequence: Sequence(1), outcome: .scored))
    }

    @Test func `a forgotten job is known by its tombstone, and by the machine until lookups are over`() {
        var configuration = MachineBench.plain
        configuration.keepOutcomes = .seconds(5)
        var bench = MachineBench(configuration)
        bench.post(.removeGroup(RequestID(1), "default"))
        var job = Submission(id: "a", key: JobKey(producer: "p", service: "classify", id: "a"), digest: JobDigest(high: 1, low: 1))
        _ = bench.submit([job])
        bench.answer(bench.worker(1).leased[0])
        bench.sink(2)
        bench.post(.acknowledge(SessionID(2), .list([Sequence(1)])))
        bench.pass(.seconds(8))
        let stone = Tombstone(digest: job.digest, sequence: Sequence(1), outcome: .scored)
        #expect(bench.batches.flatMap(\.forgotten).map(\.tombstone) == [stone])
        #expect(bench.submit([job]).verdicts == [.duplicate(.forgotten(stone))])
        bench.pass(.seconds(30))
        job.tombstone = stone
        #expect(bench.submit([job]).verdicts == [.duplicate(.forgotten(stone))])
        job.digest = JobDigest(high: 3, low: 3)
        #expect(bench.submit([job]).verdicts == [.conflict])
    }

    @Test func `limits of services, producers and the whole answer busy, with a time, and change while it runs`() {
        var configuration = MachineBench.plain
        configuration.services["classify"] = .init(jobs: 3, bytes: 1000)
        configuration.producers["small"] = .init(jobs: 1)
        configuration.total.bytes = 5000
        var bench = MachineBench(configuration)
        func reasons(_ verdicts: [SubmissionVerdict]) -> [BusyReason] {
            verdicts.compactMap { if case .busy(let reason, let after) = $0, after > .zero { reason } else { nil } }
        }
        #expect(reasons(bench.submit(2, producer: "small").verdicts) == [.producerJobs])
        #expect(reasons(bench.submit(3).verdicts) == [.serviceJobs])
        configuration.services["classify"]?.jobs = 100
        bench.post(.configure(configuration))
        #expect(reasons(bench.submit(1, bytes: 980).verdicts) == [.serviceBytes])
        #expect(reasons(bench.submit(1, service: "train", bytes: 6000).verdicts) == [.totalBytes])
        #expect(reasons(bench.submit(1).verdicts) == [])
        bench.post(.disk(isLow: true))
        #expect(reasons(bench.submit(1).verdicts) == [.diskLow])
        bench.post(.disk(isLow: false))
        bench.post(.setMode(RequestID(1), service: "classify", .draining))
        #expect(reasons(bench.submit(1).verdicts) == [.draining])
        bench.post(.stop)
        #expect(reasons(bench.submit(1, service: "train").verdicts) == [.stopping])
    }

    @Test func `a lookup that is too old is no proof that a job is new`() {
        var bench = MachineBench()
        let job = Submission(id: "a", key: JobKey(high: 1, low: 1), digest: JobDigest(high: 1, low: 1))
        let old = bench.now.uptime
        bench.pass(.seconds(11))
        let actions = bench.post(
            .submit(SubmissionBatch(request: RequestID(1), producer: "p", service: "s", jobs: [job], lookedUp: old)))
        guard case .verdicts(_, let verdicts) = actions[0], case .busy(.staleLookup, _) = verdicts[0] else {
            Issue.record("\(actions)")
            return
        }
    }

    @Test func `deadlines and age end jobs before a worker's time is spent`() {
        var configuration = MachineBench.plain
        configuration.services["old"] = .init(age: .seconds(3))
        var bench = MachineBench(configuration)
        bench.submit(1) { $0.deadline = Uptime(milliseconds: 1_002_000) }
        bench.submit(2, service: "old")
        bench.pass(.seconds(4))
        let finished = bench.batches.flatMap(\.finished)
        #expect(finished.map(\.kind) == [.dead(.expired), .dead(.expired), .dead(.expired)])
        #expect(finished.map(\.sequence.rawValue) == [1, 2, 3] && bench.machine.openJobCount == 0)
        bench.submit(1) { $0.deadline = Uptime(milliseconds: 1_000_000) }
        #expect(bench.worker(1).leased.isEmpty && bench.machine.openJobCount == 0)
    }

    @Test func `a job for later waits for its moment`() {
        var bench = MachineBench()
        bench.worker(1)
        let time = Uptime(milliseconds: bench.uptime + 2000)
        #expect(bench.submit(1) { $0.notBefore = time }.actions.leased.isEmpty)
        bench.post(.heartbeat(SessionID(1), []))
        #expect(bench.pass(.seconds(1.9)).leased.isEmpty)
        bench.post(.heartbeat(SessionID(1), []))
        #expect(bench.pass(.milliseconds(200)).leased.count == 1)
    }

    @Test func `a wall clock that is put back lengthens no wait beyond what was asked for`() throws {
        let wall: Int64 = 1_700_000_000_000
        func recovered(notBefore: Int64?, deadline: Int64?) -> RecoveredJob {
            RecoveredJob(
                number: JobNumber(1), key: JobKey(high: 1, low: 1), digest: JobDigest(high: 1, low: 1), producer: 0, service: 1,
                priority: .standard, accepted: WallTime(milliseconds: wall), deadline: deadline.map { WallTime(milliseconds: wall + $0) },
                notBefore: notBefore.map { WallTime(milliseconds: wall + $0) }, attempts: 0, crashes: 0, isSuspect: false, bytes: 10)
        }
        func restarted(_ job: RecoveredJob) throws -> MachineBench {
            var bench = MachineBench()
            bench.wall = wall - 7_200_000
            let partition = RecoveredPartition(
                partition: PartitionID(), epoch: Epoch(2), secret: LeaseSecret(high: 1, low: 2), lastJob: JobNumber(1),
                lastSequence: Sequence(0), names: [.init(number: 0, name: "p"), .init(number: 1, name: "classify")], groups: [], modes: [],
                wasClean: false)
            bench.machine = QueueMachine(partition, configuration: MachineBench.plain, seed: 1, now: bench.now)
            try bench.machine.restore([job], now: bench.now)
            bench.machine.start(now: bench.now)
            return bench
        }
        var waiting = try restarted(recovered(notBefore: 8000, deadline: nil))
        #expect(waiting.worker(1).leased.isEmpty && waiting.pass(.seconds(7), heard: 1).leased.isEmpty)
        #expect(waiting.pass(.seconds(2), heard: 1).leased.count == 1)
        var limited = try restarted(recovered(notBefore: nil, deadline: 8000))
        limited.pass(.seconds(9))
        #expect(limited.batches.flatMap(\.finished).map(\.kind) == [.dead(.expired)])
    }

    @Test func `cancelling and purging are outcomes`() {
        var bench = MachineBench()
        let key = JobKey(producer: "p", service: "classify", id: "job-0")
        bench.submit(5)
        #expect(bench.post(.cancel(RequestID(1), key)).answers == [.done])
        #expect(bench.post(.cancel(RequestID(1), key)).answers == [.finished])
        #expect(bench.post(.cancel(RequestID(1), JobKey(high: 0, low: 0))).answers == [.unknown])
        let batch = bench.worker(1, jobs: 1).leased[0]
        #expect(bench.post(.purge(RequestID(2), service: "classify")).answers == [.purged(3)])
        #expect(bench.answer(batch).receipts == [.stored])
        #expect(
            bench.batches.flatMap(\.finished).map(\.kind) == [.dead(.cancelled)] + Array(repeating: .dead(.purged), count: 3) + [.scored])
    }
}

@Suite struct LeasingTests {
    @Test func `higher priorities go first, and producers share by weight`() {
        var configuration = MachineBench.plain
        configuration.weights = ["camera": 3]
        var bench = MachineBench(configuration)
        bench.submit(40, producer: "bulk")
        bench.submit(40, producer: "camera")
        bench.submit(2, producer: "bulk") { $0.priority = Priority(9) }
        let batch = bench.worker(1, jobs: 18).leased[0]
        let numbers = batch.grants.map(\.job.rawValue)
        #expect(numbers.prefix(2) == [81, 82])
        #expect(numbers.dropFirst(2).filter { $0 > 40 }.count == 12 && numbers.dropFirst(2).filter { $0 <= 40 }.count == 4)
    }

    @Test func `batches go out when they are full or have waited, and keep to sizes and credit`() {
        var configuration = QueueConfiguration()
        configuration.standardBatching = .init(jobs: 4, wait: .milliseconds(500))
        var bench = MachineBench(configuration)
        bench.worker(1, credit: 2, jobs: 8, bytes: 100)
        #expect(bench.submit(3).actions.leased.isEmpty)
        #expect(bench.submit(1).actions.leased.map(\.grants.count) == [4])
        #expect(bench.submit(1).actions.leased.isEmpty)
        #expect(bench.pass(.milliseconds(500)).leased.map(\.grants.count) == [1])
        #expect(bench.submit(9).actions.leased.isEmpty)
        var small = MachineBench()
        small.submit(4, bytes: 45)
        small.submit(1, bytes: 500)
        #expect(small.worker(1, credit: 9, bytes: 100).leased.map(\.grants.count) == [2, 2, 1])
    }

    @Test func `batches grow to what a worker does in the wanted time`() {
        var configuration = MachineBench.plain
        configuration.standardBatching.latencyTarget = .seconds(2)
        var bench = MachineBench(configuration)
        bench.submit(400)
        var batch = bench.worker(1, jobs: 200, heartbeats: false).leased[0]
        #expect(batch.grants.count == 8)
        for _ in 0..<2 {
            bench.uptime += Int64(batch.grants.count) * 20
            guard let next = bench.answer(batch).leased.first else { break }
            batch = next
        }
        #expect(batch.grants.count == 100)
    }

    @Test func `the first valid outcome wins, whoever's it is`() {
        var configuration = MachineBench.plain
        configuration.retryBase = .seconds(1)
        var bench = MachineBench(configuration)
        bench.submit(1)
        let first = bench.worker(1, heartbeats: false).leased[0]
        bench.pass(.seconds(11))
        let second = (bench.worker(2).leased + bench.pass(.seconds(2)).leased)[0]
        #expect(second.grants[0].job == first.grants[0].job && second.grants[0].attempt == 2 && second.isAlone)
        #expect(bench.answer(first).receipts == [.stored])
        #expect(bench.answer(second).receipts == [.duplicate])
        #expect(bench.batches.flatMap(\.finished).count == 1)
    }

    @Test func `refusals count only with the current lease, and nothing counts with a stranger's`() {
        var bench = MachineBench()
        bench.submit(1)
        let first = bench.worker(1).leased[0]
        bench.post(.ended(SessionID(1), .goodbye))
        let second = bench.worker(2).leased[0]
        #expect(bench.answer(first, .retry).receipts == [.refused])
        #expect(bench.answer(first, .released).receipts == [.refused])
        let forged = WorkerAnswer(lease: second.grants[0].lease, verdict: .scored, body: [])
        #expect(bench.post(.answer(SessionID(9), identity: "thief", [forged])).receipts == [.refused])
        #expect(bench.answer(second).receipts == [.stored])
    }

    @Test func `retries back off, and the fifth failure is the last`() {
        var bench = MachineBench()
        bench.submit(1)
        var batch = bench.worker(1, heartbeats: false).leased[0]
        for attempt in 1...4 {
            #expect(batch.grants[0].attempt == attempt)
            bench.answer(batch, .retry)
            let wait = Double(1 << attempt)
            #expect(bench.pass(.seconds(wait * 0.75), heard: 1).leased.isEmpty)
            guard let next = bench.pass(.seconds(wait * 0.5), heard: 1).leased.first else { return fail("no attempt \(attempt + 1)") }
            batch = next
        }
        bench.answer(batch, .retry)
        #expect(bench.batches.flatMap(\.finished).map(\.kind) == [.dead(.attempts)])
    }

    @Test func `a silent worker is let go after three heartbeats and its jobs cost nothing`() {
        var bench = MachineBench()
        bench.submit(2)
        bench.worker(1)
        let actions = bench.pass(.seconds(4))
        #expect(actions.dismissed == [1])
        #expect(bench.batches.flatMap(\.updated).allSatisfy { $0.attempts == 0 && $0.crashes == 0 })
        #expect(bench.worker(2).leased.flatMap(\.grants).allSatisfy { $0.attempt == 1 })
    }

    @Test func `a worker that is alive and begins nothing loses its lease, at no cost`() {
        var bench = MachineBench()
        bench.submit(1)
        let batch = bench.worker(1).leased[0]
        var leased: [LeasedBatch] = []
        bench.worker(2)
        for _ in 0..<12 {
            bench.start(batch, 0)
            leased += bench.pass(.seconds(1), heard: 2).leased
        }
        #expect(leased.map(\.session) == [SessionID(2)] && leased[0].grants[0].attempt == 1)
    }

    @Test func `jobs of a batch that lost its worker run alone, and only the one that kills is given up`() {
        var configuration = MachineBench.plain
        configuration.retryBase = .milliseconds(100)
        var bench = MachineBench(configuration)
        bench.submit(4)
        let poison = JobNumber(3)
        var session: UInt64 = 1
        var batches = bench.worker(1).leased
        #expect(batches[0].grants.count == 4 && !batches[0].isAlone)
        var deaths = 0
        while let batch = batches.first {
            if batch.grants.contains(where: { $0.job == poison }) {
                bench.start(batch)
                deaths += 1
                bench.post(.ended(batch.session, .disconnected))
                session += 1
                batches = bench.worker(session).leased
            } else {
                #expect(batch.isAlone && batch.grants.count == 1)
                batches = bench.answer(batch).leased
            }
            if batches.isEmpty {
                bench.post(.heartbeat(SessionID(session), []))
                batches = bench.pass(.seconds(1)).leased
            }
            if deaths > 6 { break }
        }
        let kinds = Dictionary(uniqueKeysWithValues: bench.batches.flatMap(\.finished).map { ($0.number.rawValue, $0.kind) })
        #expect(kinds == [1: .scored, 2: .scored, 3: .dead(.crash), 4: .scored] && deaths == 4)
    }

    @Test func `goodbye, eviction, drain and pause cost nothing`() {
        var bench = MachineBench()
        bench.submit(1)
        for (session, end) in [(1, SessionEnd.goodbye), (2, .evicted), (3, .goodbye)] as [(UInt64, SessionEnd)] {
            #expect(bench.worker(session).leased.map { $0.grants[0].attempt } == [1])
            bench.post(.ended(SessionID(session), end))
        }
        bench.post(.setMode(RequestID(1), service: "classify", .paused))
        #expect(bench.worker(4).leased.isEmpty)
        let batch = bench.post(.setMode(RequestID(1), service: "classify", .running)).leased[0]
        #expect(bench.post(.drainWorker(RequestID(2), "w4")).answers == [.done])
        bench.post(.ended(SessionID(4), .disconnected))
        #expect(bench.batches.flatMap(\.updated).isEmpty && batch.grants[0].attempt == 1)
        bench.worker(5)
        #expect(bench.post(.drainWorker(RequestID(3), "w5")).dismissed.isEmpty)
        #expect(bench.post(.answer(SessionID(5), identity: "key", [])).dismissed == [5])
    }

    @Test func `READY twice while busy ends the session and gives its jobs back`() {
        var bench = MachineBench()
        bench.submit(1)
        bench.worker(1)
        #expect(bench.worker(1).dismissed == [1])
        #expect(bench.worker(2).leased.map { $0.grants[0].attempt } == [1])
    }

    @Test func `a damaged job is dead and its batch is not waited for`() {
        var bench = MachineBench()
        bench.submit(2)
        let batch = bench.worker(1, jobs: 1).leased[0]
        let next = bench.post(.corrupt(SessionID(1), [batch.grants[0].lease], isSent: false))
        #expect(bench.batches.flatMap(\.finished).map(\.kind) == [.dead(.corrupt)])
        #expect(next.leased.map { $0.grants[0].job.rawValue } == [2])
    }
}

@Suite struct StandstillTests {
    @Test func `a standstill of the queue's own process accuses no peer and costs no lease`() {
        var bench = MachineBench()
        bench.submit(1)
        let batch = bench.worker(1).leased[0]
        bench.sink(2)
        bench.start(batch)
        bench.uptime += 120_000
        #expect(bench.post(.tick).dismissed == [])
        // What the worker said meanwhile is read now; it has as long as before, and no longer.
        bench.start(batch, 2)
        #expect(bench.answer(batch).leased.isEmpty)
        #expect(bench.batches.flatMap(\.finished).map(\.kind) == [.scored] && bench.batches.flatMap(\.updated).isEmpty)
        // Who says nothing afterwards is gone.
        #expect(bench.pass(.seconds(4)).dismissed.sorted() == [1, 2])
    }

    @Test func `a lease's time goes on after a standstill`() {
        var bench = MachineBench()
        bench.submit(1)
        bench.worker(1)
        bench.uptime += 60_000
        bench.post(.tick)
        bench.pass(.seconds(8), heard: 1)
        #expect(bench.batches.flatMap(\.updated).isEmpty)
        bench.pass(.seconds(3), heard: 1)
        #expect(bench.batches.flatMap(\.updated).map(\.attempts) == [1])
    }

    @Test func `a standstill is not a batch's time, which the next lease would be measured by`() {
        var bench = MachineBench()
        bench.submit(2)
        let batch = bench.worker(1, jobs: 1).leased[0]
        bench.uptime += 60_000
        bench.answer(batch)
        bench.pass(.seconds(11), heard: 1)
        #expect(bench.batches.flatMap(\.updated).map(\.attempts) == [1])
    }

    @Test func `a worker that came back on another connection after a standstill accuses no job of its death`() {
        var bench = MachineBench()
        bench.submit(1)
        bench.post(.ended(bench.worker(1).leased[0].session, .disconnected))
        let alone = bench.worker(2).leased[0]
        #expect(alone.isAlone)
        bench.start(alone)
        bench.uptime += 5000
        bench.start(alone, 2)
        bench.post(.ended(SessionID(2), .disconnected))
        #expect(bench.batches.flatMap(\.updated).allSatisfy { $0.attempts == 0 && $0.crashes == 0 })
        #expect(bench.worker(3).leased.map { $0.grants[0].attempt } == [1])
    }

    @Test func `what no idle session may take wakes nobody until something changes`() {
        var bench = MachineBench()
        bench.submit(1)
        bench.worker(1, "w")
        bench.post(.ended(SessionID(1), .disconnected))
        bench.worker(2, "w")
        bench.worker(3, "w")
        let alone = bench.submit(5).actions.leased
        #expect(alone.isEmpty)
        #expect(bench.machine.nextTick.milliseconds > bench.uptime)
        bench.post(.tick)
        #expect(bench.machine.nextTick.milliseconds > bench.uptime)
    }
}
