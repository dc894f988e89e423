internal import Tensors

/// What a linear layer's reconstruction needs of calibration data: the inputs x that the quantized tower gives the layer, and the outputs t
/// that it ought to give.
struct LayerStatistics {
    let inputs: Int
    let outputs: Int
    private(set) var rows = 0
    /// [inputs, inputs]: sum of x x^T
    private(set) var gram: [Double]
    /// [outputs, inputs]: sum of t x^T
    private(set) var cross: [Double]
    /// [inputs]: sum of x
    private(set) var inputSums: [Double]
    /// [outputs]: sum of t
    private(set) var outputSums: [Double]

    init(inputs: Int, outputs: Int) {
        self.inputs = inputs
        self.outputs = outputs
        gram = [Double](repeating: 0, count: inputs * inputs)
        cross = [Double](repeating: 0, count: outputs * inputs)
        inputSums = [Double](repeating: 0, count: inputs)
        outputSums = [Double](repeating: 0, count: outputs)
    }

    /// Takes x [rows, inputs] and t [rows, outputs].
    mutating func add(_ x: [Float], _ t: [Float], rows count: Int) {
        precondition(x.count == count * inputs && t.count == count * outputs, "rows of other lengths")
        rows += count
        Self.addProduct(of: x, inputs, and: x, inputs, count, to: &gram)
        Self.addProduct(of: t, outputs, and: x, inputs, count, to: &cross)
        Self.addSums(of: x, inputs, to: &inputSums)
        Self.addSums(of: t, outputs, to: &outputSums)
    }

    private static func addProduct(of a: [Float], _ m: Int, and b: [Float], _ n: Int, _ rows: Int, to sum: inout [Double]) {
        var product = [Float](repeating: 0, count: m * n)
        BLAS.multiply(m: m, n: n, k: rows, transposedA: a, aStride: m, b: b, bStride: n, c: &product, cStride: n)
        for index in product.indices { sum[index] += Double(product[index]) }
    }

    private static func addSums(of x: [Float], _ width: Int, to sums: inout [Double]) {
        for start in stride(from: 0, to: x.count, by: width) {
            for column in 0..<width { sums[column] += Double(x[start + column]) }
        }
    }

    /// Takes what another saw.
    mutating func add(_ other: LayerStatistics) {
        rows += other.rows
        for index in gram.indices { gram[index] += other.gram[index] }
        for index in cross.indices { cross[index] += other.cross[index] }
        for index in inputSums.indices { inputSums[index] += other.inputSums[index] }
        for index in outputSums.indices { outputSums[index] += other.outputSums[index] }
    }

    /// Moves both means to zero, for a layer whose bias makes up for them.
    mutating func center() {
        guard rows > 0 else { return }
        let scale = 1 / Double(rows)
        for row in 0..<inputs {
            let mean = inputSums[row] * scale
            for column in 0..<inputs { gram[row * inputs + column] -= mean * inputSums[column] }
        }
        for row in 0..<outputs {
            let mean = outputSums[row] * scale
            for column in 0..<inputs { cross[row * inputs + column] -= mean * inputSums[column] }
        }
    }

    /// Part of the outputs, with the same inputs.
    func outputs(_ range: Range<Int>) -> LayerStatistics {
        var part = LayerStatistics(inputs: inputs, outputs: range.count)
        part.rows = rows
        part.gram = gram
        part.inputSums = inputSums
        part.cross = Array(cross[range.lowerBound * inputs..<range.upperBound * inputs])
        part.outputSums = Array(outputSums[range])
        return part
    }
}
