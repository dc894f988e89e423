import Foundation
import Imaging
import Testing

extension JPEGFixture: CustomTestStringConvertible {
    var testDescription: String { name }
    var bytes: [UInt8] { Data(base64Encoded: file).map(Array.init) ?? [] }
    var expected: [UInt8] { Data(base64Encoded: pixels).map(Array.init) ?? [] }
}

@Suite struct DecodeTests {
    private static let depths = [0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]]

    @Test(arguments: [0, 2, 3, 4, 6], [false, true])
    func `PNGs of every colour type, depth and size decode as the specification says`(color: Int, interlaced: Bool) throws {
        var generator = SeededGenerator(state: UInt64(color))
        for depth in Self.depths[color] ?? [] {
            for (width, height) in [(1, 1), (1, 9), (2, 2), (3, 5), (4, 4), (5, 3), (8, 8), (9, 1), (17, 13), (33, 31)] {
                var file = PNGFile.random(
                    width: width, height: height, depth: depth, color: color, interlaced: interlaced, using: &generator)
                file.split = 7
                let image = try ImageDecoder().decode(file.bytes)
                #expect(image.width == width && image.height == height && image.format == .png)
                #expect(image.samples == file.expected, "\(width) x \(height), depth \(depth)")
            }
        }
    }

    @Test func `transparency, gamma and profiles don't change a PNG's pixels, whatever their chunks hold`() throws {
        var generator = SeededGenerator(state: 5)
        for color in [0, 2, 3] {
            var file = PNGFile.random(width: 6, height: 5, depth: 8, color: color, interlaced: false, using: &generator)
            let plain = file.expected
            file.before = [("gAMA", PNGFile.bigEndian(20_000)), ("iCCP", [1, 2, 3]), ("sBIT", [9]), ("zzZz", [])]
            file.after = [("tRNS", [0, 0, 0, 0, 0, 0]), ("tIME", [])]
            #expect(try ImageDecoder().decode(file.bytes).samples == plain)
        }
    }

    @Test func `an index outside the palette is black`() throws {
        let file = PNGFile(width: 2, height: 1, color: 3, palette: [10, 20, 30], data: [0, 0, 1])
        #expect(try ImageDecoder().decode(file.bytes).samples == [10, 20, 30, 0, 0, 0])
    }

    // Another libjpeg may round differently, by one.
    @Test(arguments: JPEGFixture.all) func `JPEGs of every kind decode as Pillow decodes them`(fixture: JPEGFixture) throws {
        let image = try ImageDecoder().decode(fixture.bytes)
        #expect(image.width == JPEGFixture.width && image.height == JPEGFixture.height && image.format == .jpeg)
        let (found, expected) = (image.samples, fixture.expected)
        try #require(found.count == expected.count)
        #expect(zip(found, expected).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
    }

    @Test func `an image's memory is used again`() throws {
        let image = RGBImage()
        for fixture in JPEGFixture.all + JPEGFixture.all.reversed() {
            try fixture.bytes.withUnsafeBytes { try ImageDecoder().decode($0, into: image) }
            #expect(zip(image.samples, fixture.expected).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
        }
    }

    @Test(
        arguments: [
            ([], "decode.empty"), ([0x89, 0x50], "decode.truncated"), ([0xFF], "decode.truncated"),
            ([0xFF, 0xD8, 0xFF], "decode.truncated"),
            (Array("GIF89a..".utf8), "decode.unsupported"), (Array("RIFF....WEBPVP8 ".utf8), "decode.unsupported"),
            (Array("hello, world".utf8), "decode.unsupported"), (PNGFile.signature, "decode.truncated"),
        ] as [([UInt8], String)])
    func `what is not an image has its own error`(bytes: [UInt8], code: String) {
        #expect(#expect(throws: ImagingError.self) { try ImageDecoder().decode(bytes) }?.code == code)
    }

    @Test func `a damaged PNG says what is damaged`() throws {
        var generator = SeededGenerator(state: 6)
        let file = PNGFile.random(width: 9, height: 9, depth: 8, color: 2, interlaced: false, using: &generator).bytes
        var flipped = file
        flipped[60] ^= 4
        #expect(throws: ImagingError.corrupt(.png, "IDAT has a wrong checksum")) { try ImageDecoder().decode(flipped) }
        #expect(#expect(throws: ImagingError.self) { try ImageDecoder().decode(file.prefix(150)) }?.code == "decode.truncated")
        let short = PNGFile(width: 9, height: 9, data: Array(repeating: 0, count: 28 * 8)).bytes
        #expect(#expect(throws: ImagingError.self) { try ImageDecoder().decode(short) }?.code == "decode.corrupt")
    }

    @Test func `an error names the item`() throws {
        let error = ImagingError.truncated(.png, "the file ends before IDAT")
        #expect(error.message(for: "cat.png") == "cat.png: the png image is cut short: the file ends before IDAT; send the whole file")
        #expect(!error.isRetryable)
    }
}
