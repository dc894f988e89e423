import Foundation

extension SVGChart {
    /// A matrix, deep where values are high; rows from the top.
    ///
    /// - Parameters:
    ///   - range: the values of the background and of the deepest colour.
    ///   - names: of rows and columns alike; written beside it where there are few, and shown with each cell's value.
    static func matrix(_ values: [[Double]], range: ClosedRange<Double>, names: [String] = []) -> String {
        let isNamed = !names.isEmpty && names.count == values.count && names.count <= 60
        let letter = names.count <= 24 ? 11.0 : 7.0
        let margin = isNamed ? 12 + letter * 0.58 * Double(min(16, names.map(\.count).max() ?? 0)) : 0.0
        let extent = isNamed && names.count > 24 ? 460.0 : side
        let cell = extent / Double(max(values.count, 1))
        var shapes = "<rect x=\"\(short(margin))\" y=\"\(short(margin))\" width=\"\(short(extent))\" height=\"\(short(extent))\" "
        shapes += "fill=\"none\" stroke=\"var(--line)\"/>"
        for (y, row) in values.enumerated() {
            for (x, value) in row.enumerated() {
                let share = min(1, max(0, (value - range.lowerBound) / max(range.upperBound - range.lowerBound, 1e-12)))
                if share < 0.004 { continue }
                shapes += "<rect x=\"\(short(margin + Double(x) * cell))\" y=\"\(short(margin + Double(y) * cell))\" "
                shapes += "width=\"\(short(cell))\" height=\"\(short(cell))\" fill=\"var(--c0)\" "
                shapes += "fill-opacity=\"\(String(format: "%.2f", share))\""
                shapes += isNamed ? ">\(tip("\(names[y]) → \(names[x]): \(tick(value))"))</rect>" : "/>"
            }
        }
        if isNamed {
            for (index, name) in names.enumerated() {
                let middle = margin + (Double(index) + 0.5) * cell
                let style = "style=\"font-size:\(short(letter))px\" class=\"name\""
                let name = HTMLPage.escaped(cut(name, 16))
                shapes += "<text x=\"\(short(margin - 5))\" y=\"\(short(middle + letter / 3))\" text-anchor=\"end\" \(style)>\(name)</text>"
                shapes +=
                    "<text transform=\"translate(\(short(middle + letter / 3)) \(short(margin - 5))) rotate(-90)\" \(style)>\(name)</text>"
            }
        }
        return svg(margin + extent + 2, margin + extent + 2, shapes)
    }
}
