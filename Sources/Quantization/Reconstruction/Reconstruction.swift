package import CLIP
package import Tensors

/// Makes a quantized model's weights and biases again, layer after layer in the order of computation, each so that what it gives on the inputs
/// that the quantized layers before it produce is as near to the float model as its codes allow.
///
/// What a layer before it spoilt, a layer that adds to the residual stream makes up for. Quantizers of activations stay as calibration fixed
/// them, and so does the form of the model: the same kernels run it. The same data give the same result on any number of threads.
package struct Reconstruction {
    /// The ridge of layers of the image tower and of the text tower, as a share of the mean energy of an input. Prompts are few.
    private static func damping(_ tower: Tower) -> Double { tower == .vision ? 0.01 : 0.05 }
    /// How far weights are fitted to inputs of so many bits. On the built-in model's field pictures (top-1 of 0, 0.2, 1 at 3-3-8: 52.3, 51.5, 49.3;
    /// of 0, 0.5, 1 at 2-2-8: 6.4, 23.7, 22.8) inputs of four levels need it, others lose by it.
    private static func regression(_ input: BitWidth) -> Double { input == .two ? 0.5 : 0 }
    /// Sums of doubles depend on their order: always as many partial ones.
    private static let lanes = 4

    private let checkpoint: Checkpoint
    private let plan: QuantizationPlan
    private let image: FloatImageEncoder
    private let text: FloatTextEncoder
    private let pool: ThreadPool
    private let progress: (_ layer: String, _ done: Int, _ total: Int) -> Void
    private var tensors: QuantizedTensors
    private var done = 0

    /// - Parameters:
    ///   - tensors: the model by `plan`, each weight rounded for itself.
    ///   - progress: told before each layer.
    /// - Precondition: the plan's recipe is `paper`.
    package init(
        _ tensors: QuantizedTensors, _ checkpoint: Checkpoint, _ plan: QuantizationPlan, image: FloatImageEncoder, text: FloatTextEncoder,
        pool: ThreadPool, progress: @escaping (_ layer: String, _ done: Int, _ total: Int) -> Void
    ) {
        precondition(plan.recipe == .paper, "layers are reconstructed in the recipe paper")
        self.tensors = tensors
        self.checkpoint = checkpoint
        self.plan = plan
        self.image = image
        self.text = text
        self.pool = pool
        self.progress = progress
    }

    /// The model made again, on batches of crops [count, side, side, 3] and on prompts.
    ///
    /// - Throws: `unpackable` for shapes that kernels can't take.
    package mutating func run(crops: [[UInt8]], prompts: [[EmbeddedPrompt]]) throws(QuantizationError) -> QuantizedTensors {
        let batches = crops.map { Array($0) }
        try patches(batches)
        try blocks(.vision, pictures(batches))
        try blocks(.text, prompts.map(streams))
        return tensors
    }

    private var total: Int { 1 + LayerGroup.allCases.count * (checkpoint.configuration.vision.depth + checkpoint.configuration.text.depth) }

    private func count(_ crops: [UInt8]) -> Int { crops.count / (image.imageSide * image.imageSide * 3) }

    // MARK: Layers

    private mutating func patches(_ batches: [[UInt8]]) throws(QuantizationError) {
        begin(QuantizedLayout.patchLayer)
        let meaning = tensors.point(.patchInput, .vision, nil)
        let width = image.patchWeight.shape[1]
        let gemm = IntegerGEMM(.best)
        let seen = gather(batches, inputs: width, outputs: image.patchWeight.shape[0]) { crops, _ in
            let x = crops.withUnsafeBufferPointer { image.patches(crops: $0, count: count(crops)) }
            var codes = [UInt8](repeating: 0, count: x.count)
            gemm.quantize(x, stride: width, rows: x.count / width, width: width, by: meaning, to: &codes, codesStride: width)
            var targets = [Float](repeating: 0, count: x.count / width * image.patchWeight.shape[0])
            image.patchWeight.withUnsafeBufferPointer { weight in
                guard let weight = weight.baseAddress else { return }
                BLAS.multiply(
                    m: x.count / width, n: image.patchWeight.shape[0], k: width, a: x, aStride: width, transposedB: weight, bStride: width,
                    c: &targets, cStride: image.patchWeight.shape[0])
            }
            return LayerRows(inputs: codes.map { Float(Int($0) - meaning.zeroPoint) * meaning.scale }, targets: targets)
        }
        try replace(
            "vision_model.embeddings.patch_embedding", layer: QuantizedLayout.patchLayer, input: meaning.bits, .vision, image.patchWeight,
            seen, hasBias: false)
    }

    private mutating func blocks(_ tower: Tower, _ batches: [ResidualStreams]) throws(QuantizationError) {
        let configuration = tower == .vision ? checkpoint.configuration.vision : checkpoint.configuration.text
        let float = tower == .vision ? image.transformer.blocks : text.transformer.blocks
        var batches = batches
        for index in 0..<configuration.depth {
            func pair() -> BlockPair {
                BlockPair(
                    configuration: configuration, isCausal: tower == .text, float: float[index],
                    quantized: tensors.blocks(tower, depth: configuration.depth)[index])
            }
            for group in LayerGroup.allCases {
                let layer = "\(tower.rawValue).\(index).\(group.layer)"
                begin(layer)
                let (layers, pair) = (group.layers(float[index]), pair())
                let seen = gather(batches, inputs: layers[0].inputs, outputs: layers.reduce(0) { $0 + $1.outputs }) {
                    pair.rows(group, $0, $1)
                }
                var first = 0
                for (name, dense) in zip(group.maps, layers) {
                    try replace(
                        "\(tower.rawValue)_model.encoder.layers.\(index).\(name)", layer: layer,
                        input: tensors.point(group.point, tower, index).bits, tower, dense.weight,
                        seen.outputs(first..<first + dense.outputs), hasBias: true)
                    first += dense.outputs
                }
            }
            advance(&batches, pair())
        }
    }

    private mutating func begin(_ layer: String) {
        progress(layer, done, total)
        done += 1
    }

    private mutating func replace(
        _ name: String, layer: String, input: BitWidth, _ tower: Tower, _ weight: FloatTensor, _ seen: LayerStatistics, hasBias: Bool
    ) throws(QuantizationError) {
        let reconstruction = LayerReconstruction(
            damping: Self.damping(tower), bits: plan.weights(layer), regression: Self.regression(input), pool: pool)
        guard let found = reconstruction.run(seen, weight: weight, hasBias: hasBias) else { return }
        try tensors.replace(name, found.codes, bias: hasBias ? found.bias : nil)
    }

    // MARK: Data

    private func pictures(_ batches: [[UInt8]]) -> [ResidualStreams] {
        let quantized = QuantizedImageEncoder(tensors, checkpoint.configuration, normalization: image.normalization)
        let tokens = checkpoint.configuration.visionPositions
        return batches.map { crops in
            let count = count(crops)
            return ResidualStreams(
                sequences: (0..<count).map { TokenSequence(rows: $0 * tokens..<($0 + 1) * tokens, pooled: $0 * tokens) },
                rows: count * tokens,
                float: image.embeddings(
                    patches: crops.withUnsafeBufferPointer { image.patches(crops: $0, count: count) }, count: count, pool: pool),
                quantized: crops.withUnsafeBufferPointer { quantized.embeddings(crops: $0, count: count) })
        }
    }

    private func streams(_ prompts: [EmbeddedPrompt]) -> ResidualStreams {
        let quantized = QuantizedTextEncoder(tensors, checkpoint.configuration)
        let prompts = prompts.map { $0.upToEnd(contextLength: checkpoint.configuration.contextLength) }
        let width = checkpoint.configuration.text.width
        let rows = prompts.reduce(0) { $0 + $1.count }
        var sequences: [TokenSequence] = []
        var float = [Float](repeating: 0, count: rows * width)
        var own = float
        float.withUnsafeMutableBufferPointer { float in
            own.withUnsafeMutableBufferPointer { own in
                guard let float = float.baseAddress, let own = own.baseAddress else { return }
                var row = 0
                for prompt in prompts {
                    text.embed(prompt, float + row * width)
                    quantized.embed(prompt, own + row * width)
                    sequences.append(TokenSequence(rows: row..<row + prompt.count, pooled: row + prompt.count - 1))
                    row += prompt.count
                }
            }
        }
        return ResidualStreams(sequences: sequences, rows: rows, float: float, quantized: own)
    }

    /// Sums of all batches: those of each lane in order, then the lanes'.
    private func gather<Batch: Sendable>(
        _ batches: [Batch], inputs: Int, outputs: Int, _ rows: (Batch, Workspace) -> LayerRows
    ) -> LayerStatistics {
        var lanes = [LayerStatistics](repeating: LayerStatistics(inputs: inputs, outputs: outputs), count: Self.lanes)
        lanes.withUnsafeMutableBufferPointer { lanes in
            // Safe: each lane is one call's own.
            nonisolated(unsafe) let lanes = lanes
            pool.forEach(Self.lanes) { lane in
                let workspace = Workspace()
                for index in stride(from: lane, to: batches.count, by: Self.lanes) {
                    let seen = rows(batches[index], workspace)
                    lanes[lane].add(seen.inputs, seen.targets, rows: seen.inputs.count / inputs)
                }
            }
        }
        for lane in 1..<Self.lanes { lanes[0].add(lanes[lane]) }
        return lanes[0]
    }

    private func advance(_ batches: inout [ResidualStreams], _ pair: BlockPair) {
        batches.withUnsafeMutableBufferPointer { batches in
            // Safe: each batch is one call's own.
            nonisolated(unsafe) let batches = batches
            pool.forEach(batches.count) { pair.advance(&batches[$0], Workspace()) }
        }
    }
}
