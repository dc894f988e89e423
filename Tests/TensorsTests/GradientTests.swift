import Foundation
import Tensors
import Testing

/// Central differences of `function`, a map of vectors in double precision, contracted with `weights`: the gradient that they expect by the input.
private func differences(_ x: [Float], _ weights: [Float], _ function: ([Double]) -> [Double]) -> [Double] {
    let x = x.map(Double.init)
    func value(_ x: [Double]) -> Double { zip(function(x), weights).reduce(0) { $0 + $1.0 * Double($1.1) } }
    return x.indices.map { index in
        let step = 1e-5 * max(1, abs(x[index]))
        var (above, below) = (x, x)
        above[index] += step
        below[index] -= step
        return (value(above) - value(below)) / (2 * step)
    }
}

/// Float32 sums of `terms` terms of the size of the largest gradient, or of `size` where terms cancel, and central differences' own error.
private func expectClose(_ found: [Float], _ expected: [Double], terms: Int, size: Double = 1e-6) {
    let largest = expected.reduce(size) { max($0, abs($1)) }
    let bound = largest * (Double(terms).squareRoot() * 16 * Double(Float.ulpOfOne) + 1e-6)
    for (found, expected) in zip(found, expected) { #expect(abs(Double(found) - expected) <= bound) }
    #expect(found.count == expected.count)
}

@Suite struct GradientTests {
    private static let few = [1, 2, 7, 15, 16, 17, 33, 64, 101]
    private let kernels = FloatKernels()

    @Test(arguments: few) func `LayerNorm's gradients are central differences'`(width: Int) {
        var random = Random(state: UInt64(width))
        let (x, gamma, beta, g) = (random.floats(width), random.floats(width), random.floats(width), random.floats(width))
        func norm(_ x: [Double], _ gamma: [Double], _ beta: [Double]) -> [Double] {
            let mean = x.reduce(0, +) / Double(width)
            let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
            return x.indices.map { (x[$0] - mean) / (variance + 1e-2).squareRoot() * gamma[$0] + beta[$0] }
        }
        let (dx, dy, db) = (x.map(Double.init), gamma.map(Double.init), beta.map(Double.init))
        let before = random.floats(width)
        var (byInput, byGamma, byBeta) = (before, before, before)
        kernels.addLayerNormGradient(
            g, stride: width, input: x, inputStride: width, gamma: gamma, epsilon: 1e-2, rows: 1, width: width, to: &byInput,
            inputGradientStride: width, gammaGradient: &byGamma, betaGradient: &byBeta)
        func added(_ found: [Float]) -> [Float] { zip(found, before).map { $0 - $1 } }
        expectClose(added(byInput), differences(x, g) { norm($0, dy, db) }, terms: width + 8, size: 16)
        expectClose(added(byGamma), differences(gamma, g) { norm(dx, $0, db) }, terms: width + 8)
        expectClose(added(byBeta), differences(beta, g) { norm(dx, dy, $0) }, terms: width + 8)
    }

    @Test(arguments: few) func `softmax's gradient is central differences', causal too`(width: Int) {
        var random = Random(state: UInt64(width))
        for (first, step) in [(width, 0), (1, 1)] {
            let rows = 3
            let (x, g) = (random.floats(rows * width), random.floats(rows * width))
            func visible(_ row: Int) -> Int { min(width, first + step * row) }
            func softmax(_ x: [Double]) -> [Double] {
                (0..<rows).flatMap { row in
                    let e = (0..<width).map { $0 < visible(row) ? exp(0.3 * x[row * width + $0]) : 0 }
                    return e.map { $0 / e.reduce(0, +) }
                }
            }
            var (y, found) = (x, g)
            kernels.softmax(&y, stride: width, scale: 0.3, rows: rows, width: width, first: first, step: step)
            kernels.softmaxGradient(
                &found, stride: width, output: y, outputStride: width, scale: 0.3, rows: rows, width: width, first: first, step: step)
            expectClose(found, differences(x, g, softmax), terms: width)
        }
    }

    @Test func `the activations' gradients are central differences'`() {
        var random = Random(state: 5)
        let x = random.floats(701, -7...7)
        let g = random.floats(701)
        func each(_ function: @escaping (Double) -> Double) -> [Double] {
            zip(x, g).map { x, g in
                (function(Double(x) + 1e-5) - function(Double(x) - 1e-5)) / 2e-5 * Double(g)
            }
        }
        var (quick, exact) = (g, g)
        kernels.quickGELUGradient(&quick, input: x, count: x.count)
        kernels.geluGradient(&exact, input: x, count: x.count)
        expectClose(quick, each { $0 / (1 + exp(-1.702 * $0)) }, terms: 1)
        expectClose(exact, each { $0 / 2 * (1 + erf($0 / 2.0.squareRoot())) }, terms: 1)
    }

    @Test(arguments: few) func `the gradient of normalising is central differences'`(width: Int) {
        var random = Random(state: UInt64(width))
        let (x, g) = (random.floats(width), random.floats(width))
        var found = g
        kernels.normalizeGradient(g, input: x, count: width, to: &found)
        let expected = differences(x, g) { x in
            let norm = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return x.map { $0 / norm }
        }
        // A vector of one has no gradient but rounding.
        if width == 1 {
            #expect(abs(found[0]) <= 8 * .ulpOfOne * abs(g[0] / x[0]))
        } else {
            expectClose(found, expected, terms: width, size: 4)
        }
        kernels.normalizeGradient(g, input: [Float](repeating: 0, count: width), count: width, to: &found)
        #expect(found.allSatisfy { $0 == 0 })
    }

    @Test(arguments: [1, 2, 5, 10, 33]) func `cross entropy and its gradient are central differences'`(classes: Int) {
        var random = Random(state: UInt64(classes))
        let rows = 4
        let logits = random.floats(rows * classes, -30...30)
        var targets = random.floats(rows * classes, 0...1)
        kernels.softmax(&targets, stride: classes, scale: 3, rows: rows, width: classes)
        func loss(_ z: [Double]) -> Double {
            (0..<rows).reduce(0.0) { sum, row in
                let z = z[row * classes..<(row + 1) * classes]
                let top = z.max() ?? 0
                let logSum = top + log(z.reduce(0) { $0 + exp($1 - top) })
                return sum + zip(z, targets[row * classes..<(row + 1) * classes]).reduce(0) { $0 + Double($1.1) * (logSum - $1.0) }
            } / Double(rows)
        }
        let before = random.floats(rows * classes)
        var gradient = before
        let found = kernels.crossEntropy(
            logits: logits, targets: targets, rows: rows, classes: classes, weight: 0.5, addingGradientTo: &gradient)
        let expected = loss(logits.map(Double.init))
        #expect(abs(found - expected) <= 1e-5 * (1 + abs(expected)))
        let byLogits = differences(logits, [0.5]) { [loss($0)] }
        for index in logits.indices { #expect(abs(Double(gradient[index] - before[index]) - byLogits[index]) < 2e-6) }
    }

    @Test func `the three products of a linear map's gradients are central differences'`() {
        var random = Random(state: 6)
        let (rows, inputs, outputs) = (5, 7, 3)
        let (x, weight, g) = (random.floats(rows * inputs), random.floats(outputs * inputs), random.floats(rows * outputs))
        func map(_ x: [Double], _ w: [Double]) -> [Double] {
            (0..<rows * outputs).map { index in
                (0..<inputs).reduce(0) { $0 + x[index / outputs * inputs + $1] * w[index % outputs * inputs + $1] }
            }
        }
        var byInput = [Float](repeating: 0, count: x.count)
        var byWeight = [Float](repeating: 0, count: weight.count)
        var byBias = [Float](repeating: 0, count: outputs)
        BLAS.multiply(m: rows, n: inputs, k: outputs, a: g, aStride: outputs, b: weight, bStride: inputs, c: &byInput, cStride: inputs)
        BLAS.multiply(
            m: outputs, n: inputs, k: rows, transposedA: g, aStride: outputs, b: x, bStride: inputs, c: &byWeight, cStride: inputs)
        kernels.addColumnSums(g, stride: outputs, rows: rows, width: outputs, to: &byBias)
        let (dx, dw) = (x.map(Double.init), weight.map(Double.init))
        expectClose(byInput, differences(x, g) { map($0, dw) }, terms: outputs)
        expectClose(byWeight, differences(weight, g) { map(dx, $0) }, terms: rows)
        expectClose(byBias, (0..<outputs).map { o in (0..<rows).reduce(0) { $0 + Double(g[$1 * outputs + o]) } }, terms: rows)
    }

    @Test func `a gradient passes a quantizer where the code was not clipped`() {
        let meaning = CodeScale(scale: 0.5, zeroPoint: 3, bits: .three)
        let x: [Float] = [-2, -1.76, -1.74, -1.5, 0, 2, 2.24, 2.26, 9, -9, .nan]
        var g = [Float](repeating: 1, count: x.count)
        var y = x
        kernels.clipGradient(&g, input: x, count: x.count, meaning: meaning)
        kernels.requantize(x, count: x.count, meaning: meaning, output: &y)
        #expect(g == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0])
        #expect(y == [-1.5, -1.5, -1.5, -1.5, 0, 2, 2, 2, 2, -1.5, -1.5])
    }

    @Test(arguments: FloatKernelsTests.others, widths) func `gradients give the definition's bits`(set: InstructionSet, width: Int) {
        var random = Random(state: UInt64(width))
        let (x, gamma, g) = (random.floats(3 * width), random.floats(width), random.floats(3 * width))
        func all(_ kernels: FloatKernels) -> [UInt32] {
            var (norm, byGamma, byBeta) = (x, gamma, gamma)
            kernels.addLayerNormGradient(
                g, stride: width, input: x, inputStride: width, gamma: gamma, epsilon: 1e-5, rows: 3, width: width, to: &norm,
                inputGradientStride: width, gammaGradient: &byGamma, betaGradient: &byBeta)
            var (soft, quick, gelu, unit, clipped, rounded) = (g, g, g, g, g, g)
            kernels.softmaxGradient(
                &soft, stride: width, output: x, outputStride: width, scale: 0.3, rows: 3, width: width, first: 1, step: 1)
            kernels.quickGELUGradient(&quick, input: x, count: 3 * width)
            kernels.geluGradient(&gelu, input: x, count: 3 * width)
            kernels.normalizeGradient(g, input: x, count: 3 * width, to: &unit)
            let meaning = CodeScale(scale: 0.37, zeroPoint: 5, bits: .four)
            kernels.clipGradient(&clipped, input: x, count: 3 * width, meaning: meaning)
            kernels.requantize(x, count: 3 * width, meaning: meaning, output: &rounded)
            return [norm, byGamma, byBeta, soft, quick, gelu, unit, clipped, rounded].joined().map(\.bitPattern)
        }
        #expect(all(FloatKernels(.scalar)) == all(FloatKernels(set)))
    }
}
