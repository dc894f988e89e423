import JobQueue
import Testing

@Suite struct SimulationTests {
    /// The seed and the violation of the first of `seeds` in which a promise breaks. Other tests get their turn after each seed.
    static func firstViolation(
        _ seeds: Range<UInt64>, events: Int, planted: PlantedBug? = nil, sinkBug: Simulation.SinkBug? = nil
    ) async -> (seed: UInt64, what: any Error)? {
        for seed in seeds {
            do {
                var simulation = Simulation(seed: seed, planted: planted, sinkBug: sinkBug)
                try simulation.run(events: events)
            } catch {
                return (seed, error)
            }
            await Task.yield()
        }
        return nil
    }

    @Test func `10,000 seeds of 1,000 events break no promise`() async {
        let (seeds, parts) = (UInt64(10_000), UInt64(2))
        await withTaskGroup(of: (seed: UInt64, what: any Error)?.self) { group in
            for part in 0..<parts {
                let first = seeds / parts * part
                group.addTask { await Self.firstViolation(first..<first + seeds / parts, events: 1000) }
            }
            for await case let violation? in group { Issue.record("seed \(violation.seed): \(violation.what)") }
        }
    }

    /// Enough to find every planted bug.
    private static let clean: Range<UInt64> = 0..<306

    @Test func `the seeds for planted bugs are clean without one`() async {
        #expect(await Self.firstViolation(Self.clean, events: 1000) == nil)
    }

    @Test(arguments: PlantedBug.allCases)
    func `a planted bug is noticed`(bug: PlantedBug) async {
        #expect(await Self.firstViolation(Self.clean, events: 1000, planted: bug) != nil)
    }

    @Test func `a sink that acknowledges before it writes is noticed`() async {
        #expect(await Self.firstViolation(Self.clean, events: 1000, sinkBug: .acknowledgesFirst) != nil)
    }
}
