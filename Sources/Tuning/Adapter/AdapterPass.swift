internal import Quantization
package import Tensors

/// Ranges of the QAdapter's two activations: the inputs of FC1 and of FC2.
package struct AdapterRanges: Sendable, Equatable {
    package let input: CodeScale
    package let inner: CodeScale

    package init(input: CodeScale, inner: CodeScale) {
        self.input = input
        self.inner = inner
    }
}

/// Forward and backward through the adapter for one batch, in float or, with ranges given, as if through its quantizers.
///
/// B features, D wide. Computed by the calling thread.
struct AdapterPass {
    let ratio: Float
    let kernels: FloatKernels
    /// [B, D]: FC1's input.
    private(set) var input: [Float] = []
    /// [B, inner]: after ReLU, before its quantizer.
    private(set) var hidden: [Float] = []
    private var weights: AdapterParameters
    private let ranges: AdapterRanges?
    private let rows: Int

    /// - Parameter ranges: trains through the quantizers (straight-through) where given.
    init(_ parameters: AdapterParameters, ratio: Float, ranges: AdapterRanges?, features: [Float], kernels: FloatKernels) {
        self.ratio = ratio
        self.kernels = kernels
        self.ranges = ranges
        rows = features.count / parameters.width
        weights = parameters
        if ranges != nil {
            weights.weight1 = Self.rounded(parameters.weight1, rows: parameters.inner)
            weights.weight2 = Self.rounded(parameters.weight2, rows: parameters.width)
        }
        input = features
        if let ranges { kernels.requantize(features, count: features.count, meaning: ranges.input, output: &input) }
        let inner = weights.inner
        hidden = [Float](repeating: 0, count: rows * inner)
        BLAS.multiply(
            m: rows, n: inner, k: weights.width, a: input, aStride: weights.width, transposedB: weights.weight1, bStride: weights.width,
            c: &hidden, cStride: inner)
        kernels.addBias(&hidden, stride: inner, bias: weights.bias1, rows: rows, width: inner)
        for index in hidden.indices { hidden[index] = max(hidden[index], 0) }
    }

    /// `f'` [B, D] of the features it was made with.
    func output(_ features: [Float]) -> [Float] {
        let (width, inner) = (weights.width, weights.inner)
        let codes = roundedHidden
        var output = [Float](repeating: 0, count: features.count)
        BLAS.multiply(
            m: rows, n: width, k: inner, a: codes, aStride: inner, transposedB: weights.weight2, bStride: inner, c: &output, cStride: width)
        kernels.addBias(&output, stride: width, bias: weights.bias2, rows: rows, width: width)
        for index in output.indices { output[index] = ratio * output[index] + (1 - ratio) * features[index] }
        return output
    }

    /// The gradients by the parameters, from that by the output, [B, D].
    func gradient(_ outer: [Float]) -> AdapterParameters {
        let (width, inner) = (weights.width, weights.inner)
        var gradient = AdapterParameters(zeros: width)
        var outer = outer
        for index in outer.indices { outer[index] *= ratio }
        let codes = roundedHidden
        BLAS.multiply(
            m: width, n: inner, k: rows, transposedA: outer, aStride: width, b: codes, bStride: inner, c: &gradient.weight2, cStride: inner)
        kernels.addColumnSums(outer, stride: width, rows: rows, width: width, to: &gradient.bias2)
        var byHidden = [Float](repeating: 0, count: hidden.count)
        BLAS.multiply(
            m: rows, n: inner, k: width, a: outer, aStride: width, b: weights.weight2, bStride: inner, c: &byHidden, cStride: inner)
        if let ranges { kernels.clipGradient(&byHidden, input: hidden, count: hidden.count, meaning: ranges.inner) }
        for index in hidden.indices where !(hidden[index] > 0) { byHidden[index] = 0 }
        BLAS.multiply(
            m: inner, n: width, k: rows, transposedA: byHidden, aStride: inner, b: input, bStride: width, c: &gradient.weight1,
            cStride: width)
        kernels.addColumnSums(byHidden, stride: inner, rows: rows, width: inner, to: &gradient.bias1)
        return gradient
    }

    private var roundedHidden: [Float] {
        guard let ranges else { return hidden }
        var codes = hidden
        kernels.requantize(hidden, count: hidden.count, meaning: ranges.inner, output: &codes)
        return codes
    }

    /// What a weight's 8-bit codes stand for, [rows, ...].
    private static func rounded(_ weight: [Float], rows: Int) -> [Float] {
        let codes = weight.withUnsafeBufferPointer { WeightCodes($0, rows: rows, columns: $0.count / max(rows, 1), bits: 8) }
        return codes.codes.indices.map { Float(codes.codes[$0]) * codes.scales[$0 / codes.columns] }
    }
}
