import CLIP
import Foundation
import Quantization

/// Simulated quantization in double precision, unfused: codes become numbers, numbers are multiplied, results become codes again. It shares no
/// arithmetic with the integer towers.
enum Simulation {
    /// A quantizer of activations: `q(x) = clamp(round(x / s + z), 0, top)`, `x^ = (q - z) s`.
    struct Quantizer {
        let scale: Double
        let zero: Double
        let top: Double

        /// Where `x` lies among the codes, before it is rounded and clamped.
        func place(_ x: Double) -> Double { x / scale + zero }
        func code(_ x: Double) -> Int { Int(min(max(place(x).rounded(.toNearestOrEven), 0), top)) }
        func value(_ code: UInt8) -> Double { (Double(code) - zero) * scale }
    }

    /// Values that a quantizer meets, and how large the numbers were that each was added up from.
    struct Values {
        var values: [Double]
        var magnitudes: [Double]
    }

    /// Weights [rows, columns] as their codes stand for them: symmetric, one scale a row, in float32 as the definition says.
    static func quantizedWeights(_ weights: [Float], rows: Int, bits: Int) -> [Double] {
        let columns = weights.count / rows
        let (low, high) = (-Float(1 << (bits - 1)), Float(1 << (bits - 1)) - 1)
        var result: [Double] = []
        result.reserveCapacity(weights.count)
        for row in 0..<rows {
            let values = weights[row * columns..<(row + 1) * columns]
            let scale = max(max(-(values.min() ?? 0), values.max() ?? 0) / ((high - low) / 2), Float.ulpOfOne)
            for value in values {
                let code = min(max((value / scale).rounded(.toNearestOrEven), low), high)
                result.append(Double(code) * Double(scale))
            }
        }
        return result
    }

    /// `x [rows, inputs] weights [outputs, inputs]^T + bias`
    static func linear(_ x: [Double], inputs: Int, _ weights: [Double], bias: [Float]?) -> Values {
        let (rows, outputs) = (x.count / inputs, weights.count / inputs)
        var result = Values(values: [Double](repeating: 0, count: rows * outputs), magnitudes: [])
        result.magnitudes = result.values
        x.withUnsafeBufferPointer { x in
            weights.withUnsafeBufferPointer { weights in
                for row in 0..<rows {
                    for output in 0..<outputs {
                        var sum = 0.0
                        for k in 0..<inputs { sum += x[row * inputs + k] * weights[output * inputs + k] }
                        let bias = Double(bias?[output] ?? 0)
                        result.values[row * outputs + output] = sum + bias
                        result.magnitudes[row * outputs + output] = abs(sum) + abs(bias)
                    }
                }
            }
        }
        return result
    }

    static func layerNorm(_ x: [Double], _ gamma: [Float], _ beta: [Float], epsilon: Double) -> Values {
        let width = gamma.count
        var result = Values(values: x, magnitudes: x)
        for start in stride(from: 0, to: x.count, by: width) {
            let row = x[start..<start + width]
            let mean = row.reduce(0, +) / Double(width)
            let deviation = (row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width) + epsilon).squareRoot()
            let size = row.reduce(0) { $0 + abs($1) } / Double(width)
            for column in 0..<width {
                let (gamma, beta) = (Double(gamma[column]), Double(beta[column]))
                result.values[start + column] = (x[start + column] - mean) / deviation * gamma + beta
                result.magnitudes[start + column] = (abs(x[start + column]) + size) / deviation * abs(gamma) + abs(beta)
            }
        }
        return result
    }

    static func activation(_ x: Values, _ kind: Activation) -> Values {
        Values(
            values: x.values.map { kind == .gelu ? 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) : $0 / (1 + exp(-1.702 * $0)) },
            magnitudes: x.magnitudes)
    }

    /// Softmax of `q k^T / sqrt d` for one head, [tokens, tokens]; pairs that may not be seen are 0.
    static func probabilities(_ q: [Double], _ k: [Double], width: Int, isCausal: Bool) -> Values {
        let tokens = q.count / width
        var result = Values(values: [Double](repeating: 0, count: tokens * tokens), magnitudes: [])
        result.magnitudes = result.values
        for i in 0..<tokens {
            let seen = isCausal ? i + 1 : tokens
            let scores = (0..<seen).map { j in
                (0..<width).reduce(0) { $0 + q[i * width + $1] * k[j * width + $1] } / Double(width).squareRoot()
            }
            let top = scores.max() ?? 0
            let sum = scores.reduce(0) { $0 + exp($1 - top) }
            let size = scores.reduce(0) { max($0, abs($1)) }
            for j in 0..<seen {
                result.values[i * tokens + j] = exp(scores[j] - top) / sum
                result.magnitudes[i * tokens + j] = exp(scores[j] - top) / sum * (1 + size)
            }
        }
        return result
    }
}
