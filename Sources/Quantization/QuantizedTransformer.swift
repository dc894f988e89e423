package import CLIP
package import Tensors

/// A tower's transformer blocks, whatever they compute in.
protocol TransformerStack: Sendable {
    /// Runs all blocks: `hidden` [rows, width] is changed in place, `pooled` [sequences.count, width] receives the pooled rows of the last
    /// block's output. A `tap` looks on, and makes the last block be computed in full.
    func forward(
        hidden: UnsafeMutablePointer<Float>, rows: Int, sequences: [TokenSequence], pooled: UnsafeMutablePointer<Float>,
        workspace: Workspace, pool: ThreadPool, tap: CodeTap?)
}

/// A stack of transformer blocks in integers. Every result is the same bits for every batch, thread count and instruction set.
///
/// As in `FloatTransformer`, of the last block only the pooled rows are computed, but for keys and values.
package struct QuantizedTransformer: TransformerStack {
    package let configuration: TowerConfiguration
    package let blocks: [QuantizedBlock]
    package let isCausal: Bool
    package let gemm: IntegerGEMM
    package let attention: IntegerAttention
    package let kernels: FloatKernels
    let clock: StageClock?

    init(
        configuration: TowerConfiguration, blocks: [QuantizedBlock], isCausal: Bool, instructionSet: InstructionSet,
        clock: StageClock? = nil
    ) {
        self.configuration = configuration
        self.blocks = blocks
        self.isCausal = isCausal
        gemm = IntegerGEMM(instructionSet)
        attention = IntegerAttention(instructionSet)
        kernels = FloatKernels(instructionSet)
        self.clock = clock
    }

    func forward(
        hidden: UnsafeMutablePointer<Float>, rows: Int, sequences: [TokenSequence], pooled: UnsafeMutablePointer<Float>,
        workspace: Workspace, pool: ThreadPool, tap: CodeTap? = nil
    ) {
        let pass = IntegerPass(transformer: self, sequences: sequences, workspace: workspace, pool: pool, tap: tap)
        let whole = tap == nil ? max(blocks.count - 1, 0) : blocks.count
        for index in 0..<whole { pass.runWhole(blocks[index], index, hidden: hidden, rows: rows) }
        tap?(whole, .residual(UnsafeBufferPointer(start: hidden, count: rows * configuration.width)))
        for (index, sequence) in sequences.enumerated() {
            (pooled + index * configuration.width).update(
                from: hidden + sequence.pooled * configuration.width, count: configuration.width)
        }
        if let last = blocks.last, whole < blocks.count { pass.runPooled(last, hidden: hidden, rows: rows, pooled: pooled) }
    }
}
