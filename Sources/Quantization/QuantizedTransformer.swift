package import CLIP
package import Tensors

/// A stack of transformer blocks in integers. Every result is the same bits for every batch, thread count and instruction set.
///
/// As in `FloatTransformer`, of the last block only the pooled rows are computed, but for keys and values.
package struct QuantizedTransformer: Sendable {
    package let configuration: TowerConfiguration
    package let blocks: [QuantizedBlock]
    package let isCausal: Bool
    package let gemm: IntegerGEMM
    package let attention: IntegerAttention
    package let kernels: FloatKernels

    init(configuration: TowerConfiguration, blocks: [QuantizedBlock], isCausal: Bool, instructionSet: InstructionSet) {
        self.configuration = configuration
        self.blocks = blocks
        self.isCausal = isCausal
        gemm = IntegerGEMM(instructionSet)
        attention = IntegerAttention(instructionSet)
        kernels = FloatKernels(instructionSet)
    }

    /// Runs all blocks: `hidden` [rows, width] is changed in place, `pooled` [sequences.count, width] receives the pooled rows of the last
    /// block's output.
    func forward(
        hidden: UnsafeMutablePointer<Float>, rows: Int, sequences: [TokenSequence], pooled: UnsafeMutablePointer<Float>,
        workspace: Workspace, pool: ThreadPool
    ) {
        let pass = IntegerPass(transformer: self, sequences: sequences, workspace: workspace, pool: pool)
        for index in 0..<max(blocks.count - 1, 0) { pass.runWhole(blocks[index], hidden: hidden, rows: rows) }
        for (index, sequence) in sequences.enumerated() {
            (pooled + index * configuration.width).update(
                from: hidden + sequence.pooled * configuration.width, count: configuration.width)
        }
        if let last = blocks.last { pass.runPooled(last, hidden: hidden, rows: rows, pooled: pooled) }
    }
}
