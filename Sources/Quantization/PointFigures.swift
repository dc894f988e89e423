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
    private struct Quantizer {
        let scale: Float
        let zero: Float
        let top: Float
    }

    private let quantizers: [Quantizer]
    private let kernels: FloatKernels
    private var count = 0
    private var range = ValueRange(low: .infinity, high: -.infinity)
    private var signal = 0.0
    /// One a quantizer, or one for all channels.
    private var noise: [Double]
    private var clipped: [Int]

    /// Each quantizer takes every value.
    init(_ quantizers: [CodeScale], kernels: FloatKernels) {
        self.quantizers = quantizers.map { Quantizer(scale: $0.scale, zero: Float($0.zeroPoint), top: Float($0.top)) }
        self.kernels = kernels
        noise = quantizers.map { _ in 0 }
        clipped = quantizers.map { _ in 0 }
    }

    /// Each of a point's channels has its own, and all make one figure.
    init(_ channels: ChannelQuantizer, kernels: FloatKernels) {
        quantizers = zip(channels.scales, channels.zeroPoints).map { Quantizer(scale: $0, zero: $1, top: channels.top) }
        self.kernels = kernels
        noise = [0]
        clipped = [0]
    }

    mutating func observe(_ values: UnsafeBufferPointer<Float>) {
        describe(values)
        for index in quantizers.indices { add(values, quantizers[index], to: index) }
    }

    /// Values of one channel.
    mutating func observe(_ values: UnsafeBufferPointer<Float>, quantizer channel: Int) {
        describe(values)
        add(values, quantizers[channel], to: 0)
    }

    private mutating func describe(_ values: UnsafeBufferPointer<Float>) {
        count += values.count
        kernels.range(values, low: &range.low, high: &range.high)
        signal += values.reduce(0) { $0 + Double($1) * Double($1) }
    }

    private mutating func add(_ values: UnsafeBufferPointer<Float>, _ quantizer: Quantizer, to index: Int) {
        let (scale, zero, top) = (quantizer.scale, quantizer.zero, quantizer.top)
        noise[index] += kernels.quantizationError(values, scale: scale, zeroPoint: zero, top: top)
        // Half to even: the code -0.5 becomes 0, and top, which is odd, plus 0.5 becomes top + 1.
        clipped[index] += values.count { value in
            let code = value / scale + zero
            return code < -0.5 || code >= top + 0.5
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
    /// How well each packed matrix, and the token embedding, keeps the checkpoint's tensor of its name; folded scales taken out again.
    package func weightFigures(_ checkpoint: Checkpoint) -> [String: WeightFigures] {
        var figures: [String: WeightFigures] = [:]
        for (name, matrix) in packed {
            let input = recipe == .reference ? QuantizedLayout.layer(of: name).flatMap { channelPoints[$0 + ".in"] } : nil
            figures[name] = Self.figures(
                checkpoint[name], codes: matrix.codes(), scales: floats[name + ".scales"], bits: matrix.bits, inputs: matrix.inputs,
                folded: input?.scales ?? [1])
        }
        if let tokens {
            let codes = tokens.withUnsafeBytes { $0.map { Int8(bitPattern: $0) } }
            figures[Self.tokenEmbedding] = Self.figures(
                checkpoint[Self.tokenEmbedding], codes: codes, scales: floats[Self.tokenEmbedding + ".scales"], bits: .eight,
                inputs: tokens.width, folded: [1])
        }
        return figures
    }

    /// - Parameter folded: what weights were multiplied with before they were quantized, each for a run of neighbouring columns.
    private static func figures(
        _ weights: FloatTensor, codes: [Int8], scales: FloatTensor?, bits: BitWidth, inputs: Int, folded: [Float]
    ) -> WeightFigures {
        let run = max(1, inputs / folded.count)
        let scales = scales?.withUnsafeBufferPointer(Array.init) ?? []
        var (signal, noise) = (0.0, 0.0)
        weights.withUnsafeBufferPointer { weights in
            for (row, scale) in scales.enumerated() {
                for index in row * inputs..<(row + 1) * inputs {
                    let weight = Double(weights[index])
                    let error = weight - Double(Float(codes[index]) * scale) / Double(folded[(index - row * inputs) / run])
                    signal += weight * weight
                    noise += error * error
                }
            }
        }
        return WeightFigures(
            bits: bits.rawValue, outputs: scales.count, inputs: inputs, signalToNoise: signalToNoise(signal: signal, noise: noise))
    }
}
