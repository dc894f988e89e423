import Foundation

/// Small charts as SVG elements.
enum SVGChart {
    private static let side = 300.0
    private static let margin = 34.0

    /// A matrix, dark where values are high; rows from the top.
    ///
    /// - Parameter range: the values of white and of the darkest blue.
    static func matrix(_ values: [[Double]], range: ClosedRange<Double>) -> String {
        let cell = side / Double(max(values.count, 1))
        var shapes = ""
        for (y, row) in values.enumerated() {
            for (x, value) in row.enumerated() {
                let share = min(1, max(0, (value - range.lowerBound) / max(range.upperBound - range.lowerBound, 1e-12)))
                let (red, green) = (Int(255 - 225 * share), Int(255 - 175 * share))
                shapes += "<rect x=\"\(short(Double(x) * cell))\" y=\"\(short(Double(y) * cell))\" width=\"\(short(cell))\" "
                shapes += "height=\"\(short(cell))\" fill=\"rgb(\(red),\(green),\(Int(255 - 75 * share)))\"/>"
            }
        }
        return svg(side, side, shapes)
    }

    /// A line of a chart.
    struct Line {
        let name: String
        let points: [(x: Double, y: Double)]
        /// Marks instead of a line through the points.
        var isScatter = false
    }

    private static let colours = ["#1f6fb4", "#d1495b", "#3a7d44", "#8e5ea2", "#d98e04", "#555555"]

    /// Lines or points over two axes.
    static func lines(_ lines: [Line], x: ClosedRange<Double>, y: ClosedRange<Double>, labels: (x: String, y: String)) -> String {
        func place(_ point: (x: Double, y: Double)) -> (String, String) {
            let across = (point.x - x.lowerBound) / max(x.upperBound - x.lowerBound, 1e-12)
            let up = (point.y - y.lowerBound) / max(y.upperBound - y.lowerBound, 1e-12)
            return (short(margin + across * side), short(8 + (1 - up) * side))
        }
        let (left, bottom) = (margin, 8 + side)
        var shapes = "<path d=\"M\(left) 8V\(bottom)H\(left + side)\" fill=\"none\" stroke=\"#999\"/>"
        for share in [0, 0.5, 1.0] {
            let (atX, atY) = (x.lowerBound + share * (x.upperBound - x.lowerBound), y.lowerBound + share * (y.upperBound - y.lowerBound))
            shapes += "<text x=\"\(short(left + share * side))\" y=\"\(bottom + 14)\" text-anchor=\"middle\">\(tick(atX))</text>"
            shapes += "<text x=\"\(left - 4)\" y=\"\(short(12 + (1 - share) * side))\" text-anchor=\"end\">\(tick(atY))</text>"
        }
        shapes += "<text x=\"\(left + side / 2)\" y=\"\(bottom + 28)\" text-anchor=\"middle\">\(HTMLPage.escaped(labels.x))</text>"
        shapes += "<text x=\"\(left + 4)\" y=\"18\">\(HTMLPage.escaped(labels.y))</text>"
        for (index, line) in lines.enumerated() {
            let colour = colours[index % colours.count]
            let places = line.points.map(place)
            if line.isScatter {
                for (x, y) in places { shapes += "<circle cx=\"\(x)\" cy=\"\(y)\" r=\"4\" fill=\"\(colour)\"/>" }
            } else {
                let points = places.map { "\($0.0),\($0.1)" }.joined(separator: " ")
                shapes += "<polyline points=\"\(points)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.5\"/>"
            }
            let label = HTMLPage.escaped(line.name)
            shapes += "<text x=\"\(left + side - 4)\" y=\"\(20 + 14 * index)\" text-anchor=\"end\" fill=\"\(colour)\">\(label)</text>"
        }
        return svg(side + margin + 12, side + 44, shapes)
    }

    /// Accuracy over confidence, with the line where both are equal. Bins lie side by side from confidence 0 to 1.
    static func reliability(_ bins: [(confidence: Double, accuracy: Double)]) -> String {
        lines(
            [
                Line(name: "as sure as right", points: [(0, 0), (1, 1)]),
                Line(name: "measured", points: bins.map { ($0.confidence, $0.accuracy) }),
            ],
            x: 0...1, y: 0...1, labels: ("confidence", "accuracy"))
    }

    private static func svg(_ width: Double, _ height: Double, _ shapes: String) -> String {
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(short(width))\" height=\"\(short(height))\">\(shapes)</svg>"
    }

    private static func short(_ value: Double) -> String { String(format: "%.1f", value) }
    private static func tick(_ value: Double) -> String { String(format: "%.3g", value) }
}
