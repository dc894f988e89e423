package import Quantization
package import Tensors

/// The QAdapter in integers: 8-bit weights, one scale an output channel, and 8-bit activations.
///
/// Its result is one answer: `a * y + (1 - a) * f`, each product and the sum rounded once, with `y` FC2's output as the integer kernels
/// define it; the same bits on every instruction set, in every batch, on every number of threads.
package struct QuantizedAdapter: Sendable {
    package let ratio: Float
    package let ranges: AdapterRanges
    /// [inner, width], [width, inner]
    package let weights: (first: WeightCodes, second: WeightCodes)
    /// [inner], [width]
    package let biases: (first: [Float], second: [Float])

    private let packed: (first: PackedMatrix, second: PackedMatrix)
    /// Input scale times weight scale, by channel.
    private let scales: (first: [Float], second: [Float])

    package var width: Int { weights.second.rows }
    package var inner: Int { weights.first.rows }

    /// Quantizes trained parameters: weights by MinMax per output channel.
    package init(_ parameters: AdapterParameters, ratio: Float, ranges: AdapterRanges) throws(TensorsError) {
        func codes(_ weight: [Float], _ rows: Int, _ columns: Int) -> WeightCodes {
            weight.withUnsafeBufferPointer { WeightCodes($0, rows: rows, columns: columns, bits: 8) }
        }
        try self.init(
            first: codes(parameters.weight1, parameters.inner, parameters.width), bias1: parameters.bias1,
            second: codes(parameters.weight2, parameters.width, parameters.inner), bias2: parameters.bias2, ratio: ratio, ranges: ranges)
    }

    /// - Precondition: shapes agree; whoever read the file has checked that.
    package init(
        first: WeightCodes, bias1: [Float], second: WeightCodes, bias2: [Float], ratio: Float, ranges: AdapterRanges
    ) throws(TensorsError) {
        precondition(first.rows == second.columns && first.columns == second.rows, "FC1 and FC2 are each other's transpose in shape")
        precondition(bias1.count == first.rows && bias2.count == second.rows, "a bias for every channel")
        self.ratio = ratio
        self.ranges = ranges
        weights = (first, second)
        biases = (bias1, bias2)
        packed = (
            try PackedMatrix(codes: first.codes, outputs: first.rows, inputs: first.columns, bits: .eight),
            try PackedMatrix(codes: second.codes, outputs: second.rows, inputs: second.columns, bits: .eight)
        )
        scales = (first.scales.map { $0 * ranges.input.scale }, second.scales.map { $0 * ranges.inner.scale })
    }

    /// Turns projected features, [count, width], into adapted ones, in place.
    package func apply(
        to features: UnsafeMutableBufferPointer<Float>, count: Int, gemm: IntegerGEMM = IntegerGEMM(), workspace: Workspace
    ) {
        precondition(features.count >= count * width, "\(features.count) floats do not hold \(count) features of \(width)")
        guard count > 0, let features = features.baseAddress else { return }
        let (width, inner) = (width, inner)
        let input = workspace.buffer(0, of: UInt8.self, count: count * width)
        let hidden = workspace.buffer(1, of: UInt8.self, count: count * inner)
        let output = workspace.buffer(2, of: Float.self, count: count * width)
        let bytes = gemm.scratchByteCount(rows: count, inputs: max(width, inner))
        let scratch = UnsafeMutableRawPointer(workspace.buffer(3, of: UInt8.self, count: bytes))
        gemm.quantize(features, stride: width, rows: count, width: width, by: ranges.input, to: input, codesStride: width)
        // FC2's zero point is 0 because ReLU's output is never negative: a code's lower bound is the ReLU.
        multiply(input, count, packed.first, scales.first, biases.first, ranges.input, .codes(hidden, ranges.inner), gemm, scratch)
        multiply(hidden, count, packed.second, scales.second, biases.second, ranges.inner, .floats(output), gemm, scratch)
        let rest = 1 - ratio
        for index in 0..<count * width { features[index] = ratio * output[index] + rest * features[index] }
    }

    private func multiply(
        _ codes: UnsafePointer<UInt8>, _ count: Int, _ weight: PackedMatrix, _ scales: [Float], _ bias: [Float], _ meaning: CodeScale,
        _ output: ProductOutput, _ gemm: IntegerGEMM, _ scratch: UnsafeMutableRawPointer
    ) {
        scales.withUnsafeBufferPointer { scales in
            bias.withUnsafeBufferPointer { bias in
                guard let scales = scales.baseAddress else { return }
                let matrix = CodeMatrix(codes, stride: weight.inputs, rows: count, columns: weight.inputs, meaning: meaning)
                gemm.multiply(
                    matrix, weight, channels: .perChannel(scales, bias: bias.baseAddress), to: output, stride: weight.outputs,
                    scratch: scratch)
            }
        }
    }
}
