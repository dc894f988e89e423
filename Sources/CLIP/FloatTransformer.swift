package import Tensors

/// The rows of one picture or prompt among the rows of a pass, and the row whose state the tower's feature is taken from.
package struct TokenSequence: Sendable, Equatable {
    package let rows: Range<Int>
    package let pooled: Int

    package init(rows: Range<Int>, pooled: Int) {
        self.rows = rows
        self.pooled = pooled
    }
}

/// A stack of float transformer blocks.
///
/// Nothing but each sequence's pooled row leaves the last block, so there only its query, attention, output and dense layers are computed
/// (keys and values need all rows): exact, and a twelfth of the work of a twelve-block tower less.
package struct FloatTransformer: Sendable {
    package let configuration: TowerConfiguration
    package let blocks: [TransformerBlock]
    package let isCausal: Bool
    package let kernels: FloatKernels

    package init(configuration: TowerConfiguration, blocks: [TransformerBlock], isCausal: Bool, kernels: FloatKernels) {
        self.configuration = configuration
        self.blocks = blocks
        self.isCausal = isCausal
        self.kernels = kernels
    }

    /// Runs all blocks.
    ///
    /// - Parameters:
    ///   - hidden: [rows, width], changed in place.
    ///   - pooled: [sequences.count, width], receives the pooled rows of the last block's output.
    ///   - tap: sees the tensor at each quantization point; the last block is then computed in full.
    package func forward(
        hidden: UnsafeMutablePointer<Float>, rows: Int, sequences: [TokenSequence], pooled: UnsafeMutablePointer<Float>,
        workspace: Workspace, pool: ThreadPool, tap: ActivationTap? = nil
    ) {
        let pass = FloatPass(transformer: self, sequences: sequences, workspace: workspace, pool: pool, tap: tap)
        let width = configuration.width
        let whole = tap == nil ? max(blocks.count - 1, 0) : blocks.count
        for index in 0..<whole { pass.runWhole(index, hidden: hidden, rows: rows) }
        for (index, sequence) in sequences.enumerated() {
            (pooled + index * width).update(from: hidden + sequence.pooled * width, count: width)
        }
        if whole < blocks.count { pass.runPooled(whole, hidden: hidden, rows: rows, pooled: pooled) }
    }
}

/// Where a quantizer stands in a block (and, first, before the patch embedding): the spec's quantization points.
package enum QuantizationPoint: String, Sendable, CaseIterable {
    case patchInput = "patch.in"
    case qkvInput = "qkv.in"
    case query = "q"
    case key = "k"
    case value = "v"
    case probabilities = "probs"
    case outputInput = "out.in"
    case dense1Input = "fc1.in"
    case dense2Input = "fc2.in"
}

/// Sees the float tensor at a quantization point during calibration, piece by piece: `block` (nil before the blocks), the point, and rows of
/// contiguous elements that the quantizer would meet.
package typealias ActivationTap = (_ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) -> Void
