internal import CLIP
internal import Tensors

/// Weights and bias of one linear layer, chosen so that on calibration data its outputs are as near to the float model's as codes allow.
///
/// Codes are chosen one input after the other, each one's rounding error made up for by the inputs still to come; the bias then gives each
/// output its mean. Source: Frantar et al., GPTQ (2023), equations 2 and 3, with the inputs in order of falling energy and the statistics of
/// the inputs that the quantized tower really gives; the bias is Nagel et al., Data-free quantization (2019), section 4.2.
struct LayerReconstruction {
    /// Of the mean diagonal element of the inputs' covariance: the ridge's strength.
    let damping: Double
    let bits: BitWidth
    /// How far the weights first move from the model's own (0) to those that, in floats, do best on the inputs as they are quantized (1; a ridge
    /// regression, Li et al., GPTAQ, 2025, in closed form). It makes up for errors of the inputs, but shrinks what a layer gives.
    let regression: Double
    let pool: ThreadPool

    /// Shares of the largest weight that a row's scale is tried for. At few bits a clipped row with finer steps is nearer to the weights.
    private static let clippings = stride(from: 1.0, through: 0.2, by: -0.02)

    /// Weights [outputs, inputs] and bias [outputs]; without `hasBias` the outputs' means count as well, and the bias is zero. Nil if the data
    /// determine nothing.
    func run(_ statistics: LayerStatistics, weight: FloatTensor, hasBias: Bool) -> (codes: WeightCodes, bias: [Float])? {
        var statistics = statistics
        if hasBias { statistics.center() }
        let (inputs, outputs) = (statistics.inputs, statistics.outputs)
        let mean = (0..<inputs).reduce(0) { $0 + statistics.gram[$1 * inputs + $1] } / Double(max(inputs, 1))
        guard statistics.rows > 0, mean > 0 else { return nil }
        let ridge = damping * mean
        // In order of falling energy.
        let order = (0..<inputs).sorted {
            let (a, b) = (statistics.gram[$0 * inputs + $0], statistics.gram[$1 * inputs + $1])
            return a == b ? $0 < $1 : a > b
        }
        let covariance = SymmetricMatrix(
            order: inputs,
            elements: order.flatMap { row in
                order.map { column in statistics.gram[row * inputs + column] + (row == column ? ridge : 0) }
            })
        guard let inverse = covariance.inverse(), let factor = inverse.choleskyFactor() else { return nil }
        let own = weight.withUnsafeBufferPointer { weight in
            (0..<outputs).flatMap { row in order.map { Double(weight[row * inputs + $0]) } }
        }
        var best = own
        if regression > 0 {
            let target = (0..<outputs).flatMap { row in
                order.enumerated().map { place, input in
                    statistics.cross[row * inputs + input] + ridge * own[row * inputs + place]
                }
            }
            let found = inverse.product(rows: target, count: outputs)
            for index in best.indices { best[index] += regression * (found[index] - best[index]) }
        }
        let energy = (0..<inputs).map { covariance[$0, $0] }
        var codes = [Int8](repeating: 0, count: outputs * inputs)
        var scales = [Float](repeating: 0, count: outputs)
        codes.withUnsafeMutableBufferPointer { codes in
            scales.withUnsafeMutableBufferPointer { scales in
                // Safe: each row is written by one thread.
                nonisolated(unsafe) let (codes, scales) = (codes, scales)
                pool.forEach(outputs) { row in
                    var weights = Array(best[row * inputs..<(row + 1) * inputs])
                    let scale = Float(scale(weights, energy))
                    scales[row] = scale
                    let rounded = round(&weights, Double(scale), factor)
                    for (place, input) in order.enumerated() { codes[row * inputs + input] = rounded[place] }
                }
            }
        }
        var bias = [Float](repeating: 0, count: outputs)
        if hasBias {
            for row in 0..<outputs {
                let given = (0..<inputs).reduce(0.0) { $0 + Double(codes[row * inputs + $1]) * statistics.inputSums[$1] }
                bias[row] = Float((statistics.outputSums[row] - Double(scales[row]) * given) / Double(statistics.rows))
            }
        }
        return (WeightCodes(codes: codes, scales: scales, rows: outputs, columns: inputs, bits: bits.rawValue), bias)
    }

    private var range: ClosedRange<Double> { Double(bits.signedRange.lowerBound)...Double(bits.signedRange.upperBound) }

    private func code(_ value: Double) -> Double { min(max(value.rounded(.toNearestOrEven), range.lowerBound), range.upperBound) }

    /// The scale whose codes, each rounded for itself, miss least of the outputs' energy.
    private func scale(_ weights: [Double], _ energy: [Double]) -> Double {
        let largest = weights.reduce(0) { max($0, abs($1)) }
        let half = (range.upperBound - range.lowerBound) / 2
        var best = (scale: max(largest / half, Double(Float.ulpOfOne)), error: Double.infinity)
        for clipping in Self.clippings {
            let scale = max(largest * clipping / half, Double(Float.ulpOfOne))
            var error = 0.0
            for (weight, energy) in zip(weights, energy) {
                let rest = weight - scale * code(weight / scale)
                error += energy * rest * rest
            }
            if error < best.error { best = (scale, error) }
        }
        return best.scale
    }

    /// Rounds a row's weights in order; `factor` is Cholesky's upper factor of the inverse covariance.
    private func round(_ weights: inout [Double], _ scale: Double, _ factor: [Double]) -> [Int8] {
        let count = weights.count
        return weights.withUnsafeMutableBufferPointer { weights in
            factor.withUnsafeBufferPointer { factor in
                (0..<count).map { input in
                    let code = code(weights[input] / scale)
                    let row = input * count
                    let error = (weights[input] - scale * code) / factor[row + input]
                    for later in input + 1..<max(count, input + 1) { weights[later] -= error * factor[row + later] }
                    return Int8(code)
                }
            }
        }
    }
}
