import Foundation
import Imaging
import Testing

/// Damage of every kind: an image or a typed error, never a trap.
@Suite struct DamageTests {
    private static let small: [(name: String, bytes: [UInt8])] = {
        var generator = SeededGenerator(state: 7)
        var files = JPEGFixture.all.map { ($0.name, $0.bytes) }
        for (color, depth, interlaced) in [(2, 8, false), (3, 2, true), (6, 16, true), (0, 1, false)] {
            var file = PNGFile.random(width: 7, height: 6, depth: depth, color: color, interlaced: interlaced, using: &generator)
            file.before = [("eXIf", exif(orientation: 6)), ("tEXt", Array("Raw profile type exif\0\nexif\n 8\n4d4d".utf8))]
            files.append(("png \(color)", file.bytes))
        }
        return files
    }()

    @Test func `truncated at every byte`() throws {
        for (name, bytes) in Self.small {
            let whole = try ImageDecoder().decode(bytes).samples
            for count in 0..<bytes.count {
                do {
                    let image = try ImageDecoder().decode(bytes.prefix(count))
                    #expect(image.samples == whole, "\(name) cut at \(count) of \(bytes.count)")
                } catch let error as ImagingError {
                    #expect(error.code == (count == 0 ? "decode.empty" : "decode.truncated"), "\(name) cut at \(count): \(error)")
                }
            }
            #expect(throws: ImagingError.self) { try ImageDecoder().decode(bytes.prefix(bytes.count / 2)) }
        }
    }

    @Test func `every bit flipped`() {
        let image = RGBImage()
        for (_, bytes) in Self.small {
            var damaged = bytes
            for bit in 0..<(bytes.count * 8) {
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                expectImageOrError(damaged, image)
                damaged[bit / 8] = bytes[bit / 8]
            }
        }
    }

    @Test func `several random edits`() {
        var generator = SeededGenerator(state: 8)
        let image = RGBImage()
        for (_, bytes) in Self.small {
            for _ in 0..<500 {
                var damaged = bytes
                for _ in 0..<Int.random(in: 1...8, using: &generator) {
                    damaged[Int.random(in: 2..<damaged.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                }
                let cut = Int.random(in: 0..<damaged.count, using: &generator)
                if Bool.random(using: &generator) { damaged.removeSubrange(cut..<min(damaged.count, cut + 5)) }
                expectImageOrError(damaged, image)
            }
        }
    }

    private func expectImageOrError(_ bytes: [UInt8], _ image: RGBImage) {
        do {
            try bytes.withUnsafeBytes { try ImageDecoder().decode($0, into: image) }
        } catch {
            #expect(error is ImagingError)
        }
    }
}
