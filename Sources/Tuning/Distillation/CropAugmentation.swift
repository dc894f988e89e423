/// Which pictures a step sees, and how: mirrored at even odds, and moved by a few pixels with the edge
/// repeated.
///
/// Everything depends on the seed and the step alone.
package struct CropAugmentation: Sendable {
    private let side: Int
    private let shift: Int
    private let random: PhiloxRandom

    /// - Parameters:
    ///   - side: of the crops, in pixels.
    ///   - shift: the furthest that a picture is moved, in pixels.
    package init(side: Int, shift: Int, seed: UInt64) {
        self.side = side
        self.shift = shift
        random = PhiloxRandom(seed: seed)
    }

    /// The crops of step `step`, [size, side, side, 3]: each epoch takes all `count` crops of `crops` in an order of its own.
    package func batch(_ step: Int, size: Int, of crops: [UInt8], count: Int) -> [UInt8] {
        let bytes = side * side * 3
        let orders = random.stream(0)
        var result: [UInt8] = []
        result.reserveCapacity(size * bytes)
        var epoch = -1
        var order: [Int] = []
        for place in step * size..<(step + 1) * size {
            if place / count != epoch {
                epoch = place / count
                order = orders.stream(epoch).permutation(count)
            }
            result += picture(order[place % count], place, crops)
        }
        return result
    }

    private func picture(_ index: Int, _ place: Int, _ crops: [UInt8]) -> [UInt8] {
        let start = index * side * side * 3
        let draw = random.stream(1).block(UInt64(place))
        let isMirrored = draw.0 & 1 == 1
        let (dx, dy) = (Int(draw.1 % UInt32(2 * shift + 1)) - shift, Int(draw.2 % UInt32(2 * shift + 1)) - shift)
        return [UInt8](unsafeUninitializedCapacity: side * side * 3) { target, initialized in
            crops.withUnsafeBufferPointer { crops in
                for y in 0..<side {
                    let row = start + min(max(y + dy, 0), side - 1) * side * 3
                    for x in 0..<side {
                        let moved = min(max(x + dx, 0), side - 1)
                        let source = row + (isMirrored ? side - 1 - moved : moved) * 3
                        for channel in 0..<3 { target[(y * side + x) * 3 + channel] = crops[source + channel] }
                    }
                }
            }
            initialized = side * side * 3
        }
    }
}
