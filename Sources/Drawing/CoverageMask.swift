/// How much of each pixel of a square picture an outline covers, 0 to 1: exact areas, by summing the signed areas beneath the edges.
///
/// Where contours overlap, the sum is cut at 1.
package struct CoverageMask {
    let side: Int
    /// [side, side]
    package private(set) var values: [Float]
    /// Rows that may hold anything but 0.
    private(set) var rows: Range<Int> = 0..<0

    init(side: Int) {
        self.side = side
        values = [Float](repeating: 0, count: side * side)
    }

    package init(_ outline: Outline, side: Int) {
        self.init(side: side)
        fill(outline)
    }

    private mutating func fill(_ outline: Outline) {
        var (top, bottom) = (Double(side), 0.0)
        for contour in outline.contours {
            for p in contour { (top, bottom) = (min(top, p.y), max(bottom, p.y)) }
        }
        top = max(top, 0)
        bottom = min(bottom, Double(side))
        guard top < bottom else { return }
        rows = Int(top)..<min(side, Int(bottom.rounded(.up)))
        var areas = AreaSums(side: side, rows: rows)
        for contour in outline.contours {
            for index in contour.indices { areas.addEdge(contour[index], contour[index + 1 == contour.count ? 0 : index + 1]) }
        }
        areas.resolve(into: &values)
    }

    /// A band along the mask's edge, as a pen would leave it: 1 where about half of the 3 x 3 neighbourhood (`reach` times) is covered.
    func rim(reach: Int) -> CoverageMask {
        var blurred = self
        for _ in 0..<reach { blurred.soften() }
        var result = blurred
        for index in result.values.indices {
            let c = blurred.values[index]
            result.values[index] = min(1, max(0, 6 * c * (1 - c) - 0.3))
        }
        return result
    }

    /// A mean over 3 x 3 pixels.
    private mutating func soften() {
        let old = values
        for y in 0..<side {
            for x in 0..<side {
                var sum: Float = 0
                for v in max(0, y - 1)...min(side - 1, y + 1) {
                    for u in max(0, x - 1)...min(side - 1, x + 1) { sum += old[v * side + u] }
                }
                values[y * side + x] = sum / 9
            }
        }
        rows = max(0, rows.lowerBound - 1)..<min(side, rows.upperBound + 1)
    }
}

/// What edges add to the running sum along each row of pixels: the area to their right, with its sign.
///
/// The rows are twice as wide as the picture, half of it on either side, so that parts that stick out need no clipping.
private struct AreaSums {
    private let side: Int
    private let rows: Range<Int>
    private let width: Int
    private var sums: [Float]

    init(side: Int, rows: Range<Int>) {
        self.side = side
        self.rows = rows
        width = 2 * side + 2
        sums = [Float](repeating: 0, count: rows.count * width)
    }

    mutating func addEdge(_ from: Point, _ to: Point) {
        if from.y == to.y { return }
        let (direction, p, q) = from.y < to.y ? (-1.0, from, to) : (1.0, to, from)
        let limit = Double(2 * side)
        let slope = (q.x - p.x) / (q.y - p.y)
        let start = max(p.y, Double(rows.lowerBound))
        var x = p.x + (start - p.y) * slope + Double(side) / 2
        var row = Int(start)
        while row < rows.upperBound && Double(row) < q.y {
            let height = min(Double(row + 1), q.y) - max(Double(row), start)
            let next = x + slope * height
            addSlice(
                row, min(max(min(x, next), 0), limit), min(max(max(x, next), 0), limit), area: height * direction)
            x = next
            row += 1
        }
    }

    /// An edge that crosses one row between `left` and `right`.
    private mutating func addSlice(_ row: Int, _ left: Double, _ right: Double, area: Double) {
        let base = (row - rows.lowerBound) * width
        let first = Int(left)
        let last = Int(right.rounded(.up))
        if last <= first + 1 {
            let part = (left + right) / 2 - Double(first)
            sums[base + first] += Float(area * (1 - part))
            sums[base + first + 1] += Float(area * part)
            return
        }
        // The covered part of each pixel is the integral of a ramp from `left` to `right`.
        let inverse = 1 / (right - left)
        var before = 0.0
        for pixel in first..<last {
            let (a, b) = (max(left, Double(pixel)), min(right, Double(pixel + 1)))
            let end = Double(pixel + 1)
            // Mean over the pixel of how much of the edge lies to the left, from the ramp's values at both ends.
            let covered = (b - a) * ((a - left) + (b - left)) / 2 * inverse + (end - b)
            sums[base + pixel] += Float(area * (covered - before))
            before = covered
        }
        sums[base + last] += Float(area * (1 - before))
    }

    func resolve(into values: inout [Float]) {
        for row in rows {
            var sum: Float = 0
            let base = (row - rows.lowerBound) * width
            for x in 0..<(side / 2) { sum += sums[base + x] }
            for x in 0..<side {
                sum += sums[base + side / 2 + x]
                // A mirrored outline runs the other way round.
                values[row * side + x] = min(1, abs(sum))
            }
        }
    }
}
