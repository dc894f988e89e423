internal import CLIP
internal import Tensors

/// A block of the recipe `reference`: integers where a linear map takes codes with a scale a channel, floats elsewhere.
struct ReferenceBlock: Sendable {
    let norm1: LayerNorm
    let qkvInput: ChannelQuantizer
    let query: QuantizedDense
    let key: QuantizedDense
    let value: QuantizedDense
    /// [width, width]: what the 8-bit codes stand for, because its input is float.
    let output: FloatTensor
    let outputBias: FloatTensor
    let norm2: LayerNorm
    let dense1Input: ChannelQuantizer
    let dense1: QuantizedDense
    let dense2Input: ChannelQuantizer
    let dense2: QuantizedDense
}

/// A stack of blocks of the recipe `reference`. Float products are summed in the float kernels' fixed order, so that every result is the same
/// bits for every batch, thread count and instruction set here too.
struct ReferenceTransformer: TransformerStack {
    let configuration: TowerConfiguration
    let blocks: [ReferenceBlock]
    let isCausal: Bool
    let gemm: IntegerGEMM
    let kernels: FloatKernels

    init(configuration: TowerConfiguration, blocks: [ReferenceBlock], isCausal: Bool, instructionSet: InstructionSet) {
        self.configuration = configuration
        self.blocks = blocks
        self.isCausal = isCausal
        gemm = IntegerGEMM(instructionSet)
        kernels = FloatKernels(instructionSet)
    }

    func forward(
        hidden: UnsafeMutablePointer<Float>, rows: Int, sequences: [TokenSequence], pooled: UnsafeMutablePointer<Float>,
        workspace: Workspace, pool: ThreadPool, tap: CodeTap?
    ) {
        let width = configuration.width
        let pass = ReferencePass(transformer: self, sequences: sequences, workspace: workspace, pool: pool, tap: tap)
        let whole = tap == nil ? max(blocks.count - 1, 0) : blocks.count
        let all = sequences.flatMap { sequence in sequence.rows.map { ReferencePass.Query(row: $0, sequence: sequence) } }
        for index in 0..<whole { pass.run(blocks[index], index, hidden: hidden, rows: rows, queries: all, output: hidden) }
        tap?(whole, .residual(UnsafeBufferPointer(start: hidden, count: rows * width)))
        for (index, sequence) in sequences.enumerated() {
            (pooled + index * width).update(from: hidden + sequence.pooled * width, count: width)
        }
        let last = sequences.map { ReferencePass.Query(row: $0.pooled, sequence: $0) }
        if whole < blocks.count { pass.run(blocks[whole], whole, hidden: hidden, rows: rows, queries: last, output: pooled) }
    }
}

extension QuantizedTensors {
    func channels(_ point: QuantizationPoint, _ tower: Tower, _ block: Int?) -> ChannelQuantizer {
        let name = point.name(tower, block: block)
        guard let quantizer = channelPoints[name] else { preconditionFailure("there is no point \(name)") }
        return quantizer
    }

    /// A linear map whose weights hold the scales of its input's channels, and whose bias their zero points: its codes count as they are.
    func foldedDense(_ name: String, _ input: ChannelQuantizer) -> QuantizedDense {
        dense(name, input: CodeScale(scale: 1, zeroPoint: 0, bits: BitWidth(rawValue: input.bits) ?? .eight))
    }

    func referenceBlocks(_ tower: Tower, depth: Int) -> [ReferenceBlock] {
        (0..<depth).map { index in
            let prefix = "\(tower.rawValue)_model.encoder.layers.\(index)."
            let attention = prefix + "self_attn."
            let qkv = channels(.qkvInput, tower, index)
            let (first, second) = (channels(.dense1Input, tower, index), channels(.dense2Input, tower, index))
            return ReferenceBlock(
                norm1: norm(prefix + "layer_norm1"), qkvInput: qkv, query: foldedDense(attention + "q_proj", qkv),
                key: foldedDense(attention + "k_proj", qkv), value: foldedDense(attention + "v_proj", qkv),
                output: projection(attention + "out_proj.weight"), outputBias: float(attention + "out_proj.bias"),
                norm2: norm(prefix + "layer_norm2"), dense1Input: first, dense1: foldedDense(prefix + "mlp.fc1", first),
                dense2Input: second, dense2: foldedDense(prefix + "mlp.fc2", second))
        }
    }
}
