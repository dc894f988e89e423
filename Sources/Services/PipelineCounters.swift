internal import Imaging
internal import Messages
package import Metrics
internal import Synchronization

/// What a pipeline has done, counted, and told to metrics.
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

    private struct ImageLabels: Hashable {
        let format: String
        let outcome: String
    }

    private struct State {
        var values = Values()
        var images: [ImageLabels: Counter] = [:]
    }

    private let state = Mutex(State())
    private let factory: any MetricsFactory
    private let batchImages: Recorder
    private let stages: [Stage: Timer]

    /// The stages of an image that are timed, and how they are shown.
    private enum Stage: String, CaseIterable { case queue, decode, preprocess, infer, total }

    package init(metrics factory: any MetricsFactory) {
        self.factory = factory
        batchImages = Recorder(label: "p4q_worker_batch_images", factory: factory)
        stages = Dictionary(
            uniqueKeysWithValues: Stage.allCases.map {
                ($0, Timer(label: "p4q_stage_seconds", dimensions: [("stage", $0.rawValue)], factory: factory))
            })
    }

    package var values: Values { state.withLock { $0.values } }

    /// A batch went through the tower.
    func add(batch size: Int, time: Duration) {
        batchImages.record(size)
        record(.infer, time)
        state.withLock { state in
            state.values.batches += 1
            state.values.images += size
        }
    }

    /// - Parameter format: what the bytes are, where the result does not know it.
    func add(_ result: JobResult, format: Imaging.ImageFormat? = nil) {
        record(.queue, result.timings.queue)
        if result.timings.decode > .zero { record(.decode, result.timings.decode) }
        if result.timings.preprocess > .zero { record(.preprocess, result.timings.preprocess) }
        record(.total, result.timings.total)
        let labels = ImageLabels(
            format: result.image?.header?.format.rawValue ?? format?.rawValue ?? "none", outcome: Self.name(result.outcome))
        let images = state.withLock { state in
            if case .failed = result.outcome { state.values.failed += 1 } else { state.values.scored += 1 }
            state.values.decode += result.timings.decode
            state.values.preprocess += result.timings.preprocess
            let counter =
                state.images[labels]
                ?? Counter(
                    label: "p4q_images_total", dimensions: [("format", labels.format), ("outcome", labels.outcome)], factory: factory)
            state.images[labels] = counter
            return counter
        }
        images.increment()
    }

    private func record(_ stage: Stage, _ time: Duration) {
        let (seconds, attoseconds) = time.components
        stages[stage]?.recordNanoseconds(seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000)
    }

    private static func name(_ outcome: Outcome) -> String {
        switch outcome {
        case .scored(_, let isUnknown): isUnknown ? "unknown" : "scored"
        case .learned: "learned"
        case .failed(let failure): failure.code
        }
    }
}
