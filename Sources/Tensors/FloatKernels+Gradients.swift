internal import CKernels
internal import Foundation

/// Gradients of the float operations, defined to the last bit as these are (`p4q_float.h`).
///
/// Pointers are rows of a row-major matrix; strides are in elements. The caller guarantees the extents.
extension FloatKernels {
    /// Adds the gradient of LayerNorm's input to `inputGradient`, from that of its output; and, where given, those of its parameters, [width],
    /// to `gammaGradient` and `betaGradient`.
    package func addLayerNormGradient(
        _ gradient: UnsafePointer<Float>, stride: Int, input: UnsafePointer<Float>, inputStride: Int, gamma: UnsafePointer<Float>,
        epsilon: Float, rows: Int, width: Int, to inputGradient: UnsafeMutablePointer<Float>, inputGradientStride: Int,
        gammaGradient: UnsafeMutablePointer<Float>? = nil, betaGradient: UnsafeMutablePointer<Float>? = nil
    ) {
        table.pointee.layer_norm_gradient(
            gradient, stride, input, inputStride, gamma, epsilon, rows, width, inputGradient, inputGradientStride, gammaGradient,
            betaGradient)
    }

    /// Turns the gradient of `y = softmax(scale * x)` into that of x, in place; `first` and `step` as for `softmax`.
    package func softmaxGradient(
        _ gradient: UnsafeMutablePointer<Float>, stride: Int, output y: UnsafePointer<Float>, outputStride: Int, scale: Float, rows: Int,
        width: Int, first: Int? = nil, step: Int = 0
    ) {
        table.pointee.softmax_gradient(gradient, stride, y, outputStride, scale, rows, width, first ?? width, step)
    }

    /// Turns the gradient of `v * sigmoid(1.702 v)` into that of v, in place.
    package func quickGELUGradient(_ gradient: UnsafeMutablePointer<Float>, input v: UnsafePointer<Float>, count: Int) {
        table.pointee.quick_gelu_gradient(gradient, v, count)
    }

    /// Turns the gradient of `v / 2 * (1 + erf(v / sqrt 2))` into that of v, in place.
    package func geluGradient(_ gradient: UnsafeMutablePointer<Float>, input v: UnsafePointer<Float>, count: Int) {
        table.pointee.gelu_gradient(gradient, v, count)
    }

    /// The gradient of x from that of `y = x / |x|`; 0 for a zero vector. `inputGradient` may be `gradient`.
    package func normalizeGradient(
        _ gradient: UnsafePointer<Float>, input x: UnsafePointer<Float>, count: Int, to inputGradient: UnsafeMutablePointer<Float>
    ) {
        table.pointee.normalize_gradient(gradient, x, count, inputGradient)
    }

    /// The straight-through rule, in place: a gradient passes where the rounded code of `x` lies inside the range, and is 0 where it was
    /// clipped.
    package func clipGradient(_ gradient: UnsafeMutablePointer<Float>, input x: UnsafePointer<Float>, count: Int, meaning: CodeScale) {
        table.pointee.clip_gradient(gradient, x, count, meaning.inverseScale, Float(meaning.zeroPoint), Float(meaning.top))
    }

    /// `output = (code - zeroPoint) * scale` with the codes of `x`: what the integer kernels take `x` for. `output` may be `x`.
    package func requantize(_ x: UnsafePointer<Float>, count: Int, meaning: CodeScale, output: UnsafeMutablePointer<Float>) {
        table.pointee.requantize(x, count, meaning.inverseScale, meaning.scale, Float(meaning.zeroPoint), Float(meaning.top), output)
    }

    /// Cross entropy of `softmax(logits)` with `targets`, both [rows, classes] and dense, mean over the rows.
    ///
    /// - Parameters:
    ///   - weight: of this loss in the whole.
    ///   - gradient: [rows, classes], to which `weight` times the loss's gradient by the logits is added.
    /// - Returns: the loss, not weighted.
    package func crossEntropy(
        logits: UnsafePointer<Float>, targets: UnsafePointer<Float>, rows: Int, classes: Int, weight: Float,
        addingGradientTo gradient: UnsafeMutablePointer<Float>
    ) -> Double {
        guard rows > 0, classes > 0 else { return 0 }
        let share = weight / Float(rows)
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: classes) { scratch in
            guard let shares = scratch.baseAddress else { return 0 }
            var total = 0.0
            for row in 0..<rows {
                let (logits, targets, gradient) = (logits + row * classes, targets + row * classes, gradient + row * classes)
                shares.update(from: logits, count: classes)
                softmax(shares, stride: classes, scale: 1, rows: 1, width: classes)
                var best = 0
                for index in 1..<max(classes, 1) where logits[index] > logits[best] { best = index }
                // The largest share is 1 / sum exp(z - max z), and never small.
                let logSum = Double(logits[best]) - log(Double(shares[best]))
                var mass: Float = 0
                for index in 0..<classes {
                    total += Double(targets[index]) * (logSum - Double(logits[index]))
                    mass += targets[index]
                }
                for index in 0..<classes { gradient[index] += share * (shares[index] * mass - targets[index]) }
            }
            return total / Double(rows)
        }
    }

    /// `sums[i] += ` the sum of column i over the rows: a bias's gradient.
    package func addColumnSums(_ x: UnsafePointer<Float>, stride: Int, rows: Int, width: Int, to sums: UnsafeMutablePointer<Float>) {
        for row in 0..<rows { addBias(sums, stride: width, bias: x + row * stride, rows: 1, width: width) }
    }
}
