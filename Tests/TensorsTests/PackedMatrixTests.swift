import Foundation
import Tensors
import Testing

@Suite struct PackedMatrixTests {
    static let shapes = [
        [0, 0], [0, 5], [1, 0], [1, 1], [15, 3], [16, 4], [17, 5], [16, 31], [33, 32], [31, 33], [64, 67], [50, 257], [768, 96], [3, 3072],
    ]

    private func codes(_ count: Int, _ bits: BitWidth, seed: Int) -> [Int8] {
        var random = Random(state: UInt64(seed))
        return (0..<count).map { _ in Int8(Int.random(in: bits.signedRange, using: &random)) }
    }

    @Test(arguments: BitWidth.allCases, shapes) func `codes come back and sums are theirs`(bits: BitWidth, shape: [Int]) throws {
        let codes = codes(shape[0] * shape[1], bits, seed: shape[0] * 4096 + shape[1])
        let matrix = try PackedMatrix(codes: codes, outputs: shape[0], inputs: shape[1], bits: bits)
        #expect(matrix.codes() == codes)
        let sums = (0..<shape[0]).map { n in codes[n * shape[1]..<(n + 1) * shape[1]].reduce(Int32(0)) { $0 + Int32($1) } }
        #expect(matrix.sums == sums)
    }

    @Test(arguments: BitWidth.allCases) func `a row of extreme codes sums exactly`(bits: BitWidth) throws {
        let inputs = 65_536
        let matrix = try PackedMatrix(
            codes: [Int8](repeating: Int8(bits.signedRange.lowerBound), count: inputs), outputs: 1, inputs: inputs, bits: bits)
        #expect(matrix.sums == [Int32(bits.signedRange.lowerBound * inputs)])
    }

    @Test(arguments: BitWidth.allCases) func `nothing is wasted at a tower's shapes`(bits: BitWidth) throws {
        for (outputs, inputs) in [(768, 768), (3072, 768), (768, 3072), (512, 512), (2048, 512), (1280, 5120)] {
            #expect(try PackedMatrix.byteCount(outputs: outputs, inputs: inputs, bits: bits) == outputs * inputs * bits.rawValue / 8)
        }
    }

    @Test func `other shapes are padded to whole panels and groups`() throws {
        #expect(try PackedMatrix.byteCount(outputs: 1, inputs: 1, bits: .eight) == 16 * 4)
        #expect(try PackedMatrix.byteCount(outputs: 17, inputs: 9, bits: .four) == 32 * 16 / 2)
        #expect(try PackedMatrix.byteCount(outputs: 16, inputs: 33, bits: .three) == 16 * 64 * 3 / 8)
        #expect(try PackedMatrix.byteCount(outputs: 16, inputs: 17, bits: .two) == 16 * 32 / 4)
    }

    /// The bytes are a file format: a change here makes every written model unreadable.
    @Test func `the layout is the drawn one`() throws {
        let inputs = 32
        for bits in BitWidth.allCases {
            let codes = codes(16 * inputs, bits, seed: 7)
            let bytes = try PackedMatrix(codes: codes, outputs: 16, inputs: inputs, bits: bits).withUnsafeBytes { [UInt8]($0) }
            for channel in 0..<16 {
                for input in 0..<inputs {
                    let quad = input / 4
                    let byte = 4 * channel + input % 4
                    let field: UInt8
                    switch bits {
                    case .eight: field = bytes[quad * 64 + byte]
                    case .four: field = bytes[quad / 2 * 64 + byte] >> (quad % 2 * 4) & 15
                    case .two: field = bytes[quad / 4 * 64 + byte] >> (quad % 4 * 2) & 3
                    case .three:
                        field = bytes[quad / 4 * 64 + byte] >> (quad % 4 * 2) & 3 | (bytes[128 + byte] >> quad & 1) << 2
                    }
                    let offset = bits == .eight ? 0 : 1 << (bits.rawValue - 1)
                    let code = bits == .eight ? Int(Int8(bitPattern: field)) : Int(field) - offset
                    #expect(code == Int(codes[channel * inputs + input]), "\(bits) channel \(channel) input \(input)")
                }
            }
        }
    }

    @Test func `weights in a mapped file are read in place, at any offset`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let codes = codes(20 * 40, .three, seed: 3)
        let matrix = try PackedMatrix(codes: codes, outputs: 20, inputs: 40, bits: .three)
        let url = folder.appendingPathComponent("weights")
        try (Data([1, 2, 3]) + matrix.withUnsafeBytes { Data($0) }).write(to: url)
        let file = try MappedFile(url)
        let mapped = try PackedMatrix(file: file, byteOffset: 3, length: matrix.byteCount, outputs: 20, inputs: 40, bits: .three)
        #expect(mapped.codes() == codes)
        #expect(mapped.sums == matrix.sums)
        let wrong = [(4, matrix.byteCount), (3, matrix.byteCount - 1), (-1, matrix.byteCount), (3, matrix.byteCount + 1), (Int.max, 0)]
        for (offset, length) in wrong {
            #expect(throws: TensorsError.self) {
                try PackedMatrix(file: file, byteOffset: offset, length: length, outputs: 20, inputs: 40, bits: .three)
            }
        }
    }

    @Test func `shapes and codes that can't be are errors`() throws {
        for (outputs, inputs) in [(-1, 4), (4, -1), (1, 65_537), (Int.max, 4), (Int.max / 2, 65_536), (1 << 47, 65_536)] {
            #expect(throws: TensorsError.packedShape(outputs: outputs, inputs: inputs, bits: 8)) {
                try PackedMatrix.byteCount(outputs: outputs, inputs: inputs, bits: .eight)
            }
        }
        #expect(throws: TensorsError.packedLength(outputs: 2, inputs: 3, bits: 4, expected: 6, found: 5)) {
            try PackedMatrix(codes: [0, 0, 0, 0, 0], outputs: 2, inputs: 3, bits: .four)
        }
        #expect(throws: TensorsError.codeOutOfRange(code: 8, output: 1, input: 0, bits: 4)) {
            try PackedMatrix(codes: [7, -8, 0, 8, 0, 0], outputs: 2, inputs: 3, bits: .four)
        }
    }
}
