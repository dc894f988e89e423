/// An activation quantizer: unsigned, asymmetric, one scale and zero point a tensor, fixed at calibration.
///
/// `q(x) = clamp(roundeven(x / scale + zeroPoint), 0, 2^bits - 1)`, `x^ = (q - zeroPoint) * scale`. Source: the paper's equations 1 to 3.
package struct ActivationQuantizer: Sendable, Equatable {
    package let scale: Float
    package let zeroPoint: Int32
    package let bits: Int

    /// The largest code.
    package var top: Int32 { Int32(1) << bits - 1 }

    package init(scale: Float, zeroPoint: Int32, bits: Int) {
        self.scale = scale
        self.zeroPoint = zeroPoint
        self.bits = bits
    }

    /// The quantizer of the range `low ... high`: `s = (high - low) / top`, never below float32's epsilon, `z = -round(low / s)`, clamped.
    package init(low: Float, high: Float, bits: Int) {
        let top = Float(Int32(1) << bits - 1)
        let scale = max((high - low) / top, .ulpOfOne)
        let zero = -(low / scale).rounded(.toNearestOrEven)
        self.init(scale: scale, zeroPoint: Int32(min(max(zero, 0), top)), bits: bits)
    }

    /// The code of one value.
    package func code(_ x: Float) -> Int32 {
        let rounded = (x / scale + Float(zeroPoint)).rounded(.toNearestOrEven)
        return rounded > 0 ? Int32(min(rounded, Float(top))) : 0
    }
}

/// Symmetric weight codes, one scale an output channel. Source: the paper's equations 4 to 6.
package struct WeightCodes: Sendable, Equatable {
    /// [rows, columns], in `-2^(bits - 1) ... 2^(bits - 1) - 1`.
    package let codes: [Int8]
    /// [rows]
    package let scales: [Float]
    package let rows: Int
    package let columns: Int
    package let bits: Int

    /// Codes that were quantized before.
    ///
    /// - Precondition: as many codes and scales as the shape needs.
    package init(codes: [Int8], scales: [Float], rows: Int, columns: Int, bits: Int) {
        precondition(codes.count == rows * columns && scales.count == rows, "\(codes.count) codes for [\(rows), \(columns)]")
        self.codes = codes
        self.scales = scales
        self.rows = rows
        self.columns = columns
        self.bits = bits
    }

    /// Quantizes [rows, columns] by MinMax per row: `s = max(-min, max) / ((high - low) / 2)`, in IEEE float32, divisions and all, because
    /// this scale puts each row's largest weight on a rounding tie.
    package init(_ weights: UnsafeBufferPointer<Float>, rows: Int, columns: Int, bits: Int) {
        precondition(weights.count == rows * columns, "\(weights.count) weights for [\(rows), \(columns)]")
        let low = -Float(1 << (bits - 1))
        let high = Float(1 << (bits - 1) - 1)
        let half = (high - low) / 2
        var scales = [Float](repeating: 0, count: rows)
        codes = [Int8](unsafeUninitializedCapacity: rows * columns) { codes, count in
            for row in 0..<rows {
                let values = UnsafeBufferPointer(rebasing: weights[row * columns..<(row + 1) * columns])
                let scale = Self.scale(values, half: half)
                scales[row] = scale
                for column in 0..<columns {
                    let rounded = (values[column] / scale).rounded(.toNearestOrEven)
                    codes[row * columns + column] = Int8(min(max(rounded, low), high))
                }
            }
            count = rows * columns
        }
        self.scales = scales
        self.rows = rows
        self.columns = columns
        self.bits = bits
    }

    private static func scale(_ values: UnsafeBufferPointer<Float>, half: Float) -> Float {
        var low = Float.infinity
        var high = -Float.infinity
        for value in values {
            low = min(low, value)
            high = max(high, value)
        }
        return values.isEmpty ? .ulpOfOne : max(max(-low, high) / half, .ulpOfOne)
    }
}
