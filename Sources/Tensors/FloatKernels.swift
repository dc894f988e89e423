internal import CKernels

/// The float operations whose result is defined to the last bit, on one instruction set (see `p4q_float.h` for each definition).
///
/// Pointers are rows of a row-major matrix; `stride` is in elements. The caller guarantees the extents.
package struct FloatKernels: Sendable {
    // Safe: points at a constant table in the C library, which is never written.
    nonisolated(unsafe) let table: UnsafePointer<p4q_float_kernels>

    package init(_ instructionSet: InstructionSet = .best) {
        precondition(instructionSet.isSupported, "this machine cannot run \(instructionSet.rawValue)")
        table = p4q_float_kernels_for(instructionSet.code)
    }

    /// LayerNorm over rows of `width` elements; `output` may be `input`.
    package func layerNorm(
        _ input: UnsafePointer<Float>, inputStride: Int, gamma: UnsafePointer<Float>, beta: UnsafePointer<Float>, epsilon: Float,
        rows: Int, width: Int, output: UnsafeMutablePointer<Float>, outputStride: Int
    ) {
        table.pointee.layer_norm(input, inputStride, gamma, beta, epsilon, rows, width, output, outputStride)
    }

    /// In place `softmax(scale * x)` over the first `first + step * row` elements of each row of `width`; the rest become 0.
    package func softmax(
        _ x: UnsafeMutablePointer<Float>, stride: Int, scale: Float, rows: Int, width: Int, first: Int? = nil, step: Int = 0
    ) {
        table.pointee.softmax(x, stride, scale, rows, width, first ?? width, step)
    }

    /// `x[row, :] += bias`
    package func addBias(_ x: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>, rows: Int, width: Int) {
        table.pointee.add_bias(x, stride, bias, rows, width)
    }

    /// `x[row, :] = v * sigmoid(1.702 v)`, `v = x[row, :] + bias`
    package func biasQuickGELU(_ x: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>, rows: Int, width: Int) {
        table.pointee.bias_quick_gelu(x, stride, bias, rows, width)
    }

    /// `x[row, :] = v / 2 * (1 + erf(v / sqrt 2))`, `v = x[row, :] + bias`
    package func biasGELU(_ x: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>, rows: Int, width: Int) {
        table.pointee.bias_gelu(x, stride, bias, rows, width)
    }

    /// `output[row] = x . matrix[row, :]`
    package func dotRows(
        _ x: UnsafePointer<Float>, matrix: UnsafePointer<Float>, stride: Int, rows: Int, width: Int, output: UnsafeMutablePointer<Float>
    ) {
        table.pointee.dot_rows(x, matrix, stride, rows, width, output)
    }

    /// `output = x / |x|`; a zero vector stays zero. `output` may be `x`.
    package func normalize(_ x: UnsafePointer<Float>, count: Int, output: UnsafeMutablePointer<Float>) {
        table.pointee.normalize(x, count, output)
    }

    /// `output[i] = exp(x[i])`
    package func exp(_ x: UnsafePointer<Float>, count: Int, output: UnsafeMutablePointer<Float>) {
        table.pointee.exp(x, count, output)
    }

    /// Sum of the squared differences between `x` and its quantized form at `scale`, `zeroPoint` and codes `0...top`.
    package func quantizationError(_ x: UnsafeBufferPointer<Float>, scale: Float, zeroPoint: Float, top: Float) -> Double {
        guard let base = x.baseAddress else { return 0 }
        return table.pointee.quantization_error(base, x.count, scale, zeroPoint, top)
    }

    /// Widens `low ... high` to hold `x`; NaN is ignored.
    package func range(_ x: UnsafeBufferPointer<Float>, low: inout Float, high: inout Float) {
        guard let base = x.baseAddress else { return }
        table.pointee.range(base, x.count, &low, &high)
    }
}
