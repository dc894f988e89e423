import CZlib
import Foundation

/// A PNG file put together by hand, so that tests can make ones that no encoder would.
struct PNGFile {
    var width: Int
    var height: Int
    var depth = 8
    var color = 2
    var interlaced = false
    var palette: [UInt8]?
    /// The filter byte and the filtered bytes of each row of each pass.
    var data: [UInt8]
    var before: [(type: String, data: [UInt8])] = []
    var after: [(type: String, data: [UInt8])] = []
    /// Bytes of each IDAT.
    var split = Int.max

    static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    var bytes: [UInt8] {
        var file = Self.signature + header
        for chunk in before { file += Self.chunk(chunk.type, chunk.data) }
        if let palette { file += Self.chunk("PLTE", palette) }
        var rest = Self.deflate(data)[...]
        while !rest.isEmpty {
            file += Self.chunk("IDAT", Array(rest.prefix(split)))
            rest = rest.dropFirst(split)
        }
        for chunk in after { file += Self.chunk(chunk.type, chunk.data) }
        return file + Self.chunk("IEND", [])
    }

    var header: [UInt8] {
        Self.chunk("IHDR", Self.bigEndian(width) + Self.bigEndian(height) + [UInt8(depth), UInt8(color), 0, 0, interlaced ? 1 : 0])
    }

    static func bigEndian(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

    static func chunk(_ type: String, _ data: [UInt8], claimedLength: Int? = nil) -> [UInt8] {
        let body = Array(type.utf8) + data
        return bigEndian(claimedLength ?? data.count) + body + bigEndian(Int(crc32(0, body, UInt32(body.count))))
    }

    static func deflate(_ data: [UInt8]) -> [UInt8] {
        var size = compressBound(UInt(data.count))
        var out = [UInt8](repeating: 0, count: Int(size))
        compress2(&out, &size, data, UInt(data.count), 6)
        return Array(out.prefix(Int(size)))
    }

    /// A zlib stream of at least `count` zeros, made without inflating or holding them: one block for a megabyte, over and over. Its
    /// checksum at the end is wrong, which no decoder that stops after the last row sees.
    static func deflatedZeros(_ count: Int) -> [UInt8] {
        var stream = z_stream()
        deflateInit_(&stream, 9, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        defer { deflateEnd(&stream) }
        var zeros = [UInt8](repeating: 0, count: 1 << 20)
        var out = [UInt8](repeating: 0, count: 1 << 14)
        let size = zeros.withUnsafeMutableBufferPointer { zeros in
            out.withUnsafeMutableBufferPointer { out in
                (stream.next_in, stream.avail_in) = (zeros.baseAddress, UInt32(zeros.count))
                (stream.next_out, stream.avail_out) = (out.baseAddress, UInt32(out.count))
                CZlib.deflate(&stream, Z_FULL_FLUSH)
                return Int(stream.total_out)
            }
        }
        let (start, block) = (out.prefix(2), out[2..<size])
        return start + Array(repeating: block, count: (count + zeros.count - 1) / zeros.count).joined() + [1, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0]
    }

    var channels: Int { [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][color] ?? 0 }
    var bitsPerPixel: Int { channels * depth }

    /// First column, column step, first row, row step of each pass.
    var passes: [(x: Int, stepX: Int, y: Int, stepY: Int)] {
        if !interlaced { return [(0, 1, 0, 1)] }
        return [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)]
    }

    /// Columns and rows of each pass that holds any.
    var passSizes: [(pass: (x: Int, stepX: Int, y: Int, stepY: Int), columns: Int, rows: Int)] {
        passes.filter { $0.x < width && $0.y < height }.map {
            ($0, (width - $0.x + $0.stepX - 1) / $0.stepX, (height - $0.y + $0.stepY - 1) / $0.stepY)
        }
    }

    /// Any bytes behind legal filter types make a legal picture.
    static func random(
        width: Int, height: Int, depth: Int, color: Int, interlaced: Bool, using generator: inout some RandomNumberGenerator
    ) -> PNGFile {
        var file = PNGFile(width: width, height: height, depth: depth, color: color, interlaced: interlaced, data: [])
        for (_, columns, rows) in file.passSizes {
            for _ in 0..<rows {
                file.data.append(UInt8.random(in: 0...4, using: &generator))
                for _ in 0..<(columns * file.bitsPerPixel + 7) / 8 { file.data.append(UInt8.random(in: 0...255, using: &generator)) }
            }
        }
        if color == 3 { file.palette = (0..<(3 << depth)).map { _ in UInt8.random(in: 0...255, using: &generator) } }
        return file
    }

    /// What a decoder must make of it: written from the PNG specification, slowly.
    var expected: [UInt8] {
        var pixels = [UInt8](repeating: 0, count: width * height * 3)
        var at = 0
        for (pass, columns, rows) in passSizes {
            let rowBytes = (columns * bitsPerPixel + 7) / 8
            var above = [UInt8](repeating: 0, count: rowBytes)
            for row in 0..<rows {
                let line = unfilter(data[at], Array(data[(at + 1)..<(at + 1 + rowBytes)]), above)
                at += 1 + rowBytes
                above = line
                for column in 0..<columns {
                    let target = ((pass.y + row * pass.stepY) * width + pass.x + column * pass.stepX) * 3
                    for (channel, value) in pixel(line, column).enumerated() { pixels[target + channel] = value }
                }
            }
        }
        return pixels
    }

    private func unfilter(_ type: UInt8, _ line: [UInt8], _ above: [UInt8]) -> [UInt8] {
        let distance = max(1, bitsPerPixel / 8)
        var out = line
        for i in line.indices {
            let (a, b, c) = (i < distance ? 0 : Int(out[i - distance]), Int(above[i]), i < distance ? 0 : Int(above[i - distance]))
            let estimate = a + b - c
            let (pa, pb, pc) = (abs(estimate - a), abs(estimate - b), abs(estimate - c))
            let predicted = [0, a, b, (a + b) / 2, pa <= pb && pa <= pc ? a : pb <= pc ? b : c][Int(type)]
            out[i] = line[i] &+ UInt8(predicted)
        }
        return out
    }

    private func pixel(_ line: [UInt8], _ column: Int) -> [UInt8] {
        let samples = (0..<channels).map { sample(line, column * channels + $0) }
        switch color {
        case 3: return (0..<3).map { palette?[samples[0] * 3 + $0] ?? 0 }
        case 0, 4:
            let gray = UInt8(depth >= 8 ? samples[0] : samples[0] * 255 / (1 << depth - 1))
            return [gray, gray, gray]
        default: return samples[0..<3].map(UInt8.init)
        }
    }

    private func sample(_ line: [UInt8], _ index: Int) -> Int {
        if depth >= 8 { return Int(line[index * depth / 8]) }
        let bit = index * depth
        return Int(line[bit / 8]) >> (8 - depth - bit % 8) & (1 << depth - 1)
    }
}

/// A small generator with a recorded seed, so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
