internal import Messages
internal import Synchronization

/// What a pipeline has done, counted.
package final class PipelineCounters: Sendable {
    /// The counts at one moment.
    package struct Values: Sendable, Equatable {
        package var scored = 0
        package var failed = 0
        package var batches = 0
        /// Images that went through the tower.
        package var images = 0
        /// Time spent in decoding and preprocessing, over all threads.
        package var decode: Duration = .zero
        package var preprocess: Duration = .zero
    }

    private let state = Mutex(Values())

    package var values: Values { state.withLock { $0 } }

    func add(batch size: Int) {
        state.withLock { values in
            values.batches += 1
            values.images += size
        }
    }

    func add(_ results: [JobResult]) {
        state.withLock { values in
            for result in results {
                if case .failed = result.outcome { values.failed += 1 } else { values.scored += 1 }
                values.decode += result.timings.decode
                values.preprocess += result.timings.preprocess
            }
        }
    }
}
