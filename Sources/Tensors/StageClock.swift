internal import CKernels
internal import Glibc
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
    private let source: Source

    /// What a tick is.
    package enum Source: Sendable {
        /// A nanosecond of the thread on a processor: right where threads share one. Epilogues count as products.
        case processorTime
        /// One of the processor's constant-rate counter, so cheap that epilogues are told from products; that still makes products some 4 %
        /// slower.
        case counter
    }

    package init(_ source: Source) { self.source = source }

    /// Whether it measures; while it doesn't, the tower runs as without a clock.
    package var isRunning: Bool {
        get { runs.load(ordering: .relaxed) }
        set { runs.store(newValue, ordering: .relaxed) }
    }

    /// Adds the time that `body` takes to `stage`; what `body` says was spent on epilogues counts there.
    fileprivate func measure(_ stage: Stage, _ body: (_ epilogues: UnsafeMutablePointer<Int64>?) -> Void) {
        var epilogues: Int64 = 0
        let start = now
        switch source {
        case .processorTime: body(nil)
        case .counter: body(&epilogues)
        }
        let spent = now - start - epilogues
        ticks.withLock {
            $0[stage.rawValue] += spent
            $0[Stage.epilogues.rawValue] += epilogues
        }
    }

    private var now: Int64 {
        guard case .processorTime = source else { return p4q_ticks() }
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Forgets what it has measured.
    package func reset() { ticks.withLock { $0 = [Int64](repeating: 0, count: $0.count) } }

    /// Core seconds by stage since the last call, or since `reset`.
    package func takeSeconds() -> [(stage: Stage, seconds: Double)] {
        let taken = ticks.withLock { ticks in
            defer { ticks = [Int64](repeating: 0, count: ticks.count) }
            return ticks
        }
        let secondsPerTick =
            switch source {
            case .processorTime: 1e-9
            case .counter: Self.measureSecondsPerTick()
            }
        return Stage.allCases.map { ($0, Double(taken[$0.rawValue]) * secondsPerTick) }
    }

    /// Seconds of a tick, measured over some milliseconds.
    private static func measureSecondsPerTick() -> Double {
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
