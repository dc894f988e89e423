import Foundation
import Imaging
import Testing

/// A TIFF structure with an orientation and nothing else.
func exif(orientation: UInt32, type: UInt16 = 3, bigEndian: Bool = true) -> [UInt8] {
    func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: bigEndian ? value.bigEndian : value.littleEndian) { Array($0) }
    }
    let value: [UInt8] =
        switch type {
        case 3: bytes(UInt16(truncatingIfNeeded: orientation)) + [0, 0]
        case 1, 6: [UInt8(truncatingIfNeeded: orientation), 0, 0, 0]
        case 11: bytes(Float(orientation).bitPattern)
        default: bytes(orientation)
        }
    let head = Array((bigEndian ? "MM" : "II").utf8) + bytes(UInt16(42)) + bytes(UInt32(8))
    let entry = bytes(UInt16(1)) + bytes(UInt16(0x0112)) + bytes(type) + bytes(UInt32(1)) + value
    return head + entry + bytes(UInt32(0))
}

func jpeg(_ file: [UInt8], applicationSegments: [[UInt8]]) -> [UInt8] {
    var result = Array(file.prefix(2))
    for segment in applicationSegments {
        result += [0xFF, 0xE1, UInt8((segment.count + 2) >> 8), UInt8((segment.count + 2) & 255)]
        result += segment
    }
    return result + file.dropFirst(2)
}

@Suite struct OrientationTests {
    /// Where the pixel that is seen at (x, y) is stored, in a picture of width and height as stored. Source: EXIF 2.32, table 6.
    private static func stored(_ orientation: Int, _ x: Int, _ y: Int, _ width: Int, _ height: Int) -> (x: Int, y: Int) {
        switch orientation {
        case 2: (width - 1 - x, y)
        case 3: (width - 1 - x, height - 1 - y)
        case 4: (x, height - 1 - y)
        case 5: (y, x)
        case 6: (y, height - 1 - x)
        case 7: (width - 1 - y, height - 1 - x)
        case 8: (width - 1 - y, x)
        default: (x, y)
        }
    }

    private func expectTurned(_ file: [UInt8], by orientation: Int, _ comment: Comment) throws {
        let plain = try ImageDecoder(appliesOrientation: false).decode(file)
        let turned = try ImageDecoder().decode(file)
        let (before, after) = (plain.samples, turned.samples)
        try #require(turned.width == (orientation >= 5 ? plain.height : plain.width), comment)
        try #require(turned.height == (orientation >= 5 ? plain.width : plain.height), comment)
        for y in 0..<turned.height {
            for x in 0..<turned.width {
                let from = Self.stored(orientation, x, y, plain.width, plain.height)
                let (a, b) = ((y * turned.width + x) * 3, (from.y * plain.width + from.x) * 3)
                #expect(after[a..<(a + 3)] == before[b..<(b + 3)], comment)
            }
        }
    }

    private static var png: PNGFile {
        var generator = SeededGenerator(state: 9)
        return PNGFile.random(width: 5, height: 3, depth: 8, color: 2, interlaced: false, using: &generator)
    }

    @Test(arguments: 1...8) func `pictures are turned as EXIF says, in JPEG and PNG`(orientation: Int) throws {
        for bigEndian in [false, true] {
            let block = exif(orientation: UInt32(orientation), bigEndian: bigEndian)
            var png = Self.png
            png.before = [("eXIf", block)]
            try expectTurned(png.bytes, by: orientation, "eXIf before IDAT")
            (png.before, png.after) = ([], [("eXIf", block)])
            try expectTurned(png.bytes, by: orientation, "eXIf after IDAT")
            let segment = Array("Exif\0\0".utf8) + block
            try expectTurned(jpeg(JPEGFixture.all[2].bytes, applicationSegments: [segment]), by: orientation, "APP1")
        }
    }

    @Test func `whole numbers of any type count, bytes and values outside 1 to 8 don't`() throws {
        for (type, value, orientation) in [(4, 6, 6), (9, 6, 6), (11, 6, 6), (8, 6, 1), (1, 6, 1), (3, 0, 1), (3, 9, 1), (4, 70_000, 1)] {
            // Type 8 with the value in the wrong half of the field is zero in big endian.
            var png = Self.png
            png.before = [("eXIf", exif(orientation: UInt32(value), type: UInt16(type)))]
            try expectTurned(png.bytes, by: orientation, "type \(type), value \(value)")
        }
    }

    @Test func `EXIF is found in text chunks, and XMP where there is no EXIF`() throws {
        let hex = (Array("Exif\0\0".utf8) + exif(orientation: 8)).map { String(format: "%02x", $0) }.joined()
        let profile = Array("\nexif\n      32\n\(hex)\n".utf8)
        let xmp = Array(#"<rdf:Description tiff:Orientation="5"/>"#.utf8)
        let chunks: [(String, String, [UInt8], Int)] = [
            ("tEXt", "tEXt", Array("Raw profile type exif\0".utf8) + profile, 8),
            ("zTXt", "zTXt", Array("Raw profile type exif\0\0".utf8) + PNGFile.deflate(profile), 8),
            ("iTXt", "XMP", Array("XML:com.adobe.xmp\0\0\0\0\0".utf8) + xmp, 5),
            ("iTXt", "compressed XMP", Array("XML:com.adobe.xmp\0\u{1}\0\0\0".utf8) + PNGFile.deflate(xmp), 5),
        ]
        for (type, name, data, orientation) in chunks {
            var png = Self.png
            png.after = [(type, data)]
            try expectTurned(png.bytes, by: orientation, "\(name)")
        }
        let segment = Array("http://ns.adobe.com/xap/1.0/\0".utf8) + Array("<tiff:Orientation>7</tiff:Orientation>".utf8)
        try expectTurned(jpeg(JPEGFixture.all[0].bytes, applicationSegments: [segment]), by: 7, "XMP in JPEG")
        let both = [segment, Array("Exif\0\0".utf8) + exif(orientation: 3)]
        try expectTurned(jpeg(JPEGFixture.all[0].bytes, applicationSegments: both), by: 3, "EXIF goes before XMP")
    }

    @Test func `damaged EXIF leaves the picture upright`() throws {
        let block = exif(orientation: 6)
        for count in 0..<22 {
            var png = Self.png
            png.before = [("eXIf", Array(block.prefix(count)))]
            try expectTurned(png.bytes, by: 1, "cut at \(count)")
        }
    }
}
