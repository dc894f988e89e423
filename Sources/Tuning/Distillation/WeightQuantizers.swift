internal import CLIP
internal import Quantization
internal import Tensors

/// The weight matrices of an image tower while they learn: floats that are rounded at every step by a scale an output channel, which learns
/// too.
struct WeightQuantizers: Sendable {
    /// [rows, columns] at `offset` of the layout; its scales begin at `firstScale` of all scales.
    struct Matrix {
        let name: String
        let offset: Int
        let rows: Int
        let columns: Int
        let bits: BitWidth
        let firstScale: Int

        var low: Float { Float(bits.signedRange.lowerBound) }
        var high: Float { Float(bits.signedRange.upperBound) }
    }

    let matrices: [Matrix]
    /// Scales of all matrices.
    let count: Int

    /// Those of `layout` that `tensors` has in codes.
    init(_ layout: ParameterLayout, _ tensors: QuantizedTensors) {
        var matrices: [Matrix] = []
        var count = 0
        for entry in layout.entries {
            guard let packed = tensors.packed[entry.name] else { continue }
            matrices.append(
                Matrix(
                    name: entry.name, offset: entry.offset, rows: packed.outputs, columns: packed.inputs, bits: packed.bits,
                    firstScale: count))
            count += packed.outputs
        }
        self.matrices = matrices
        self.count = count
    }

    /// Adding and taking it away rounds a small float half to even.
    private static let rounder: Float = 12_582_912

    private func code(_ value: Float, _ matrix: Matrix) -> Float {
        min(max(value, matrix.low), matrix.high) + Self.rounder - Self.rounder
    }

    /// What the codes of the matrices stand for, into the matrices' places of `rounded`.
    func round(_ weights: [Float], scales: [Float], to rounded: inout [Float], pool: ThreadPool) {
        rounded.withUnsafeMutableBufferPointer { rounded in
            // Safe: matrices don't overlap, and each is one call's.
            nonisolated(unsafe) let rounded = rounded
            pool.forEach(matrices.count) { index in
                let matrix = matrices[index]
                for row in 0..<matrix.rows {
                    let (start, scale) = (matrix.offset + row * matrix.columns, scales[matrix.firstScale + row])
                    let inverse = 1 / scale
                    for place in start..<start + matrix.columns { rounded[place] = code(weights[place] * inverse, matrix) * scale }
                }
            }
        }
    }

    /// The codes of one matrix.
    func codes(_ matrix: Matrix, _ weights: [Float], scales: [Float]) -> WeightCodes {
        let own = Array(scales[matrix.firstScale..<matrix.firstScale + matrix.rows])
        let codes = (0..<matrix.rows * matrix.columns).map { index in
            Int8(code(weights[matrix.offset + index] * (1 / own[index / matrix.columns]), matrix))
        }
        return WeightCodes(codes: codes, scales: own, rows: matrix.rows, columns: matrix.columns, bits: matrix.bits.rawValue)
    }

    /// Turns the gradients of what the codes stand for into those of the weights, in place, and writes those of the scales' logarithms from
    /// `firstScale` on.
    ///
    /// Source: Esser et al., Learned step size quantization (2020), equation 3.
    func passGradients(_ gradients: inout [Float], _ weights: [Float], scales: [Float], firstScale: Int, pool: ThreadPool) {
        gradients.withUnsafeMutableBufferPointer { gradients in
            // Safe: matrices don't overlap, nor do their scales, and each is one call's.
            nonisolated(unsafe) let gradients = gradients
            pool.forEach(matrices.count) { index in
                let matrix = matrices[index]
                for row in 0..<matrix.rows {
                    let (start, scale) = (matrix.offset + row * matrix.columns, scales[matrix.firstScale + row])
                    let inverse = 1 / scale
                    var sum: Float = 0
                    for place in start..<start + matrix.columns {
                        let value = weights[place] * inverse
                        let code = code(value, matrix)
                        let isInside = value >= matrix.low - 0.5 && value <= matrix.high + 0.5
                        sum += gradients[place] * (isInside ? code - value : code)
                        gradients[place] = isInside ? gradients[place] : 0
                    }
                    gradients[firstScale + matrix.firstScale + row] = sum * scale
                }
            }
        }
    }
}
