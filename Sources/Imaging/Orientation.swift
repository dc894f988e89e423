/// How a stored picture is to be turned to be seen upright; raw values are EXIF's.
package enum Orientation: Int, Sendable, CaseIterable {
    case upright = 1
    case mirrored, upsideDown, mirroredUpsideDown, transposed, turnedLeft, transversed, turnedRight

    /// Whether rows become columns.
    package var swapsSides: Bool { rawValue >= Orientation.transposed.rawValue }

    /// Copies [height, width, 3] to [height, width, 3], or [width, height, 3] where sides are swapped.
    func copy(_ source: UnsafeBufferPointer<UInt8>, width: Int, height: Int, to target: UnsafeMutableBufferPointer<UInt8>) {
        precondition(source.count == width * height * 3 && target.count == source.count, "both hold the picture")
        guard let input = source.baseAddress, var output = target.baseAddress else { return }
        let (pixel, row) = (3, width * 3)
        let (lastX, lastY) = ((width - 1) * pixel, (height - 1) * row)
        // Where the target's first pixel comes from, and how far apart its neighbours to the right and below are in the source.
        let (start, right, down): (Int, Int, Int) =
            switch self {
            case .upright: (0, pixel, row)
            case .mirrored: (lastX, -pixel, row)
            case .upsideDown: (lastX + lastY, -pixel, -row)
            case .mirroredUpsideDown: (lastY, pixel, -row)
            case .transposed: (0, row, pixel)
            case .turnedLeft: (lastY, -row, pixel)
            case .transversed: (lastX + lastY, -row, -pixel)
            case .turnedRight: (lastX, row, -pixel)
            }
        let (columns, rows) = swapsSides ? (height, width) : (width, height)
        for y in 0..<rows {
            var from = input + start + y * down
            for _ in 0..<columns {
                (output[0], output[1], output[2]) = (from[0], from[1], from[2])
                output += pixel
                from += right
            }
        }
    }
}
