internal import CKernels
internal import Synchronization

/// How long threads spend in each part of a tower: what a benchmark's breakdown shows.
package final class StageClock: Sendable {
    package enum Stage: Int, CaseIterable, Sendable {
        /// Samples to codes of patches.
        case patches
        /// Integer products, without what follows them.
        case products
        /// Scales, biases, activation functions, requantization, the residual sum.
        case epilogues
        case attention
        /// LayerNorm and the codes of its output.
        case layerNorm
        /// Pooled LayerNorm and projection.
        case projection
    }

    private let ticks = Mutex([Int64](repeating: 0, count: Stage.allCases.count))
    private let runs = Atomic(true)
    private let separatesEpilogues: Bool

    /// - Parameter separatesEpilogues: tell them from products, which looks at the counter so often that products take some 4 % longer.
    package init(separatesEpilogues: Bool) { self.separatesEpilogues = separatesEpilogues }

    /// Whether it measures; while it doesn't, the tower runs as without a clock.
    package var isRunning: Bool {
        get { runs.load(ordering: .relaxed) }
        set { runs.store(newValue, ordering: .relaxed) }
    }

    /// Adds the time that `body` takes to `stage`; what `body` says was spent on epilogues counts there.
    fileprivate func measure(_ stage: Stage, _ body: (_ epilogues: UnsafeMutablePointer<Int64>?) -> Void) {
        var epilogues: Int64 = 0
        let start = p4q_ticks()
        if separatesEpilogues { body(&epilogues) } else { body(nil) }
        let spent = p4q_ticks() - start - epilogues
        ticks.withLock {
            $0[stage.rawValue] += spent
            $0[Stage.epilogues.rawValue] += epilogues
        }
    }

    /// Core seconds by stage since the last call.
    package func takeSeconds(secondsPerTick: Double) -> [(stage: Stage, seconds: Double)] {
        let taken = ticks.withLock { ticks in
            defer { ticks = [Int64](repeating: 0, count: ticks.count) }
            return ticks
        }
        return Stage.allCases.map { ($0, Double(taken[$0.rawValue]) * secondsPerTick) }
    }

    /// Seconds of a tick, measured over some milliseconds.
    package static func measureSecondsPerTick() -> Double {
        let clock = ContinuousClock()
        let (start, ticks) = (clock.now, p4q_ticks())
        while clock.now - start < .milliseconds(20) {}
        let (end, last) = (clock.now, p4q_ticks())
        return (end - start) / .seconds(1) / Double(max(1, last - ticks))
    }
}

extension StageClock? {
    /// Runs `body`, which adds what it spends on epilogues, in ticks, to its argument, if it is given one; without a clock that runs, nothing is
    /// measured.
    package func measure(_ stage: StageClock.Stage, _ body: (_ epilogues: UnsafeMutablePointer<Int64>?) -> Void) {
        guard let self, self.isRunning else { return body(nil) }
        self.measure(stage, body)
    }
}
