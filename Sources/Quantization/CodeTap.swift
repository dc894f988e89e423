package import CLIP

/// What a quantized tower shows of itself to whoever looks on: one thing after the other as it is computed.
package enum CodeView {
    /// The residual stream, [rows, width]: when a block begins, and before its MLP. The last block's output is shown under the index after it.
    case residual(UnsafeBufferPointer<Float>)
    /// Codes at a quantization point, [rows, width of the point].
    case codes(QuantizationPoint, UnsafeBufferPointer<UInt8>)
    /// Codes of softmax's output, [tokens, tokens], of one head of a sequence.
    case probabilities(sequence: Int, head: Int, UnsafeBufferPointer<UInt8>)
}

/// Looks on while a quantized tower runs, which then runs on one thread and computes its last block in full; `block` is nil before the blocks.
/// Buffers are void after the call.
package typealias CodeTap = (_ block: Int?, _ view: CodeView) -> Void
