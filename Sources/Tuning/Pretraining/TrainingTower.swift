internal import CLIP
internal import Tensors

/// What both towers have in common for training: blocks, a last LayerNorm and a projection, over the rows of one lane's share of a batch.
final class TrainingTower {
    /// Rows, and where each sequence lies in them.
    struct Pass {
        let rows: Int
        let sequences: [TokenSequence]
    }

    private enum Slot: Int { case normed = 0, gradient, normedGradient, pooledGradient, hiddenGradient, otherGradient }

    private let shape: TowerConfiguration
    private let isCausal: Bool
    private let projectionWidth: Int
    private let kernels: FloatKernels
    private let blocks: [BlockPlaces]
    private let gamma: Int
    private let beta: Int
    private let projection: Int
    private let saved: [Workspace]
    private let own = Workspace()
    private let scratch = Workspace()
    private let quantizers: PointQuantizers?

    /// - Parameter quantizers: what values are rounded by at the quantization points; nil for a float tower.
    init(
        _ configuration: CLIPConfiguration, _ layout: ParameterLayout, isText: Bool, kernels: FloatKernels,
        quantizers: PointQuantizers? = nil
    ) {
        self.quantizers = quantizers
        shape = isText ? configuration.text : configuration.vision
        isCausal = isText
        projectionWidth = configuration.projectionWidth
        self.kernels = kernels
        let model = isText ? "text_model" : "vision_model"
        blocks = (0..<shape.depth).map { BlockPlaces(layout, tower: model, index: $0) }
        let norm = isText ? "text_model.final_layer_norm" : "vision_model.post_layernorm"
        gamma = layout[norm + ".weight"]
        beta = layout[norm + ".bias"]
        projection = layout[isText ? "text_projection.weight" : "visual_projection.weight"]
        saved = (0..<shape.depth).map { _ in Workspace() }
    }

    private func block(_ index: Int, _ pass: Pass, _ parameters: UnsafePointer<Float>) -> TrainingBlock {
        TrainingBlock(
            shape: shape, places: blocks[index], kernels: kernels, parameters: parameters,
            queries: QueryRows(sequences: pass.sequences, isPooled: index == blocks.count - 1, isCausal: isCausal), rows: pass.rows,
            saved: saved[index], scratch: scratch, quantizers: quantizers?.block(index))
    }

    /// Features [sequences, projectionWidth] of `hidden` [rows, width], not normalised.
    func forward(
        _ hidden: UnsafePointer<Float>, _ pass: Pass, _ parameters: UnsafePointer<Float>, features: UnsafeMutablePointer<Float>
    ) {
        var state = hidden
        for index in blocks.indices { state = UnsafePointer(block(index, pass, parameters).forward(state)) }
        let count = pass.sequences.count
        let normed = own.buffer(Slot.normed.rawValue, of: Float.self, count: count * shape.width)
        kernels.layerNorm(
            state, inputStride: shape.width, gamma: parameters + gamma, beta: parameters + beta, epsilon: shape.layerNormEpsilon,
            rows: count, width: shape.width, output: normed, outputStride: shape.width)
        BLAS.multiply(
            m: count, n: projectionWidth, k: shape.width, a: normed, aStride: shape.width, transposedB: parameters + projection,
            bStride: shape.width, c: features, cStride: projectionWidth)
    }

    /// The gradient of `hidden`, [rows, width], which stays valid until the next call; adds those of the parameters to `gradients`.
    ///
    /// - Precondition: `hidden`, `pass` and `parameters` are those of the last forward pass.
    func backward(
        _ hidden: UnsafePointer<Float>, _ pass: Pass, _ parameters: UnsafePointer<Float>, featureGradient: UnsafePointer<Float>,
        gradients: UnsafeMutablePointer<Float>
    ) -> UnsafeMutablePointer<Float> {
        let (count, width) = (pass.sequences.count, shape.width)
        func buffer(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<Float> { own.buffer(slot.rawValue, of: Float.self, count: count) }
        let normed = buffer(.normed, count * width)
        BLAS.multiply(
            m: projectionWidth, n: width, k: count, transposedA: featureGradient, aStride: projectionWidth, b: normed, bStride: width,
            c: gradients + projection, cStride: width, accumulating: true)
        let normedGradient = buffer(.normedGradient, count * width)
        BLAS.multiply(
            m: count, n: width, k: projectionWidth, a: featureGradient, aStride: projectionWidth, b: parameters + projection,
            bStride: width, c: normedGradient, cStride: width)
        let pooledGradient = buffer(.pooledGradient, count * width)
        pooledGradient.update(repeating: 0, count: count * width)
        kernels.addLayerNormGradient(
            normedGradient, stride: width, input: output(blocks.count - 1, count), inputStride: width, gamma: parameters + gamma,
            epsilon: shape.layerNormEpsilon, rows: count, width: width, to: pooledGradient, inputGradientStride: width,
            gammaGradient: gradients + gamma, betaGradient: gradients + beta)
        var (gradient, next) = (pooledGradient, buffer(.hiddenGradient, pass.rows * width))
        let other = buffer(.otherGradient, pass.rows * width)
        for index in blocks.indices.reversed() {
            let input = index == 0 ? hidden : UnsafePointer(output(index - 1, pass.rows))
            block(index, pass, parameters).backward(input, outputGradient: gradient, gradients: gradients, to: next)
            (gradient, next) = (next, gradient == pooledGradient ? other : gradient)
        }
        return gradient
    }

    private func output(_ index: Int, _ rows: Int) -> UnsafeMutablePointer<Float> {
        saved[index].buffer(TrainingBlock.Slot.output.rawValue, of: Float.self, count: rows * shape.width)
    }
}
