internal import CLIP
internal import Quantization
package import Tensors

/// What training has come to: everything that a resumed run needs.
package struct TrainingState: Sendable, Equatable {
    package var parameters: TuningParameters
    package var adam: AdamW?
    /// Epochs done.
    package var epoch = 0
    /// Means over the last epoch; nil before the first.
    package var losses: TuningLosses?
    /// The adapter's ranges over the last tenth of the last epoch.
    package var ranges: AdapterRanges?
    /// The epoch with the best held-out accuracy so far; nil where nothing is held out.
    package var best: Best?

    package struct Best: Sendable, Equatable {
        package var parameters: TuningParameters
        package var ranges: AdapterRanges?
        package var accuracy: Double
        package var epoch: Int
    }
}

/// What an epoch did.
package struct EpochReport: Sendable, Equatable {
    package let epoch: Int
    /// Means over the epoch.
    package let losses: TuningLosses
    /// Share of the held-out images that the float adapter and the prompt label rightly; nil where nothing is held out.
    package let heldOutAccuracy: Double?
}

/// Learns a prompt and an adapter on cached features.
///
/// The same settings, data and seed give the same result, on any number of threads and after any resumption.
package final class Trainer {
    package let settings: TuningSettings
    package private(set) var state: TrainingState
    /// Of one epoch.
    package let steps: Int
    private let objective: TuningObjective
    private let data: TrainingData
    private let random: PhiloxRandom
    private let training: [Int]
    private let heldOut: [Int]
    private let batch: Int
    private let kernels: FloatKernels
    private let scale: Float

    private enum Stream: Int { case order, flips, context, adapter, heldOut }

    /// - Parameters:
    ///   - text: what the prompt is learned through.
    ///   - scale: `exp(logit_scale)`
    package init(
        _ settings: TuningSettings, text: TuningText, scale: Float, data: TrainingData, pool: ThreadPool, resuming: TrainingState? = nil,
        kernels: FloatKernels = FloatKernels()
    ) throws(TuningError) {
        self.settings = settings
        self.data = data
        self.kernels = kernels
        self.scale = scale
        random = PhiloxRandom(seed: settings.seed)
        let order = random.stream(Stream.heldOut.rawValue).permutation(data.count)
        let held = settings.heldOut > 0 ? max(1, Int(Double(data.count) * settings.heldOut)) : 0
        heldOut = order.prefix(held).sorted()
        training = order.dropFirst(held).sorted()
        guard !training.isEmpty else { throw .tooFewImages(found: data.count, needed: 1 + held) }
        batch = min(settings.batch, training.count)
        steps = training.count / batch
        objective = try text.objective(settings, scale: scale, pool: pool, kernels: kernels)
        state = resuming ?? Self.start(settings, random, contextWidth: text.contextWidth, featureWidth: data.featureWidth)
    }

    private static func start(
        _ settings: TuningSettings, _ random: PhiloxRandom, contextWidth: Int, featureWidth: Int
    ) -> TrainingState {
        let count = settings.parts.hasPrompt ? settings.contextLength * contextWidth : 0
        let context = random.stream(Stream.context.rawValue).normals(count, deviation: TuningSettings.contextDeviation)
        let adapter = AdapterParameters(width: featureWidth, random: random.stream(Stream.adapter.rawValue))
        return TrainingState(
            parameters: TuningParameters(context: context, adapter: settings.parts.hasAdapter ? adapter : nil),
            adam: settings.parts.hasAdapter ? AdamW(width: featureWidth) : nil)
    }

    /// Whether all epochs are done, or the held-out accuracy has stopped growing.
    package var isFinished: Bool {
        if state.epoch >= settings.epochs { return true }
        guard settings.patience > 0, let best = state.best else { return false }
        return state.epoch - best.epoch >= settings.patience
    }

    /// Runs one epoch.
    ///
    /// - Parameter progress: called after each step with the steps done in this epoch.
    package func runEpoch(progress: (Int) -> Void = { _ in }) throws(TuningError) -> EpochReport {
        let epoch = state.epoch
        let order = random.stream(Stream.order.rawValue).stream(epoch).permutation(training.count).map { training[$0] }
        let flips = random.stream(Stream.flips.rawValue).stream(epoch)
        let observed = steps - max(1, steps / 10)
        var observation = AdapterObservation(kernels)
        var sums = TuningLosses(classification: 0, distillation: 0)
        for step in 0..<steps {
            let images = (step * batch..<(step + 1) * batch).map { index in
                (order[index], settings.flips && data.views > 1 && flips.uniform(index) < 0.5 ? 1 : 0)
            }
            let batch = data.batch(images)
            let ranges = settings.adapterQuantization == .straightThrough ? state.ranges : nil
            let result = objective.evaluate(state.parameters, batch, ranges: ranges)
            guard result.losses.classification.isFinite, result.losses.distillation.isFinite else {
                throw .diverged(step: epoch * steps + step)
            }
            if step >= observed { observation.observe(input: batch.features, hidden: result.hidden) }
            update(result.gradient, step: epoch * steps + step)
            sums.classification += result.losses.classification / Double(steps)
            sums.distillation += result.losses.distillation / Double(steps)
            progress(step + 1)
        }
        if state.parameters.adapter != nil { state.ranges = observation.ranges() }
        state.epoch += 1
        state.losses = sums
        let accuracy = heldOut.isEmpty ? nil : accuracy()
        if let accuracy, accuracy > state.best?.accuracy ?? -1 {
            state.best = .init(parameters: state.parameters, ranges: state.ranges, accuracy: accuracy, epoch: state.epoch)
        }
        return EpochReport(epoch: state.epoch, losses: sums, heldOutAccuracy: accuracy)
    }

    /// The parameters to keep: of the best epoch where one can be told, else the last one's.
    package var result: (parameters: TuningParameters, ranges: AdapterRanges?) {
        state.best.map { ($0.parameters, $0.ranges) } ?? (state.parameters, state.ranges)
    }

    private func update(_ gradient: TuningParameters, step: Int) {
        let total = steps * settings.epochs
        let rate = limited(Float(settings.promptSchedule(batch: batch, steps: total).rate(step)), gradient.context)
        for index in state.parameters.context.indices { state.parameters.context[index] -= rate * gradient.context[index] }
        guard var adapter = state.parameters.adapter, let byAdapter = gradient.adapter else { return }
        state.adam?.step(&adapter, gradient: byAdapter, rate: settings.adapterSchedule(steps: total).rate(step))
        state.parameters.adapter = adapter
    }

    /// The rate at which a step along `gradient` stays inside the step limit.
    private func limited(_ rate: Float, _ gradient: [Float]) -> Float {
        guard settings.stepLimit > 0 else { return rate }
        var squares = 0.0
        for value in gradient { squares += Double(value) * Double(value) }
        let start = Float(gradient.count).squareRoot() * TuningSettings.contextDeviation
        let length = Float(squares.squareRoot()) * rate
        return length > settings.stepLimit * start ? rate * settings.stepLimit * start / length : rate
    }

    private func accuracy() -> Double {
        let batch = data.batch(heldOut.map { ($0, 0) })
        return objective.accuracy(state.parameters, batch)
    }
}

/// Follows the adapter's two activations, for their quantizers' ranges by OMSE.
struct AdapterObservation {
    private var trackers: [RangeTracker]
    private var last: [[Float]] = [[], []]
    private let kernels: FloatKernels

    init(_ kernels: FloatKernels) {
        self.kernels = kernels
        trackers = (0..<2).map { _ in RangeTracker(kernels: kernels) }
    }

    mutating func observe(input: [Float], hidden: [Float]) {
        last = [input, hidden]
        for index in trackers.indices {
            last[index].withUnsafeBufferPointer { trackers[index].observe($0) }
            // What is no number counts for nothing: the loss has diverged then, and `runEpoch` says so.
            try? trackers[index].endBatch()
        }
    }

    /// Nil before anything was observed.
    func ranges() -> AdapterRanges? {
        guard let input = scale(0), let inner = scale(1) else { return nil }
        return AdapterRanges(input: input, inner: inner)
    }

    private func scale(_ index: Int) -> CodeScale? {
        guard let range = trackers[index].range(.omse) else { return nil }
        var search = OMSESearch(range: range, bits: [8], kernels: kernels)
        last[index].withUnsafeBufferPointer { search.observe($0) }
        return search.quantizer(bits: 8).map { CodeScale(scale: $0.scale, zeroPoint: Int($0.zeroPoint), bits: .eight) }
    }
}
