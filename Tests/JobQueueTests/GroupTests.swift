import JobQueue
import Testing

@Suite struct GroupTests {
    /// A bench with `count` outcomes.
    private func bench(_ count: Int, _ settings: GroupSettings? = nil, _ configuration: QueueConfiguration = MachineBench.plain)
        -> MachineBench
    {
        var bench = MachineBench(configuration)
        if let settings { bench.post(.addGroup(RequestID(1), settings, .earliest)) }
        finish(count, &bench)
        return bench
    }

    private func finish(_ count: Int, service: String = "classify", _ bench: inout MachineBench) {
        guard count > 0 else { return }
        bench.submit(count, service: service)
        let session = UInt64.random(in: 1000 ... .max)
        var batches = bench.worker(session, service: service, jobs: 500).leased
        while let batch = batches.first { batches = bench.answer(batch).leased }
        bench.post(.ended(SessionID(session), .goodbye))
    }

    @Test func `one member of an exclusive group sees all in order, under a generation, and its successor goes on after the acknowledged`()
    {
        var bench = bench(10, GroupSettings(name: "g", kind: .exclusive))
        let first = bench.sink(1, group: "g", outcomes: 4).deliveries[0]
        #expect(bench.sink(2, group: "g").deliveries.isEmpty)
        #expect(first.items.map(\.sequence.rawValue) == [1, 2, 3, 4] && first.items.map(\.previous.rawValue) == [0, 1, 2, 3])
        let next = bench.post(.acknowledge(SessionID(1), .through(Sequence(4), first.generation)))
        #expect(next.acknowledged == [.stored] && next.deliveries[0].items.map(\.sequence.rawValue) == [5, 6, 7, 8])
        let other = bench.post(.ended(SessionID(1), .disconnected)).deliveries[0]
        #expect(other.session == SessionID(2) && other.generation > first.generation)
        #expect(other.items.map(\.sequence.rawValue) == Array(5...10) && other.items[0].previous == Sequence(4))
        // The one that was replaced, or somebody under its generation, can't move the cursor.
        #expect(bench.post(.acknowledge(SessionID(2), .through(Sequence(8), first.generation))).acknowledged == [.refused])
        #expect(bench.machine.figures(now: bench.now).groups.first { $0.settings.name == "g" }?.cursor == Sequence(4))
    }

    @Test func `an acknowledgement of what was never delivered is refused`() {
        var bench = bench(10, GroupSettings(name: "g", kind: .exclusive))
        let delivery = bench.sink(1, group: "g", outcomes: 4).deliveries[0]
        #expect(bench.post(.acknowledge(SessionID(1), .through(Sequence(9), delivery.generation))).acknowledged == [.refused])
        bench.sink(2, outcomes: 4)
        #expect(bench.post(.acknowledge(SessionID(2), .list([Sequence(1), Sequence(9)]))).acknowledged == [.refused])
        #expect(bench.post(.acknowledge(SessionID(77), .list([Sequence(1)]))).acknowledged == [.refused])
    }

    @Test func `a shared group's members split the outcomes, and what one leaves another gets`() {
        var bench = bench(0)
        bench.sink(1, outcomes: 3)
        bench.sink(2, outcomes: 3)
        bench.submit(9)
        let actions = bench.answer(bench.worker(9, jobs: 9).leased[0])
        let parts = Dictionary(grouping: actions.deliveries, by: \.session.rawValue).mapValues {
            $0.flatMap(\.items).map(\.sequence.rawValue)
        }
        #expect(Set(parts.values.joined()) == Set(1...6) && parts.count == 2)
        let mine = parts[2] ?? []
        let next = bench.post(.acknowledge(SessionID(2), .list(mine.map { Sequence($0) })))
        #expect(next.deliveries.flatMap(\.items).map(\.sequence.rawValue) == [7, 8, 9])
        #expect(bench.post(.ended(SessionID(1), .disconnected)).deliveries.isEmpty)
        let rest = bench.post(.acknowledge(SessionID(2), .list([7, 8, 9].map { Sequence($0) })))
        #expect(rest.deliveries.flatMap(\.items).map(\.sequence.rawValue) == parts[1])
        bench.post(.acknowledge(SessionID(2), .list((parts[1] ?? []).map { Sequence($0) })))
        #expect(bench.machine.figures(now: bench.now).groups[0].cursor == Sequence(9))
    }

    @Test func `a slow sink has its window and no more, and others don't notice`() {
        var configuration = MachineBench.plain
        configuration.sinkWindow = 5
        var bench = bench(0, GroupSettings(name: "fast"), configuration)
        bench.sink(1, credit: 100, outcomes: 2)
        bench.sink(2, group: "fast", credit: 100, outcomes: 100)
        bench.submit(50)
        var (slow, fast) = (0, 0)
        var actions = bench.answer(bench.worker(9, jobs: 50).leased[0])
        while let delivery = actions.deliveries.first(where: { $0.group == "fast" }) {
            slow += actions.deliveries.filter { $0.group == "default" }.reduce(0) { $0 + $1.items.count }
            fast += delivery.items.count
            actions = bench.post(.acknowledge(SessionID(2), .list(delivery.items.map(\.sequence))))
        }
        #expect(fast == 50 && slow == 5)
    }

    @Test func `a group of some services sees only theirs, and does not hold the others back`() {
        var configuration = MachineBench.plain
        configuration.keepOutcomes = .zero
        var bench = bench(0, GroupSettings(name: "t", kind: .exclusive, services: ["train"]), configuration)
        finish(3, &bench)
        finish(1, service: "train", &bench)
        finish(2, service: "train/b", &bench)
        finish(1, service: "trainers", &bench)
        let delivery = bench.sink(1, group: "t").deliveries[0]
        #expect(delivery.items.map(\.sequence.rawValue) == [4, 5, 6] && delivery.items.map(\.previous.rawValue) == [0, 4, 5])
        bench.post(.acknowledge(SessionID(1), .through(Sequence(6), delivery.generation)))
        #expect(bench.machine.figures(now: bench.now).groups.first { $0.settings.name == "t" }?.cursor == Sequence(7))
    }

    @Test func `a new group begins with what is kept, or with what comes`() {
        var bench = bench(4)
        bench.post(.addGroup(RequestID(1), GroupSettings(name: "all"), .earliest))
        bench.post(.addGroup(RequestID(1), GroupSettings(name: "new"), .now))
        finish(1, &bench)
        #expect(bench.sink(1, group: "all").deliveries[0].items.count == 5)
        #expect(bench.sink(2, group: "new").deliveries[0].items.map(\.sequence.rawValue) == [5])
        #expect(bench.post(.addGroup(RequestID(1), GroupSettings(name: "all"), .now)).answers == [.done])
        #expect(bench.post(.addGroup(RequestID(1), GroupSettings(name: "all", kind: .exclusive), .now)).answers == [.conflict])
        #expect(bench.post(.removeGroup(RequestID(1), "default")).answers == [.conflict])
        let removal = bench.post(.removeGroup(RequestID(1), "all"))
        #expect(removal.answers == [.done] && removal.dismissed == [1])
        #expect(bench.sink(3, group: "all").contains { if case .refuseSink = $0 { true } else { false } })
    }

    @Test func `a backlog blocks producers, or is lost and counted, as the group says`() {
        var blocking = bench(5, GroupSettings(name: "g", retention: .block(limit: 5)))
        guard case .busy(.sinkBacklog, _) = blocking.submit(1).verdicts[0] else { return fail("not busy") }
        var losing = bench(8, GroupSettings(name: "g", retention: .expire(limit: 5)))
        #expect(losing.sink(1, group: "g").deliveries[0].items.map(\.sequence.rawValue) == Array(4...8))
        #expect(losing.machine.figures(now: losing.now).groups.first { $0.settings.name == "g" }?.expired == 3)
    }

    @Test func `outcomes stay for their time after the last acknowledgement, and then leave tombstones`() {
        var configuration = MachineBench.plain
        configuration.keepOutcomes = .seconds(30)
        var bench = bench(3, nil, configuration)
        bench.pass(.seconds(60))
        #expect(bench.batches.flatMap(\.forgotten).isEmpty)
        bench.sink(1)
        bench.post(.acknowledge(SessionID(1), .list([1, 2, 3].map { Sequence($0) })))
        bench.pass(.seconds(25))
        #expect(bench.batches.flatMap(\.forgotten).isEmpty)
        bench.pass(.seconds(10))
        #expect(bench.batches.flatMap(\.forgotten).map(\.number.rawValue) == [1, 2, 3])
        #expect(bench.machine.figures(now: bench.now).jobsInMemory == 0)
    }

    @Test func `a sink that could not store a delivery gets it again`() {
        var bench = bench(3, GroupSettings(name: "g", kind: .exclusive))
        let first = bench.sink(1, group: "g").deliveries[0]
        #expect(bench.post(.acknowledge(SessionID(1), .failed)).deliveries.isEmpty)
        let again = bench.pass(.seconds(1.5)).deliveries
        #expect(again.map(\.items) == [first.items])
    }
}

@Suite struct SequenceRangesTests {
    @Test func `ranges behave as a set of numbers`() {
        var random = SeededSource(seed: 3)
        var (ranges, set) = (SequenceRanges(), Set<UInt64>())
        for _ in 0..<3000 {
            let number = UInt64(random.below(60) + 1)
            if random.chance(90) {
                #expect(ranges.insert(number) == set.insert(number).inserted)
            } else {
                ranges.removeThrough(number / 2)
                set = set.filter { $0 > number / 2 }
            }
            #expect((0...61).allSatisfy { ranges.contains($0) == set.contains($0) })
            #expect(SequenceRanges(ranges.ranges) == ranges)
        }
    }
}
