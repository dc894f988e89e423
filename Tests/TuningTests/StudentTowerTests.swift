import CLIP
import Foundation
import Quantization
import Tensors
import Testing
import Tuning

@Suite struct StudentTowerTests {
    /// The student's quantizers in Double: of activations by point, of weights by "tensor row".
    private static func rounding(_ student: StudentTower, _ small: SmallStudent) -> DoubleRounding {
        var quantizers: [String: DoubleRounding.Quantizer] = [:]
        var place = student.layout.count
        for entry in student.layout.entries {
            guard let packed = small.tensors.packed[entry.name] else { continue }
            let range = packed.bits.signedRange
            for row in 0..<packed.outputs {
                quantizers["\(entry.name) \(row)"] = .init(
                    zero: 0, range: Double(range.lowerBound)...Double(range.upperBound), place: place + row)
            }
            place += packed.outputs
        }
        for (point, block) in [(QuantizationPoint.patchInput, nil)]
            + (0..<2).flatMap({ block in QuantizationPoint.allCases.filter { $0 != .patchInput }.map { ($0, Int?(block)) } })
        {
            let name = point.name(.vision, block: block)
            guard let meaning = small.tensors.points[name] else { continue }
            quantizers[name] = .init(zero: Double(meaning.zeroPoint), range: 0...Double(meaning.top), place: place)
            place += 1
        }
        return DoubleRounding(quantizers)
    }

    /// The sum of all features of `crops`, each times its factor, in Double.
    private static func sum(
        _ p: [Double], _ crops: [UInt8], factors: [Float], _ student: StudentTower, _ small: SmallStudent, _ rounding: DoubleRounding
    ) -> Double {
        rounding.restart()
        var effective = p
        for entry in student.layout.entries {
            guard let packed = small.tensors.packed[entry.name] else { continue }
            for row in 0..<packed.outputs {
                let range = entry.offset + row * packed.inputs..<entry.offset + (row + 1) * packed.inputs
                effective.replaceSubrange(range, with: rounding.round(Array(p[range]), p, "\(entry.name) \(row)"))
            }
        }
        let reference = DoubleCLIP(
            configuration: small.checkpoint.configuration, layout: student.layout, normalization: small.normalization, rounding: rounding)
        let bytes = 9 * 9 * 3
        let features = (0..<crops.count / bytes).flatMap { reference.image(effective, Array(crops[$0 * bytes..<($0 + 1) * bytes])) }
        return zip(features, factors).reduce(0) { $0 + $1.0 * Double($1.1) }
    }

    @Test(arguments: [("2-2-8", Activation.quickGELU), ("3-4-3", .gelu)])
    func `Every gradient is that of the straight-through rule by central differences in Double`(bits: String, activation: Activation) throws
    {
        let small = try SmallStudent(#require(BitPlan(bits)), activation: activation)
        let student = StudentTower(small.tensors, small.checkpoint, normalization: small.normalization, lanes: 2)
        // Off the ties that MinMax puts weights on.
        let noise = numbers(student.parameters.count, seed: 4, bound: 0.02)
        for index in noise.indices { student.parameters[index] += noise[index] }
        let crops = Array(small.crops[0][..<(3 * 9 * 9 * 3)])
        let factors = numbers(3 * 10, seed: 6)
        let features = student.encode(crops, pool: .serial)
        student.setGradients(factors, pool: .serial)

        let rounding = Self.rounding(student, small)
        var p = student.parameters.map(Double.init)
        func sum() -> Double { Self.sum(p, crops, factors: factors, student, small, rounding) }
        let found = zip(features, factors).reduce(0.0) { $0 + Double($1.0 * $1.1) }
        #expect(abs(sum() - found) < 1e-4)
        func check(_ name: String, _ range: Range<Int>) {
            let differences = range.map { index in
                let value = p[index]
                p[index] = value + 1e-5
                let above = sum()
                p[index] = value - 1e-5
                let below = sum()
                p[index] = value
                return (above - below) / 2e-5
            }
            let largest = max(differences.map { abs($0) }.max() ?? 0, 1e-3)
            let error = zip(student.gradients[range], differences).map { abs(Double($0) - $1) }.max() ?? 0
            #expect(error < 1e-3 * largest, "\(name): \(error) of \(largest)")
        }
        // Of large tensors, the first elements.
        for entry in student.layout.entries { check(entry.name, entry.offset..<entry.offset + min(entry.count, 100)) }
        check("scales", student.layout.count..<student.parameters.count)
    }

    @Test(arguments: ["2-2-8", "3-3-8", "4-4-8", "8-8-8"])
    func `The student computes what the integer kernels make of its tensors`(bits: String) throws {
        let small = try SmallStudent(#require(BitPlan(bits)))
        let student = StudentTower(small.tensors, small.checkpoint, normalization: small.normalization, lanes: 3)
        let noise = numbers(student.parameters.count, seed: 8, bound: 0.05)
        for index in noise.indices { student.parameters[index] += noise[index] }
        let crops = Array(small.crops.joined())
        let found = student.encode(crops, pool: .serial)
        let expected = small.integers(try student.replacing(small.tensors), crops)
        var near = 0
        for row in stride(from: 0, to: found.count, by: 10) {
            let (a, b) = (found[row..<row + 10].map(Double.init), expected[row..<row + 10].map(Double.init))
            if product(a, b) > 0.999 * (product(a, a) * product(b, b)).squareRoot() { near += 1 }
        }
        // A picture in which a code at a tie falls the other way may differ.
        #expect(near >= 23, "\(near) of 24")
    }

    @Test func `It begins with the codes and scales that it is given`() throws {
        let small = try SmallStudent(#require(BitPlan("2-2-8")))
        let student = StudentTower(small.tensors, small.checkpoint, normalization: small.normalization, lanes: 1)
        let again = try student.replacing(small.tensors)
        #expect(again.packed.mapValues { $0.codes() } == small.tensors.packed.mapValues { $0.codes() })
        for (name, point) in small.tensors.points {
            #expect(abs((again.points[name]?.scale ?? 0) / point.scale - 1) < 1e-5 && again.points[name]?.zeroPoint == point.zeroPoint)
        }
    }
}
