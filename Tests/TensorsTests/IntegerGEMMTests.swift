import Foundation
import Tensors
import Testing

@Suite struct IntegerGEMMTests {
    static let others = InstructionSet.supported.filter { $0 != .scalar }

    /// [M, N, K]: 0, 1, around tiles of 4, 6 and 14 rows, panels of 16, groups of 4 to 32 and blocks of 512 and 1024; primes.
    static let shapes = [
        [0, 16, 16], [1, 0, 16], [3, 5, 0], [1, 1, 1], [1, 16, 4], [2, 17, 5], [3, 15, 7], [5, 31, 31], [6, 32, 32], [7, 33, 33],
        [12, 48, 63], [13, 47, 64], [14, 32, 65], [15, 16, 127], [17, 61, 131], [29, 16, 511], [4, 16, 512], [5, 17, 513], [9, 33, 1025],
        [97, 19, 67], [131, 37, 41],
    ]

    /// A transformer's, with few channels so that the definition takes no minutes.
    static let realShapes = [[50, 48, 768], [50, 32, 3072], [197, 32, 768], [77, 64, 512], [1, 64, 3072], [400, 16, 768]]

    private func requantized(_ bits: BitWidth = .eight) -> CodeScale { CodeScale(scale: 0.05, zeroPoint: 3, bits: bits) }

    /// Every form of output of one product, as comparable bytes.
    private func allOutputs(
        _ fixture: ProductFixture, _ set: InstructionSet, scales: [Float]? = nil, biases: [Float]? = nil
    ) -> [[UInt8]] {
        let floats = [
            fixture.run(set, initial: Float(0.75), scales: scales, biases: biases) { .floats($0) },
            fixture.run(set, initial: Float(0.75), scales: scales, biases: biases) { .adding($0) },
        ].map { values in values.flatMap { value in withUnsafeBytes(of: value.isNaN ? Float.nan : value) { [UInt8]($0) } } }
        let sums = fixture.run(set, initial: Int32(7), scales: scales, biases: biases) { .sums($0) }
        let activations: [ProductOutput.Activation] = [.none, .quickGELU, .gelu]
        let codes = activations.flatMap { activation in
            [BitWidth.eight, .four].map { bits in
                fixture.run(set, initial: UInt8(9), scales: scales, biases: biases) {
                    .codes($0, requantized(bits), activation: activation)
                }
            }
        }
        return floats + codes + [sums.flatMap { sum in withUnsafeBytes(of: sum) { [UInt8]($0) } }]
    }

    @Test(arguments: others, shapes + realShapes) func `every instruction set gives the definition's bits`(
        set: InstructionSet, shape: [Int]
    )
        throws
    {
        for bits in BitWidth.allCases {
            for activationBits in [BitWidth.eight, .four] {
                for (zeroPoint, values) in [(0, ProductFixture.Values.random), (activationBits.unsignedRange.upperBound, .extreme)] {
                    let fixture = try ProductFixture(
                        m: shape[0], n: shape[1], k: shape[2], weightBits: bits, activationBits: activationBits, zeroPoint: zeroPoint,
                        values: values)
                    #expect(allOutputs(fixture, set) == allOutputs(fixture, .scalar), "\(bits) \(activationBits) \(zeroPoint)")
                }
            }
        }
    }

    @Test(arguments: others) func `infinite, tiny and missing numbers give the definition's bits`(set: InstructionSet) throws {
        let odd: [Float] = [0, -0.0, .leastNonzeroMagnitude, 1e-38, 1e38, .infinity, -.infinity, .nan, 1e-3, -1e-3]
        for bits in BitWidth.allCases {
            let fixture = try ProductFixture(m: 9, n: 100, k: 40, weightBits: bits, zeroPoint: 128)
            let scales = (0..<100).map { odd[$0 / 10] }
            let biases = (0..<100).map { odd[$0 % 10] }
            #expect(
                allOutputs(fixture, set, scales: scales, biases: biases) == allOutputs(fixture, .scalar, scales: scales, biases: biases))
        }
    }

    @Test func `not a number becomes code 0, and infinities the ends`() throws {
        let fixture = try ProductFixture(m: 1, n: 3, k: 4, weightBits: .eight, zeroPoint: 128)
        let codes = fixture.run(.scalar, initial: UInt8(1), biases: [.nan, .infinity, -.infinity]) { .codes($0, requantized(.four)) }
        #expect(codes == [0, 15, 0])
    }

    @Test(arguments: BitWidth.allCases, shapes) func `the definition's sums are exact and its floats within two roundings`(
        bits: BitWidth, shape: [Int]
    ) throws {
        for zeroPoint in [0, 3, 128, 255] {
            let fixture = try ProductFixture(m: shape[0], n: shape[1], k: shape[2], weightBits: bits, zeroPoint: zeroPoint)
            let sums = fixture.run(.scalar, initial: Int32(0)) { .sums($0) }
            let floats = fixture.run(.scalar, initial: Float(0)) { .floats($0) }
            let added = fixture.run(.scalar, initial: Float(2)) { .adding($0) }
            for i in 0..<fixture.m {
                for j in 0..<fixture.n {
                    let at = i * fixture.n + j
                    #expect(Int64(sums[at]) == fixture.sum(i, j))
                    let exact = fixture.value(i, j)
                    // One rounding of the sum, one of the result: 2^-24 relative each.
                    let bound = 0x1p-24 * (abs(exact - Double(fixture.biases[j])) + abs(exact)) * 1.01
                    #expect(abs(Double(floats[at]) - exact) <= bound)
                    #expect(added[at] == 2 + floats[at])
                }
            }
        }
    }

    @Test(arguments: [ProductOutput.Activation.none, .quickGELU, .gelu]) func `codes are those of the formula but for ties`(
        activation: ProductOutput.Activation
    ) throws {
        let fixture = try ProductFixture(m: 50, n: 200, k: 96, weightBits: .eight, zeroPoint: 117)
        let meaning = CodeScale(scale: 0.04, zeroPoint: 40, bits: .eight)
        let codes = fixture.run(.scalar, initial: UInt8(0)) { .codes($0, meaning, activation: activation) }
        var differing = 0
        for i in 0..<fixture.m {
            for j in 0..<fixture.n {
                let y = fixture.value(i, j)
                let v =
                    switch activation {
                    case .none: y
                    case .quickGELU: y / (1 + exp(-1.702 * y))
                    case .gelu: y / 2 * (1 + erf(y / 2.0.squareRoot()))
                    }
                let q = v / Double(meaning.scale) + 40
                let expected = min(max(q.rounded(.toNearestOrEven), 0), 255)
                let found = Double(codes[i * fixture.n + j])
                if found == expected { continue }
                differing += 1
                let fromTie = abs(abs(q - q.rounded(.down)) - 0.5)
                #expect(abs(found - expected) == 1 && fromTie < 1e-3, "\(q) became \(found)")
            }
        }
        #expect(differing <= 3)
        #expect(Set(codes).count > 60)
    }

    @Test(arguments: InstructionSet.supported) func `ties go to the even code`(set: InstructionSet) throws {
        let fixture = try ProductFixture(m: 40, n: 33, k: 1, weightBits: .two, activationBits: .four, zeroPoint: 7)
        let meaning = CodeScale(scale: 1, zeroPoint: 9, bits: .eight)
        let half = [Float](repeating: 0.5, count: 33)
        let codes = fixture.run(set, initial: UInt8(0), scales: half, biases: [Float](repeating: 0, count: 33)) { .codes($0, meaning) }
        for i in 0..<40 {
            for j in 0..<33 {
                let q = Double(fixture.sum(i, j)) / 2 + 9
                #expect(Double(codes[i * 33 + j]) == q.rounded(.toNearestOrEven))
            }
        }
    }

    @Test(arguments: InstructionSet.supported) func `a product may be shared by panels and by rows`(set: InstructionSet) throws {
        let fixture = try ProductFixture(m: 23, n: 100, k: 70, weightBits: .four, zeroPoint: 9)
        let whole = fixture.run(set, initial: Float(-1)) { .floats($0) }
        let parts = [0..<2, 2..<3, 3..<7].map { panels in fixture.run(set, initial: Float(-1), panels: panels) { .floats($0) } }
        for at in whole.indices {
            let panel = at % 100 / 16
            let owner = panel < 2 ? 0 : panel < 3 ? 1 : 2
            for part in parts.indices { #expect(parts[part][at] == (part == owner ? whole[at] : -1)) }
        }
        for row in 0..<23 {
            let alone = try ProductFixture(
                row: row, of: fixture)
            #expect(alone.run(set, initial: Float(-1)) { .floats($0) } == Array(whole[row * 100..<(row + 1) * 100]))
        }
    }

    @Test(arguments: InstructionSet.supported) func `floats become codes as an epilogue makes them`(set: InstructionSet) {
        var random = Random(state: 5)
        let meaning = CodeScale(scale: 0.037, zeroPoint: 100, bits: .eight)
        for width in widths {
            let x = random.floats(3 * width, -6...8) + [.nan, .infinity, -.infinity]
            var codes = [UInt8](repeating: 255, count: 3 * width + 4)
            IntegerGEMM(set).quantize(x, stride: width, rows: 3, width: width, by: meaning, to: &codes, codesStride: width)
            let expected = x.prefix(3 * width).map { value -> UInt8 in
                let q = (value.addingProduct(0, 0)).isNaN ? 0 : Float(100).addingProduct(value, meaning.inverseScale)
                return UInt8(min(max(q, 0), 255).rounded(.toNearestOrEven))
            }
            #expect(Array(codes.prefix(3 * width)) == expected)
            #expect(codes.suffix(4) == [255, 255, 255, 255])
        }
        var odd: [UInt8] = [9, 9, 9]
        IntegerGEMM(set).quantize([.nan, .infinity, -.infinity], stride: 3, rows: 1, width: 3, by: meaning, to: &odd, codesStride: 3)
        #expect(odd == [0, 255, 0])
    }

    @Test(arguments: InstructionSet.supported) func `the integer limit can be measured`(set: InstructionSet) {
        #expect(IntegerGEMM(set).peakRate(activations: .eight, weights: .eight, milliseconds: 1).mean > 1e6)
        #expect(IntegerGEMM(set).peakRate(activations: .eight, weights: .four, milliseconds: 1).mean > 1e6)
    }
}

extension ProductFixture {
    /// One row of `other` as a product of its own.
    init(row: Int, of other: ProductFixture) throws {
        m = 1
        n = other.n
        k = other.k
        activations = Array(other.activations[row * other.k..<(row + 1) * other.k])
        codes = other.codes
        weights = other.weights
        scales = other.scales
        biases = other.biases
        meaning = other.meaning
    }
}
