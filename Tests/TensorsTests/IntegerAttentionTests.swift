import Foundation
import Tensors
import Testing

@Suite struct IntegerAttentionTests {
    static let others = InstructionSet.supported.filter { $0 != .scalar }

    /// [queries, keys, width, keys in the prefix]
    static let shapes = [
        [1, 1, 1, 0], [1, 4, 3, 1], [3, 3, 5, 0], [15, 15, 16, 0], [16, 17, 17, 1], [17, 33, 64, 16], [50, 50, 64, 0], [7, 24, 64, 17],
        [77, 77, 64, 0], [60, 77, 64, 17], [197, 197, 64, 0], [29, 29, 80, 13], [257, 257, 88, 0],
    ]

    struct Fixture {
        let shape: [Int]
        let isCausal: Bool
        let queries: [UInt8]
        let keys: [UInt8]
        let values: [UInt8]
        let q = CodeScale(scale: 0.03, zeroPoint: 120, bits: .eight)
        let k = CodeScale(scale: 0.025, zeroPoint: 140, bits: .eight)
        let v = CodeScale(scale: 0.02, zeroPoint: 99, bits: .eight)
        let probabilities = CodeScale(scale: 1 / 255, zeroPoint: 2, bits: .eight)
        let out = CodeScale(scale: 0.2, zeroPoint: 7, bits: .four)
        var l: Int { shape[0] }
        var t: Int { shape[1] }
        var d: Int { shape[2] }
        var prefix: Int { shape[3] }

        init(_ shape: [Int], isCausal: Bool) {
            var random = Random(state: UInt64(shape[0] * 1000 + shape[1]))
            self.shape = shape
            self.isCausal = isCausal
            func codes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) } }
            queries = codes(shape[0] * shape[2])
            keys = codes(shape[1] * shape[2])
            values = codes(shape[1] * shape[2])
        }

        func run(_ set: InstructionSet, meaning: CodeScale) -> [UInt8] {
            let attention = IntegerAttention(set)
            let stride = d + 3
            var result = [UInt8](repeating: 77, count: l * stride)
            let scratch = UnsafeMutableRawPointer.allocate(
                byteCount: attention.scratchByteCount(queries: l, keys: t, width: d), alignment: 64)
            defer { scratch.deallocate() }
            queries.withUnsafeBufferPointer { queries in
                keys.withUnsafeBufferPointer { keys in
                    values.withUnsafeBufferPointer { values in
                        guard let queries = queries.baseAddress, let keys = keys.baseAddress, let values = values.baseAddress else {
                            return
                        }
                        func split(_ rows: UnsafePointer<UInt8>, _ meaning: CodeScale) -> (prefix: CodeMatrix?, own: CodeMatrix) {
                            let own = CodeMatrix(rows + prefix * d, stride: d, rows: t - prefix, columns: d, meaning: meaning)
                            return (prefix > 0 ? CodeMatrix(rows, stride: d, rows: prefix, columns: d, meaning: meaning) : nil, own)
                        }
                        let head = IntegerAttention.Head(
                            queries: CodeMatrix(queries, stride: d, rows: l, columns: d, meaning: q), keys: split(keys, k),
                            values: split(values, v), isCausal: isCausal)
                        attention.attend(
                            head, probabilities: probabilities, to: &result, stride: stride, meaning: meaning, scratch: scratch)
                    }
                }
            }
            for row in 0..<l { #expect(result[row * stride + d..<(row + 1) * stride].allSatisfy { $0 == 77 }) }
            return (0..<l).flatMap { result[$0 * stride..<$0 * stride + d] }
        }

        /// The same in Double, probabilities quantized like the kernels'; the value before the last quantizer.
        func expected(_ i: Int) -> [Double] {
            let seen = isCausal ? t - l + i + 1 : t
            let scores = (0..<seen).map { j -> Double in
                let sum = (0..<d).reduce(0) { $0 + (Int(queries[i * d + $1]) - q.zeroPoint) * (Int(keys[j * d + $1]) - k.zeroPoint) }
                return Double(sum) * Double(q.scale) * Double(k.scale) / Double(d).squareRoot()
            }
            let top = scores.max() ?? 0
            let exponentials = scores.map { exp($0 - top) }
            let total = exponentials.reduce(0, +)
            let codes = exponentials.map { share -> Double in
                let q = share / total / Double(probabilities.scale) + Double(probabilities.zeroPoint)
                return min(max(q.rounded(.toNearestOrEven), 0), 255)
            }
            return (0..<d).map { c in
                (0..<seen).reduce(0.0) {
                    $0 + (codes[$1] - Double(probabilities.zeroPoint)) * Double(Int(values[$1 * d + c]) - v.zeroPoint)
                } * Double(probabilities.scale) * Double(v.scale)
            }
        }
    }

    @Test(arguments: others, shapes) func `every instruction set gives the definition's bits`(set: InstructionSet, shape: [Int]) {
        for isCausal in [false, true] {
            let fixture = Fixture(shape, isCausal: isCausal)
            for meaning in [fixture.v, fixture.out] {
                #expect(fixture.run(set, meaning: meaning) == fixture.run(.scalar, meaning: meaning))
            }
        }
    }

    @Test(arguments: shapes, [false, true]) func `the definition is the formula`(shape: [Int], isCausal: Bool) {
        let fixture = Fixture(shape, isCausal: isCausal)
        let meaning = fixture.v
        let found = fixture.run(.scalar, meaning: meaning)
        var differing = 0
        for i in 0..<fixture.l {
            for (c, value) in fixture.expected(i).enumerated() {
                let q = value / Double(meaning.scale) + Double(meaning.zeroPoint)
                let code = Double(found[i * fixture.d + c])
                // A probability at a rounding tie may move a value by one step of the probabilities.
                if abs(code - min(max(q, 0), 255)) > 0.5 + 1e-3 { differing += 1 }
                #expect(abs(code - min(max(q, 0), 255)) < 1.6)
            }
        }
        #expect(differing * 200 <= found.count)
    }

    @Test func `a causal query does not depend on later keys`() {
        let fixture = Fixture([20, 33, 64, 5], isCausal: true)
        let whole = fixture.run(.best, meaning: fixture.v)
        let shorter = Fixture(truncating: fixture, by: 4)
        #expect(shorter.run(.best, meaning: fixture.v) == Array(whole.prefix(16 * 64)))
    }
}

extension IntegerAttentionTests.Fixture {
    /// The prompt without its last tokens.
    init(truncating other: Self, by tokens: Int) {
        shape = [other.l - tokens, other.t - tokens, other.d, other.prefix]
        isCausal = other.isCausal
        queries = Array(other.queries.dropLast(tokens * other.d))
        keys = Array(other.keys.dropLast(tokens * other.d))
        values = Array(other.values.dropLast(tokens * other.d))
    }
}
