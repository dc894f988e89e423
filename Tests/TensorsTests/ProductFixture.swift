import Tensors

/// A product's operands, made from a seed, and the naive ways to compute it that the kernels are held against.
///
/// M rows of activations, N output channels, K inputs.
struct ProductFixture {
    let m: Int
    let n: Int
    let k: Int
    let activations: [UInt8]
    let codes: [Int8]
    let weights: PackedMatrix
    let scales: [Float]
    let biases: [Float]
    let meaning: CodeScale

    enum Values: CaseIterable {
        case random
        /// Every product at its largest: the sums come closest to the ends of 16 and 32 bits.
        case extreme
    }

    init(
        m: Int, n: Int, k: Int, weightBits: BitWidth, activationBits: BitWidth = .eight, zeroPoint: Int, values: Values = .random,
        seed: UInt64 = 1
    ) throws {
        var random = Random(state: seed)
        self.m = m
        self.n = n
        self.k = k
        let top = UInt8(activationBits.unsignedRange.upperBound)
        let lowest = Int8(weightBits.signedRange.lowerBound)
        activations = (0..<m * k).map { _ in values == .extreme ? top : UInt8.random(in: 0...top, using: &random) }
        codes = (0..<n * k).map { _ in
            values == .extreme ? lowest : Int8(Int.random(in: weightBits.signedRange, using: &random))
        }
        weights = try PackedMatrix(codes: codes, outputs: n, inputs: k, bits: weightBits)
        scales = random.floats(n, 0.0005...0.002)
        biases = random.floats(n, -2...2)
        meaning = CodeScale(scale: 0.02, zeroPoint: zeroPoint, bits: activationBits)
    }

    /// The exact sum for row `i`, channel `j`.
    func sum(_ i: Int, _ j: Int) -> Int64 {
        var sum: Int64 = 0
        for l in 0..<k { sum += (Int64(activations[i * k + l]) - Int64(meaning.zeroPoint)) * Int64(codes[j * k + l]) }
        return sum
    }

    /// `fma(sum, scale, bias)` in Double.
    func value(_ i: Int, _ j: Int) -> Double { Double(sum(i, j)) * Double(scales[j]) + Double(biases[j]) }

    /// What `output` makes of an [m, n] array that holds `initial`.
    func run<Element>(
        _ set: InstructionSet, initial: Element, scales: [Float]? = nil, biases: [Float]? = nil, panels: Range<Int>? = nil,
        _ output: (UnsafeMutablePointer<Element>) -> ProductOutput
    ) -> [Element] {
        let gemm = IntegerGEMM(set)
        var result = [Element](repeating: initial, count: m * n + 1)
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: gemm.scratchByteCount(rows: m, inputs: k), alignment: 64)
        defer { scratch.deallocate() }
        let scales = scales ?? self.scales
        let biases = biases ?? self.biases
        activations.withUnsafeBufferPointer { a in
            result.withUnsafeMutableBufferPointer { out in
                scales.withUnsafeBufferPointer { scales in
                    biases.withUnsafeBufferPointer { biases in
                        guard let a = a.baseAddress, let out = out.baseAddress, let scales = scales.baseAddress else { return }
                        gemm.multiply(
                            CodeMatrix(a, stride: k, rows: m, columns: k, meaning: meaning), weights,
                            channels: .perChannel(scales, bias: biases.baseAddress), to: output(out), stride: n, panels: panels,
                            scratch: scratch)
                    }
                }
            }
        }
        return Array(result.prefix(m * n))
    }
}
