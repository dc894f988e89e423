/// How a prompt and an adapter are learned. The defaults are the paper's. Source: the paper's section 5.1.
package struct TuningSettings: Sendable, Equatable, Codable {
    /// What is learned.
    package enum Parts: String, Sendable, CaseIterable, Codable {
        case both, prompt, adapter

        package var hasPrompt: Bool { self != .adapter }
        package var hasAdapter: Bool { self != .prompt }
    }

    /// How the adapter comes to its 8 bits.
    package enum AdapterQuantization: String, Sendable, CaseIterable, Codable {
        /// Trained in float, quantized at the end.
        case afterTraining = "after-training"
        /// Trained through its quantizers, once an epoch has shown their ranges.
        case straightThrough = "straight-through"
    }

    package var parts = Parts.both
    /// Context vectors, the paper's M.
    package var contextLength = 16
    package var classPosition = ClassPosition.end
    /// The adapter's share of a feature, the paper's alpha.
    package var adaptRatio: Float = 0.2
    package var classWeight: Float = 1
    /// The paper's lambda.
    package var distillationWeight: Float = 1
    package var epochs = 50
    package var batch = 128
    /// The prompt's learning rate for 20 images a batch; it grows with the batch.
    package var promptRate = 5e-4
    package var adapterRate = 1e-3
    /// The furthest that one step moves the context vectors, as a share of their length at the start; 0 sets no limit, as in the paper. Below 4
    /// bits, a single early gradient can throw an unlimited prompt so far out that every class looks alike and nothing brings it back.
    package var stepLimit: Float = 0
    /// Whether images are flipped at random.
    package var flips = true
    package var seed: UInt64 = 0
    /// The share of the images that is held out to choose the best epoch; 0 trains on all and takes the last.
    package var heldOut = 0.0
    /// Epochs without a better held-out accuracy after which training ends; 0 never ends early.
    package var patience = 0
    package var straightThrough = StraightThrough.clipped
    package var adapterQuantization = AdapterQuantization.afterTraining

    package init() {}

    /// The prompt's schedule falls to this share of its start.
    static let promptRateFloor = 1e-3
    /// Standard deviation of the context vectors at the start.
    static let contextDeviation: Float = 0.02

    func promptSchedule(batch: Int, steps: Int) -> CosineSchedule {
        let rate = promptRate * Double(batch) / 20
        return CosineSchedule(start: rate, end: rate * Self.promptRateFloor, steps: steps)
    }

    func adapterSchedule(steps: Int) -> CosineSchedule { CosineSchedule(start: adapterRate, end: 0, steps: steps) }
}
