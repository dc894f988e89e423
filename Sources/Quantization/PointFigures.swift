package import CLIP
internal import Foundation
internal import Tensors

/// How well a quantizer keeps the values at its point, on the last calibration batch.
package struct PointFigures: Sendable, Equatable {
    /// The values' range.
    package let low: Float
    package let high: Float
    /// The share of values outside of the quantizer's range.
    package let clipped: Double
    /// `10 log10(sum x^2 / sum (x - x^)^2)`, in dB; nil where there is no error.
    package let signalToNoise: Double?
}

/// How well a weight matrix is kept by its codes.
package struct WeightFigures: Sendable, Equatable {
    package let bits: Int
    package let outputs: Int
    package let inputs: Int
    /// In dB; nil where there is no error.
    package let signalToNoise: Double?
}

/// In dB; nil without noise.
func signalToNoise(signal: Double, noise: Double) -> Double? { noise > 0 ? 10 * log10(signal / noise) : nil }

/// Gathers one point's figures for several quantizers, piece by piece.
struct SignalMeter {
    private let quantizers: [CodeScale]
    private let kernels: FloatKernels
    private var count = 0
    private var range = ValueRange(low: .infinity, high: -.infinity)
    private var signal = 0.0
    private var noise: [Double]
    private var clipped: [Int]

    init(_ quantizers: [CodeScale], kernels: FloatKernels) {
        self.quantizers = quantizers
        self.kernels = kernels
        noise = quantizers.map { _ in 0 }
        clipped = quantizers.map { _ in 0 }
    }

    mutating func observe(_ values: UnsafeBufferPointer<Float>) {
        count += values.count
        kernels.range(values, low: &range.low, high: &range.high)
        signal += values.reduce(0) { $0 + Double($1) * Double($1) }
        for (index, quantizer) in quantizers.enumerated() {
            let (scale, zero, top) = (quantizer.scale, Float(quantizer.zeroPoint), Float(quantizer.top))
            noise[index] += kernels.quantizationError(values, scale: scale, zeroPoint: zero, top: top)
            // Half to even: the code -0.5 becomes 0, and top, which is odd, plus 0.5 becomes top + 1.
            clipped[index] += values.count { value in
                let code = value / scale + zero
                return code < -0.5 || code >= top + 0.5
            }
        }
    }

    /// Quantizer `index`'s figures; nil if nothing was observed.
    func figures(_ index: Int) -> PointFigures? {
        guard count > 0 else { return nil }
        return PointFigures(
            low: range.low, high: range.high, clipped: Double(clipped[index]) / Double(count),
            signalToNoise: signalToNoise(signal: signal, noise: noise[index]))
    }
}

extension QuantizedTensors {
    /// How well each packed matrix, and the token embedding, keeps the checkpoint's tensor of its name.
    package func weightFigures(_ checkpoint: Checkpoint) -> [String: WeightFigures] {
        var figures: [String: WeightFigures] = [:]
        // Codes of folded weights stand for the weights times their inputs' scales, and are not compared.
        for (name, matrix) in packed where recipe == .paper || name.hasSuffix(".out_proj.weight") {
            figures[name] = Self.figures(
                checkpoint[name], codes: matrix.codes(), scales: floats[name + ".scales"], bits: matrix.bits, inputs: matrix.inputs)
        }
        if let tokens {
            let codes = tokens.withUnsafeBytes { $0.map { Int8(bitPattern: $0) } }
            figures[Self.tokenEmbedding] = Self.figures(
                checkpoint[Self.tokenEmbedding], codes: codes, scales: floats[Self.tokenEmbedding + ".scales"], bits: .eight,
                inputs: tokens.width)
        }
        return figures
    }

    private static func figures(
        _ weights: FloatTensor, codes: [Int8], scales: FloatTensor?, bits: BitWidth, inputs: Int
    ) -> WeightFigures {
        let scales = scales?.withUnsafeBufferPointer(Array.init) ?? []
        var (signal, noise) = (0.0, 0.0)
        weights.withUnsafeBufferPointer { weights in
            for (row, scale) in scales.enumerated() {
                for index in row * inputs..<(row + 1) * inputs {
                    let weight = Double(weights[index])
                    let error = weight - Double(Float(codes[index]) * scale)
                    signal += weight * weight
                    noise += error * error
                }
            }
        }
        return WeightFigures(
            bits: bits.rawValue, outputs: scales.count, inputs: inputs, signalToNoise: signalToNoise(signal: signal, noise: noise))
    }
}
