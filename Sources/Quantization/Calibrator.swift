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
    /// By tower; empty unless the recipe has scales a channel, and then the two above see nothing.
    private var channels: [Tower: ChannelObservation] = [:]
    private var lastCrops: [UInt8] = []
    private var lastPrompts: [EmbeddedPrompt] = []
    private let keepsData: Bool
    /// All batches of crops that were observed, if they are kept.
    package private(set) var crops: [[UInt8]] = []
    /// The same of prompts.
    package private(set) var embeddedPrompts: [[EmbeddedPrompt]] = []

    /// - Parameters:
    ///   - activationBits: the widths at which OMSE is to be had for activations.
    ///   - attentionBits: the same for attention's operands.
    ///   - recipe: whose points are followed.
    ///   - keepsData: for a reconstruction, which needs all of it.
    package init(
        image: FloatImageEncoder?, text: FloatTextEncoder?, activationBits: [Int], attentionBits: [Int], pool: ThreadPool,
        kernels: FloatKernels = FloatKernels(), recipe: Recipe = .paper, keepsData: Bool = false
    ) {
        self.keepsData = keepsData
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
        guard recipe == .reference, let configuration = image?.configuration ?? text?.configuration else { return }
        for tower in Tower.allCases {
            let shape = tower == .vision ? configuration.vision : configuration.text
            channels[tower] = ChannelObservation(
                tower, patch: configuration.patchSize * configuration.patchSize, widths: (shape.width, shape.mlpWidth), depth: shape.depth,
                bits: activationBits, kernels: kernels)
        }
    }

    private func observe(_ tower: Tower, _ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
        if !channels.isEmpty {
            channels[tower]?.observe(block, point, values)
        } else if tower == .vision {
            vision.observe(block, point, values)
        } else {
            prompts.observe(block, point, values)
        }
    }

    private func search(_ tower: Tower, _ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
        if !channels.isEmpty {
            channels[tower]?.search(block, point, values)
        } else if tower == .vision {
            vision.search(block, point, values)
        } else {
            prompts.search(block, point, values)
        }
    }

    /// Takes a batch of pictures, [count, side, side, 3] 8-bit RGB.
    ///
    /// - Throws: `notFinite` where the float tower gives NaN or infinity.
    package func observe(crops: [UInt8]) throws(QuantizationError) {
        guard !crops.isEmpty else { return }
        if let image {
            let configuration = image.configuration
            vision.beginBatch(
                atMost: Self.largestPoint(
                    configuration.vision, sequences: crops.count / (image.imageSide * image.imageSide * 3),
                    positions: configuration.visionPositions))
        }
        run(crops) { [self] block, point, values in observe(.vision, block, point, values) }
        try vision.endBatch()
        try channels[.vision]?.endBatch()
        lastCrops = crops
        if keepsData { self.crops.append(crops) }
    }

    /// Takes prompts, start and end token included, in batches of `promptBatch`.
    package func observe(prompts: [[Int32]]) throws(QuantizationError) { try observe(embedded: prompts.map { EmbeddedPrompt(ids: $0) }) }

    /// The same for prompts that may have vectors of their own.
    ///
    /// - Throws: `notFinite` where the float tower gives NaN or infinity.
    package func observe(embedded all: [EmbeddedPrompt]) throws(QuantizationError) {
        for start in stride(from: 0, to: all.count, by: Self.promptBatch) {
            let batch = Array(all[start..<min(start + Self.promptBatch, all.count)])
            _ = text?.encode(embedded: batch, pool: pool) { [self] block, point, values in observe(.text, block, point, values) }
            try prompts.endBatch()
            try channels[.text]?.endBatch()
            lastPrompts = batch
            if keepsData { embeddedPrompts.append(batch) }
        }
    }

    /// The most values that a quantization point of a batch has: softmax's output, or what enters the second dense layer.
    private static func largestPoint(_ tower: TowerConfiguration, sequences: Int, positions: Int) -> Int {
        sequences * positions * max(tower.heads * positions, tower.mlpWidth, tower.width)
    }

    /// Told of each quantization point that the last batches have passed in a search or a measurement, and of how many there are.
    package typealias PointProgress = (_ done: Int, _ total: Int) -> Void

    /// Searches on the last batches and gives all results.
    package func finish(progress: PointProgress? = nil) -> Calibration {
        vision.beginSearch()
        prompts.beginSearch()
        repeatLastBatches(progress) { [self] tower, block, point, values in
            search(tower, block, point, values)
        }
        return Calibration(
            points: vision.results.merging(prompts.results) { first, _ in first },
            channels: channels.values.reduce(into: [:]) { $0.merge($1.results) { first, _ in first } })
    }

    /// One plan's quantizers by point.
    package struct Quantizers: Sendable {
        package let scales: [String: CodeScale]
        /// Of points with a scale a channel.
        package let channels: [String: ChannelQuantizer]

        package init(scales: [String: CodeScale], channels: [String: ChannelQuantizer] = [:]) {
            self.scales = scales
            self.channels = channels
        }
    }

    /// What quantizers do to the last batches: for each set of quantizers, each point's figures, a point's channels together.
    package func measure(_ sets: [Quantizers], progress: PointProgress? = nil) -> [[String: PointFigures]] {
        vision.beginMeasuring(sets.map(\.scales))
        prompts.beginMeasuring(sets.map(\.scales))
        for tower in channels.keys { channels[tower]?.beginMeasuring(sets.map(\.channels)) }
        repeatLastBatches(progress) { [self] tower, block, point, values in
            if tower == .vision { vision.measure(block, point, values) } else { prompts.measure(block, point, values) }
            channels[tower]?.measure(block, point, values)
        }
        return sets.indices.map { index in
            let towers = [vision.figures(index), prompts.figures(index)] + channels.values.map { $0.figures(index) }
            return towers.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
        }
    }

    private func repeatLastBatches(
        _ progress: PointProgress?, _ body: @escaping (Tower, Int?, QuantizationPoint, UnsafeBufferPointer<Float>) -> Void
    ) {
        let towers = Tower.allCases.filter { $0 == .vision ? !lastCrops.isEmpty : !lastPrompts.isEmpty }
        let total = (image?.configuration ?? text?.configuration).map { QuantizedLayout.points($0, towers).count } ?? 0
        var (done, last) = (0, "")
        func see(_ tower: Tower, _ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
            // Softmax's output comes in many pieces.
            let name = progress == nil ? "" : point.name(tower, block: block)
            if name != last {
                progress?(done, total)
                (done, last) = (done + 1, name)
            }
            body(tower, block, point, values)
        }
        if !lastCrops.isEmpty { run(lastCrops) { see(.vision, $0, $1, $2) } }
        if !lastPrompts.isEmpty { _ = text?.encode(embedded: lastPrompts, pool: pool) { see(.text, $0, $1, $2) } }
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
