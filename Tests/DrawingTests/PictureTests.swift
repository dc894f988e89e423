import Crypto
import Imaging
import Testing

import Drawing

@Suite struct PictureTests {
    private func digest(_ domain: DrawingDomain, seed: UInt64, indices: Range<UInt64>) throws -> String {
        var hash = SHA256()
        for index in indices { hash.update(data: try DrawnPicture.pixels(Scene(seed: seed, index: index, split: .all), domain: domain)) }
        return hash.finalize().prefix(8).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// The domains are fixed: figures that were published belong to these pictures.
    @Test(arguments: [(DrawingDomain.world, "1ddce756c47fdfe6"), (.field, "4c0831a26950604d")])
    func `The first hundred pictures are the ones that they have always been`(domain: DrawingDomain, expected: String) throws {
        let found = try digest(domain, seed: 0, indices: 0..<104)
        #expect(found == expected, "\(found)")
    }

    @Test(arguments: DrawingDomain.allCases) func `Seeds and places in the stream make different pictures`(domain: DrawingDomain) throws {
        let digests = try [(0, 0), (0, 1), (1, 0), (1, 1)].map { seed, index in
            try digest(domain, seed: UInt64(seed), indices: UInt64(index)..<UInt64(index) + 1)
        }
        #expect(Set(digests).count == 4)
    }

    /// Coverage of each kind in the same place; distinct kinds must differ in a visible part of the box, mirrored or not.
    @Test func `Every kind is drawn, and no two look alike`() {
        let side = 48
        func mask(_ kind: Kind, mirrored: Bool) -> [Float] {
            let place = Transform(a: mirrored ? -0.48 : 0.48, d: 0.48, tx: mirrored ? 48 : 0)
            var sum = [Float](repeating: 0, count: side * side)
            for part in kind.parts {
                let weight: Float = part.role == .body ? 1 : 0.5
                let values = CoverageMask(part.outline.mapped(place), side: side).values
                for index in sum.indices { sum[index] = sum[index] * (1 - values[index]) + weight * values[index] }
            }
            return sum
        }
        let masks = Kind.allCases.map { mask($0, mirrored: false) }
        for (kind, values) in zip(Kind.allCases, masks) {
            let covered = values.reduce(0, +)
            #expect(covered > 230, "\(kind) is hardly there")
        }
        for (i, a) in Kind.allCases.enumerated() {
            let mirrored = mask(a, mirrored: true)
            for (j, b) in Kind.allCases.enumerated() where j > i {
                for values in [masks[i], mirrored] {
                    let difference = zip(values, masks[j]).reduce(Float(0)) { $0 + abs($1.0 - $1.1) }
                    #expect(difference > 70, "\(a) and \(b) differ by \(difference) pixels")
                }
            }
        }
    }

    @Test func `Coverage is the exact area: a slanted square, a hole, a part outside`() {
        func area(_ text: String) -> Float { CoverageMask(Outline(text), side: 20).values.reduce(0, +) }
        let expected: [(String, Float)] = [
            ("P 10 2.5 17.5 10 10 17.5 2.5 10", 112.5), ("R 2.25 3.5 10.5 8.25 r 4.5 5.5 3.25 2.75", 77.6875), ("R -5 4 9 3", 12),
            ("P 15 5 25 5 25 12 15 12", 35), ("R -9 4 5 3", 0), ("R 3 24 5 3", 0),
        ]
        for (text, size) in expected {
            let found = area(text)
            #expect(abs(found - size) < 0.01, "\(text): \(found)")
        }
    }

    @Test func `Sine and cosine are right to the last digits`() {
        for step in -200...200 {
            let turn = Double(step) / 97
            let (sine, cosine) = (Turn.sine(turn), Turn.cosine(turn))
            let length = sine * sine + cosine * cosine
            #expect(abs(length - 1) < 1e-14)
            let ahead = Turn.sine(turn + 0.25)
            #expect(abs(ahead - cosine) < 1e-14)
        }
        let (half, diagonal) = (Turn.sine(1.0 / 12), Turn.sine(1.0 / 8))
        #expect(abs(half - 0.5) < 1e-15)
        #expect(abs(diagonal - 0.5.squareRoot()) < 1e-15)
    }

    @Test func `A picture survives PNG, and JPEG nearly`() throws {
        let pixels = try DrawnPicture.pixels(Scene(seed: 2, index: 5, split: .all), domain: .world)
        let side = DrawnPicture.side
        func decoded(_ encoding: ImageFile.Encoding) throws -> [UInt8] {
            let file = try ImageFile.encode(pixels, width: side, height: side, as: encoding)
            return try file.withUnsafeBytes { try ImageDecoder().decode($0) }.withPixels(Array.init)
        }
        #expect(try decoded(.png) == pixels)
        let error = try zip(decoded(.jpeg(quality: 95)), pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        #expect(error > 0)
        #expect(error < pixels.count * 8)
    }
}
