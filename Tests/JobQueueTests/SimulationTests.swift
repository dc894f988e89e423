import Dispatch
import JobQueue
import Synchronization
import Testing

@Suite struct SimulationTests {
    /// The seed and the violation of the first of `seeds` in which a promise breaks.
    static func firstViolation(
        _ seeds: Range<UInt64>, events: Int, planted: PlantedBug? = nil, sinkBug: Simulation.SinkBug? = nil
    ) -> (seed: UInt64, what: any Error)? {
        for seed in seeds {
            do {
                var simulation = Simulation(seed: seed, planted: planted, sinkBug: sinkBug)
                try simulation.run(events: events)
            } catch {
                return (seed, error)
            }
        }
        return nil
    }

    @Test func `10,000 seeds of 1,000 events break no promise`() {
        let found = Mutex<[(seed: UInt64, what: any Error)]>([])
        let (seeds, parts) = (UInt64(10_000), 2)
        DispatchQueue.concurrentPerform(iterations: parts) { part in
            let first = seeds / UInt64(parts) * UInt64(part)
            if let violation = Self.firstViolation(first..<first + seeds / UInt64(parts), events: 1000) {
                found.withLock { $0.append(violation) }
            }
        }
        for violation in found.withLock({ $0 }) { Issue.record("seed \(violation.seed): \(violation.what)") }
    }

    /// Enough to find every planted bug.
    private static let clean: Range<UInt64> = 0..<306

    @Test func `the seeds for planted bugs are clean without one`() {
        #expect(Self.firstViolation(Self.clean, events: 1000) == nil)
    }

    @Test(arguments: PlantedBug.allCases)
    func `a planted bug is noticed`(bug: PlantedBug) {
        #expect(Self.firstViolation(Self.clean, events: 1000, planted: bug) != nil)
    }

    @Test func `a sink that acknowledges before it writes is noticed`() {
        #expect(Self.firstViolation(Self.clean, events: 1000, sinkBug: .acknowledgesFirst) != nil)
    }
}
