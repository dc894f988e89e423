import Foundation
import Tensors
import Testing

/// Sizes around one and several sixteen-lane steps, primes, and real widths.
let widths = [1, 2, 7, 15, 16, 17, 31, 32, 33, 50, 77, 101, 197, 512, 768]

struct Random: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        var x = state
        x ^= x >> 33
        x = x &* 0xff51_afd7_ed55_8ccd
        return x ^ x >> 33
    }
    mutating func floats(_ count: Int, _ range: ClosedRange<Float> = -4...4) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }
}

@Suite struct FloatKernelsTests {
    static let others = InstructionSet.supported.filter { $0 != .scalar }

    /// Runs `operation` on the scalar definition and on `set`, and compares bits.
    private func expectSameBits(_ set: InstructionSet, _ input: [Float], _ operation: (FloatKernels, inout [Float]) -> Void) {
        var expected = input
        var found = input
        operation(FloatKernels(.scalar), &expected)
        operation(FloatKernels(set), &found)
        #expect(expected.map(\.bitPattern) == found.map(\.bitPattern))
    }

    @Test(arguments: others, widths) func `LayerNorm gives the definition's bits`(set: InstructionSet, width: Int) {
        var random = Random(state: UInt64(width))
        let gamma = random.floats(width)
        let beta = random.floats(width)
        expectSameBits(set, random.floats(3 * width) + [0]) { kernels, x in
            kernels.layerNorm(
                x, inputStride: width, gamma: gamma, beta: beta, epsilon: 1e-5, rows: 3, width: width, output: &x, outputStride: width)
        }
    }

    @Test(arguments: others, widths) func `softmax gives the definition's bits, causal too`(set: InstructionSet, width: Int) {
        var random = Random(state: UInt64(width))
        let x = random.floats(4 * width, -300...300)
        expectSameBits(set, x) { $0.softmax(&$1, stride: width, scale: 0.125, rows: 4, width: width) }
        expectSameBits(set, x) { $0.softmax(&$1, stride: width, scale: 0.7, rows: 4, width: width, first: 1, step: 1) }
    }

    @Test(arguments: others, widths) func `activations and bias give the definition's bits`(set: InstructionSet, width: Int) {
        var random = Random(state: UInt64(width))
        let bias = random.floats(width)
        let x = random.floats(2 * width, -90...90)
        expectSameBits(set, x) { $0.biasQuickGELU(&$1, stride: width, bias: bias, rows: 2, width: width) }
        expectSameBits(set, x) { $0.biasGELU(&$1, stride: width, bias: bias, rows: 2, width: width) }
        expectSameBits(set, x) { $0.addBias(&$1, stride: width, bias: bias, rows: 2, width: width) }
    }

    @Test(arguments: others, widths) func `dot products and norms give the definition's bits`(set: InstructionSet, width: Int) {
        var random = Random(state: UInt64(width))
        let matrix = random.floats(5 * width)
        expectSameBits(set, random.floats(width) + Array(repeating: 0, count: 5)) { kernels, x in
            var output = [Float](repeating: 0, count: 5)
            kernels.dotRows(x, matrix: matrix, stride: width, rows: 5, width: width, output: &output)
            let input = x
            kernels.normalize(input, count: width, output: &x)
            x.replaceSubrange(width..., with: output)
        }
    }

    @Test(arguments: others) func `exp gives the definition's bits on extremes`(set: InstructionSet) {
        let x: [Float] = [
            0, -0.0, 1, -1, 88, 89, 1e30, -87.3, -88, -1e30, .infinity, -.infinity, .leastNonzeroMagnitude, 0.3465736, -0.3465736, 10, 20,
        ]
        expectSameBits(set, x) { kernels, x in
            let input = x
            kernels.exp(input, count: input.count, output: &x)
        }
    }

    @Test(arguments: InstructionSet.supported) func `NaN stays NaN`(set: InstructionSet) {
        var x = [Float](repeating: .nan, count: 17)
        FloatKernels(set).biasQuickGELU(&x, stride: 17, bias: [Float](repeating: 1, count: 17), rows: 1, width: 17)
        let all = x.allSatisfy(\.isNaN)
        #expect(all)
    }

    @Test func `exp is within two units in the last place`() {
        var random = Random(state: 3)
        let x = random.floats(20_000, -87...88)
        var y = x
        FloatKernels(.scalar).exp(x, count: x.count, output: &y)
        for (x, y) in zip(x, y) {
            let exact = Foundation.exp(Double(x))
            #expect(abs(Double(y) - exact) <= 2 * Double(Float(exact).ulp), "exp(\(x))")
        }
    }

    @Test func `activations follow their formulas`() {
        var random = Random(state: 4)
        let x = random.floats(4_000, -9...9)
        let zeros = [Float](repeating: 0, count: x.count)
        var quick = x
        var exact = x
        FloatKernels(.scalar).biasQuickGELU(&quick, stride: x.count, bias: zeros, rows: 1, width: x.count)
        FloatKernels(.scalar).biasGELU(&exact, stride: x.count, bias: zeros, rows: 1, width: x.count)
        for i in x.indices {
            let v = Double(x[i])
            #expect(abs(Double(quick[i]) - v / (1 + Foundation.exp(-1.702 * v))) <= 1e-6 * (1 + abs(v)))
            #expect(abs(Double(exact[i]) - v / 2 * (1 + erf(v / 2.0.squareRoot()))) <= 4e-7 * (1 + abs(v)))
        }
    }

    @Test(arguments: [1, 2, 3, 5]) func `a pool runs every index once`(threads: Int) {
        let pool = ThreadPool(threads: threads)
        for count in [0, 1, 2, 3, 17, 1000] {
            let hits = UnsafeMutablePointer<Int>.allocate(capacity: max(count, 1))
            hits.initialize(repeating: 0, count: max(count, 1))
            nonisolated(unsafe) let cells = hits
            for _ in 0..<20 { pool.forEach(count) { cells[$0] += 1 } }
            let all = (0..<count).allSatisfy { hits[$0] == 20 }
            #expect(all)
            hits.deallocate()
        }
    }
}
