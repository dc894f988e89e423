package import Tensors

/// OMSE's search at one quantization point: the squared error on the last calibration batch of every shrunken range, at several bit widths,
/// gathered piece by piece in a second pass over that batch, so that no activation has to be kept.
package struct OMSESearch {
    private let range: ValueRange
    private let bits: [Int]
    /// [bits, steps]
    private var errors: [[Double]]
    private let kernels: FloatKernels

    package init(range: ValueRange, bits: [Int], kernels: FloatKernels) {
        self.range = range
        self.bits = bits
        self.kernels = kernels
        errors = bits.map { _ in [Double](repeating: 0, count: Observer.omseSteps) }
    }

    /// Takes a piece of the last batch.
    package mutating func observe(_ values: UnsafeBufferPointer<Float>) {
        // Pieces small enough to stay in the first-level cache while every candidate passes over them.
        for start in stride(from: 0, to: values.count, by: 4096) {
            let piece = UnsafeBufferPointer(rebasing: values[start..<min(start + 4096, values.count)])
            for (index, bits) in bits.enumerated() {
                for step in 0..<Observer.omseSteps {
                    let quantizer = range.scaled(Observer.omseFactor(step)).quantizer(bits: bits)
                    errors[index][step] += kernels.quantizationError(
                        piece, scale: quantizer.scale, zeroPoint: Float(quantizer.zeroPoint), top: Float(quantizer.top))
                }
            }
        }
    }

    /// The quantizer with the least error at one of the widths asked for; the widest range wins ties.
    package func quantizer(bits: Int) -> ActivationQuantizer? {
        guard let index = self.bits.firstIndex(of: bits) else { return nil }
        var best = 0
        for step in 1..<Observer.omseSteps where errors[index][step] < errors[index][best] { best = step }
        return range.scaled(Observer.omseFactor(best)).quantizer(bits: bits)
    }
}
