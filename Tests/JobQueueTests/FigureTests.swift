import JobQueue
import Testing

struct FigureTests {
    private func levels(_ bench: MachineBench, _ service: String = "classify") -> [QueueFigures.Level] {
        bench.machine.figures(now: bench.now).services.first { $0.name == service }?.levels ?? []
    }

    @Test func `open jobs, bytes and the oldest ready one are known by service and priority`() throws {
        var bench = MachineBench()
        bench.submit(2, producer: "a", bytes: 100) { $0.priority = Priority(7) }
        bench.pass(.seconds(3))
        bench.submit(3, producer: "b", bytes: 10) { $0.priority = Priority(7) }
        bench.submit(1, bytes: 1)
        bench.submit(4, service: "train", bytes: 1)
        var seen = levels(bench)
        #expect(seen.map(\.priority) == [4, 7] && seen.map(\.open) == [1, 5] && seen.map(\.ready) == [1, 5])
        #expect(seen.map(\.bytes) == [1, 230] && seen.map(\.oldest) == [.zero, .seconds(3)])
        #expect(levels(bench, "train").map(\.open) == [4])

        // Leased jobs are open and not ready; what is finished is gone.
        let batch = try #require(bench.worker(1, jobs: 2).leased.first)
        #expect(levels(bench)[1].open == 5 && levels(bench)[1].ready == 3)
        bench.answer(batch)
        seen = levels(bench)
        #expect(seen.reduce(0) { $0 + $1.open } == bench.machine.openJobCount - 4)
        bench.post(.purge(RequestID(1), service: "train"))
        #expect(levels(bench, "train").map(\.open) == [0] && levels(bench, "train").map(\.bytes) == [0])
    }

    @Test func `jobs that run alone count as ready`() throws {
        var bench = MachineBench()
        bench.submit(2)
        let batch = try #require(bench.worker(1).leased.first)
        bench.start(batch)
        bench.post(.ended(SessionID(1), .disconnected))
        #expect(levels(bench).map(\.ready) == [2] && levels(bench).map(\.open) == [2])
    }

    @Test func `why leases ended without an outcome is counted by reason`() throws {
        var bench = MachineBench()
        bench.submit(1)
        func returned() -> [ReturnReason: UInt64] { bench.machine.figures(now: bench.now).counters.returned }
        bench.answer(try #require(bench.worker(1).leased.first), .released)
        #expect(returned() == [.handedBack: 1])
        bench.post(.ended(SessionID(1), .goodbye))
        #expect(returned()[.workerLeft] == 1)
        let batch = try #require(bench.worker(2).leased.first)
        bench.post(.answer(batch.session, identity: "key", []))
        #expect(returned()[.unanswered] == 1)
        bench.submit(1)
        bench.post(.ended(SessionID(2), .disconnected))
        #expect(returned()[.workerLost] ?? 0 >= 1)
        #expect(bench.machine.figures(now: bench.now).counters.failedAttempts == (0, 0, 0))
    }
}
