internal import Imaging

/// A square picture in float sRGB that is painted on.
struct Canvas {
    let side: Int
    /// [side, side]
    var pixels: [Colour]

    init(side: Int, _ colour: Colour) {
        self.side = side
        pixels = [Colour](repeating: colour, count: side * side)
    }

    /// Paints `colour(x, y)` wherever `mask` covers.
    mutating func paint(_ mask: CoverageMask, opacity: Float = 1, _ colour: (Int, Int) -> Colour) {
        for y in mask.rows {
            for x in 0..<side {
                let cover = mask.values[y * side + x]
                if cover > 0 { pixels[y * side + x] = pixels[y * side + x].mixed(colour(x, y), cover * opacity) }
            }
        }
    }

    /// 8-bit RGB, [side, side, 3], rounded to nearest.
    func bytes() -> [UInt8] {
        func level(_ value: Float) -> UInt8 { UInt8(min(255, max(0, value.rounded(.toNearestOrEven)))) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(pixels.count * 3)
        for pixel in pixels {
            bytes.append(level(pixel.red))
            bytes.append(level(pixel.green))
            bytes.append(level(pixel.blue))
        }
        return bytes
    }

    /// Takes pixels [side, side, 3] over.
    mutating func load(_ bytes: UnsafeBufferPointer<UInt8>) {
        for index in pixels.indices {
            pixels[index] = Colour(Float(bytes[index * 3]), Float(bytes[index * 3 + 1]), Float(bytes[index * 3 + 2]))
        }
    }
}
