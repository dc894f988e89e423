import Foundation
import Quantization
import Tensors
import Testing
import Tuning

struct AdapterTests {
    /// A trained adapter, made up.
    static func adapter(_ width: Int, seed: UInt64 = 1) -> AdapterParameters {
        AdapterParameters(width: width, random: PhiloxRandom(seed: seed))
    }

    static let ranges = AdapterRanges(
        input: CodeScale(scale: 0.02, zeroPoint: 120, bits: .eight), inner: CodeScale(scale: 0.006, zeroPoint: 0, bits: .eight))

    @Test func `its gradients, and those of both losses, are central differences' in double precision`() throws {
        let (width, classes, count) = (12, 5, 7)
        let parameters = TuningParameters(context: [], adapter: Self.adapter(width))
        let text = numbers(classes * width, seed: 3)
        let features = numbers(count * width, seed: 4, bound: 2)
        var teacher = numbers(count * classes, seed: 5, bound: 3)
        FloatKernels().softmax(&teacher, stride: classes, scale: 1, rows: count, width: classes)
        let batch = TuningBatch(features: features, labels: (0..<count).map { $0 % classes }, teacher: teacher)
        let objective = TuningObjective(
            textFeatures: text, scale: 7, ratio: 0.3, classWeight: 0.8, distillationWeight: 1.5)
        let found = try #require(objective.evaluate(parameters, batch).gradient.adapter)

        func unit(_ x: [Double]) -> [Double] {
            let norm = product(x, x).squareRoot()
            return x.map { $0 / norm }
        }
        let units = (0..<classes).map { unit(text[$0 * width..<($0 + 1) * width].map(Double.init)) }
        func loss(_ adapter: AdapterParameters, _ path: WritableKeyPath<AdapterParameters, [Float]>, _ index: Int, _ step: Double) -> Double
        {
            func parameters(_ own: WritableKeyPath<AdapterParameters, [Float]>) -> [Double] {
                var values = adapter[keyPath: own].map(Double.init)
                if own == path { values[index] += step }
                return values
            }
            let (w1, b1, w2, b2) = (parameters(\.weight1), parameters(\.bias1), parameters(\.weight2), parameters(\.bias2))
            let inner = adapter.inner
            var total = 0.0
            for row in 0..<count {
                let x = features[row * width..<(row + 1) * width].map(Double.init)
                let hidden = (0..<inner).map { max(0, b1[$0] + product(w1[$0 * width..<($0 + 1) * width], x)) }
                let output = (0..<width).map { 0.3 * (b2[$0] + product(w2[$0 * inner..<($0 + 1) * inner], hidden)) + 0.7 * x[$0] }
                let image = unit(output)
                let logits = units.map { 7 * product(image, $0) }
                let logSum = log(logits.map { exp($0) }.reduce(0, +))
                let shares = teacher[row * classes..<(row + 1) * classes].map(Double.init)
                total += 0.8 * (logSum - logits[row % classes]) + 1.5 * product(shares, logits.map { logSum - $0 })
            }
            return total / Double(count)
        }
        let adapter = try #require(parameters.adapter)
        for (name, path) in AdapterParameters.tensors {
            let expected = adapter[keyPath: path].indices.map { index in
                (loss(adapter, path, index, 1e-5) - loss(adapter, path, index, -1e-5)) / 2e-5
            }
            #expect(relativeDifference(found[keyPath: path], expected) < 1e-4, "\(name)")
        }
    }

    @Test(arguments: [16, 20, 64, 75]) func `in integers it has one answer and is near the float adapter`(width: Int) throws {
        let parameters = Self.adapter(width)
        let adapter = try QuantizedAdapter(parameters, ratio: 0.2, ranges: Self.ranges)
        let count = 11
        let features = numbers(count * width, seed: 9, bound: 2)
        func run(_ set: InstructionSet, batch: Int) -> [Float] {
            var features = features
            let workspace = Workspace()
            features.withUnsafeMutableBufferPointer { all in
                for start in stride(from: 0, to: count, by: batch) {
                    let rows = min(batch, count - start)
                    adapter.apply(
                        to: UnsafeMutableBufferPointer(rebasing: all[start * width..<(start + rows) * width]), count: rows,
                        gemm: IntegerGEMM(set), workspace: workspace)
                }
            }
            return features
        }
        let answer = run(.scalar, batch: 1)
        for set in InstructionSet.supported { for batch in [1, 3, 11] { #expect(run(set, batch: batch) == answer, "\(set), \(batch)") } }
        let simulated = simulate(parameters, features, width: width)
        #expect(zip(answer, simulated).allSatisfy { abs(Double($0) - $1) < 1e-5 })
        #expect(answer != features)
    }

    /// The method's equation with quantized weights and activations, in double precision.
    private func simulate(_ parameters: AdapterParameters, _ features: [Float], width: Int) -> [Double] {
        func weight(_ values: [Float], _ rows: Int) -> [Double] {
            let codes = values.withUnsafeBufferPointer { WeightCodes($0, rows: rows, columns: $0.count / rows, bits: 8) }
            return codes.codes.indices.map { Double(codes.codes[$0]) * Double(codes.scales[$0 / codes.columns]) }
        }
        func rounded(_ x: Double, _ meaning: CodeScale) -> Double {
            let code = (x / Double(meaning.scale) + Double(meaning.zeroPoint)).rounded(.toNearestOrEven)
            return (min(max(code, 0), Double(meaning.top)) - Double(meaning.zeroPoint)) * Double(meaning.scale)
        }
        let (inner, w1, w2) = (
            parameters.inner, weight(parameters.weight1, parameters.inner), weight(parameters.weight2, width)
        )
        return (0..<features.count / width).flatMap { row -> [Double] in
            let x = features[row * width..<(row + 1) * width].map(Double.init)
            let codes = x.map { rounded($0, Self.ranges.input) }
            let hidden = (0..<inner).map { j -> Double in
                let y = Double(parameters.bias1[j]) + product(w1[j * width..<(j + 1) * width], codes)
                return rounded(max(y, 0), Self.ranges.inner)
            }
            return (0..<width).map { i -> Double in
                let y = Double(parameters.bias2[i]) + product(w2[i * inner..<(i + 1) * inner], hidden)
                return 0.2 * y + 0.8 * x[i]
            }
        }
    }
}
