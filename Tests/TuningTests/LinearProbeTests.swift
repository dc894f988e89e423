import CLIP
import Foundation
import Tensors
import Testing
import Tuning

struct LinearProbeTests {
    private let width = 6
    private let classes = 3
    private let count = 900

    /// Overlapping clusters, one a class.
    private func data() -> (features: [Float], labels: [Int]) {
        let centres = numbers(classes * width, seed: 1, bound: 3)
        let labels = (0..<count).map { $0 % classes }
        let noise = PhiloxRandom(seed: 2).normals(count * width, deviation: 2)
        return (noise.indices.map { noise[$0] + centres[labels[$0 / width] * width + $0 % width] }, labels)
    }

    @Test func `the solver finds the minimum of a convex function`() {
        // (x0)^2 + 2 (x1 - 1)^2 + 3 (x2 - 2)^2 + x0 x1 / 2, whose minimum solves a linear system.
        let found = LBFGS().minimize(from: [5, -5, 9]) { x in
            let (a, b, c) = (x[0], x[1] - 1, x[2] - 2)
            let squares: Float = a * a + 2 * b * b + 3 * c * c
            return (Double(squares + a * x[1] / 2), [2 * a + x[1] / 2, 4 * b + a / 2, 6 * c])
        }
        let expected: [Float] = [-8.0 / 31, 32.0 / 31, 2]
        for (found, expected) in zip(found, expected) { #expect(abs(found - expected) < 1e-4) }
    }

    @Test func `a probe's weights are a minimum: the gradient in double precision vanishes`() throws {
        let (features, labels) = data()
        let probe = try LinearProbe(
            features: features, labels: labels, classes: classes, pool: ThreadPool(threads: 2), regularizations: [1e-2])
        var gradient = probe.weight.map { 2e-2 * Double($0) }
        for row in 0..<count {
            let x = (0..<width).map { index -> Double in
                Double((features[row * width + index] - probe.mean[index]) / probe.deviation[index])
            }
            let scores = probe.scores(features[row * width..<(row + 1) * width]).map { exp(Double($0)) }
            let sum: Double = scores.reduce(0, +)
            for c in 0..<classes {
                let share = (scores[c] / sum - (labels[row] == c ? 1 : 0)) / Double(count)
                for index in 0..<width { gradient[c * width + index] += share * x[index] }
            }
        }
        #expect(gradient.allSatisfy { abs($0) < 2e-4 })
    }

    @Test func `it classifies, alike on any number of threads, and rounded too`() throws {
        let (features, labels) = data()
        func train(_ threads: Int) throws -> LinearProbe {
            try LinearProbe(features: features, labels: labels, classes: classes, pool: ThreadPool(threads: threads))
        }
        let probe = try train(1)
        let other = try train(3)
        #expect(other.weight == probe.weight && other.bias == probe.bias)
        func right(_ probe: LinearProbe) -> Int {
            labels.indices.count { LinearProbe.best(probe.scores(features[$0 * width..<($0 + 1) * width])) == labels[$0] }
        }
        #expect(right(probe) > 700)
        let eight = probe.quantized(.eight)
        #expect(right(eight) > 690 && eight.weight != probe.weight)
        for c in 0..<classes { #expect(Set(probe.quantized(.two).weight[c * width..<(c + 1) * width]).count <= 4) }
        #expect(throws: TuningError.self) { try LinearProbe(features: [1], labels: [0], classes: 2, pool: .serial) }
    }
}
