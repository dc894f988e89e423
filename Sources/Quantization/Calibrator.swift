package import CLIP
package import Tensors

/// Runs the float towers over calibration data and follows every quantization point, in one pass; the last batch of each tower then passes
/// once more for OMSE's search. Nothing is drawn at random here: the same batches give the same ranges.
package final class Calibrator {
    /// Prompts of a batch. Source: the method's section 1.
    package static let promptBatch = 128

    private let image: FloatImageEncoder?
    private let text: FloatTextEncoder?
    private let pool: ThreadPool
    private var vision: TowerObservation
    private var prompts: TowerObservation
    private var lastCrops: [UInt8] = []
    private var lastPrompts: [[Int32]] = []

    /// - Parameters:
    ///   - activationBits: the widths at which OMSE is to be had for activations.
    ///   - attentionBits: the same for attention's operands.
    package init(
        image: FloatImageEncoder?, text: FloatTextEncoder?, activationBits: [Int], attentionBits: [Int], pool: ThreadPool,
        kernels: FloatKernels = FloatKernels()
    ) {
        self.image = image
        self.text = text
        self.pool = pool
        vision = TowerObservation(
            .vision, depth: image?.configuration.vision.depth ?? 0, activationBits: activationBits, attentionBits: attentionBits,
            kernels: kernels
        )
        prompts = TowerObservation(
            .text, depth: text?.configuration.text.depth ?? 0, activationBits: activationBits, attentionBits: attentionBits,
            kernels: kernels)
    }

    /// Takes a batch of pictures, [count, side, side, 3] 8-bit RGB.
    package func observe(crops: [UInt8]) {
        guard !crops.isEmpty else { return }
        run(crops) { [self] block, point, values in vision.observe(block, point, values) }
        vision.endBatch()
        lastCrops = crops
    }

    /// Takes prompts, start and end token included, in batches of `promptBatch`.
    package func observe(prompts all: [[Int32]]) {
        for start in stride(from: 0, to: all.count, by: Self.promptBatch) {
            let batch = Array(all[start..<min(start + Self.promptBatch, all.count)])
            _ = text?.encode(prompts: batch, pool: pool) { [self] block, point, values in prompts.observe(block, point, values) }
            prompts.endBatch()
            lastPrompts = batch
        }
    }

    /// Searches on the last batches and gives all results.
    package func finish() -> Calibration {
        vision.beginSearch()
        prompts.beginSearch()
        if !lastCrops.isEmpty { run(lastCrops) { [self] block, point, values in vision.search(block, point, values) } }
        if !lastPrompts.isEmpty {
            _ = text?.encode(prompts: lastPrompts, pool: pool) { [self] block, point, values in prompts.search(block, point, values) }
        }
        return Calibration(points: vision.results.merging(prompts.results) { first, _ in first })
    }

    private func run(_ crops: [UInt8], _ tap: @escaping ActivationTap) {
        guard let image else { return }
        let count = crops.count / (image.imageSide * image.imageSide * 3)
        var features = [Float](repeating: 0, count: count * image.featureWidth)
        crops.withUnsafeBufferPointer { crops in
            features.withUnsafeMutableBufferPointer { image.encode(crops: crops, count: count, features: $0, pool: pool, tap: tap) }
        }
    }
}
