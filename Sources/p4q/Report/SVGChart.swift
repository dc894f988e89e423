import Foundation

/// Small charts as SVG elements, in the page's colours.
enum SVGChart {
    static let side = 300.0

    /// A line of a chart.
    struct Line {
        let name: String
        let points: [(x: Double, y: Double)]
        /// Also marks each point.
        var hasMarks = false
    }

    static func colour(_ index: Int) -> String { "var(--c\(index % 7))" }

    /// Lines over two axes; their names stand above them.
    static func lines(_ lines: [Line], x: ClosedRange<Double>, y: ClosedRange<Double>, labels: (x: String, y: String)) -> String {
        let (left, top) = (46.0, legendHeight(lines.map(\.name)))
        let bottom = top + side
        func place(_ point: (x: Double, y: Double)) -> (x: Double, y: Double) {
            let across = (point.x - x.lowerBound) / max(x.upperBound - x.lowerBound, 1e-12)
            let up = (point.y - y.lowerBound) / max(y.upperBound - y.lowerBound, 1e-12)
            return (left + across * side, bottom - up * side)
        }
        var shapes = legend(lines.map(\.name), left: left)
        for share in [0, 0.25, 0.5, 0.75, 1] {
            let (atX, atY) = (x.lowerBound + share * (x.upperBound - x.lowerBound), y.lowerBound + share * (y.upperBound - y.lowerBound))
            let (px, py) = (left + share * side, bottom - share * side)
            shapes += "<path d=\"M\(short(left)) \(short(py))H\(short(left + side))\" stroke=\"var(--line)\"/>"
            shapes += text(tick(atY), left - 6, py + 4, anchor: "end")
            if share == 0 || share == 0.5 || share == 1 { shapes += text(tick(atX), px, bottom + 16, anchor: "middle") }
        }
        shapes += text(labels.x, left + side / 2, bottom + 32, anchor: "middle")
        shapes += "<text transform=\"translate(11 \(short(top + side / 2))) rotate(-90)\" text-anchor=\"middle\">"
        shapes += HTMLPage.escaped(labels.y) + "</text>"
        for (index, line) in lines.enumerated() {
            let places = line.points.map(place)
            let points = places.map { "\(short($0.x)),\(short($0.y))" }.joined(separator: " ")
            shapes += "<polyline points=\"\(points)\" fill=\"none\" stroke=\"\(colour(index))\" stroke-width=\"2\"/>"
            guard line.hasMarks else { continue }
            for (place, point) in zip(places, line.points) {
                let title = "\(line.name): \(tick(point.x)), \(tick(point.y))"
                shapes +=
                    "<circle cx=\"\(short(place.x))\" cy=\"\(short(place.y))\" r=\"3.5\" fill=\"\(colour(index))\">\(tip(title))</circle>"
            }
        }
        return svg(left + side + 18, bottom + 40, shapes)
    }

    /// Accuracy over confidence, with the line where both are equal. Bins lie side by side from confidence 0 to 1.
    static func reliability(_ series: [(name: String, bins: [(confidence: Double, accuracy: Double)])]) -> String {
        let measured = series.map { Line(name: $0.name, points: $0.bins.map { ($0.confidence, $0.accuracy) }, hasMarks: true) }
        return lines(
            measured + [Line(name: "as sure as right", points: [(0, 0), (1, 1)])], x: 0...1, y: 0...1, labels: ("confidence", "accuracy"))
    }

    // MARK: Parts

    /// Names with their colours, so many a row as fit.
    static func legend(_ names: [String], left: Double) -> String {
        var shapes = ""
        for (index, place) in legendPlaces(names).enumerated() {
            let (x, y) = (left + place.x, 8 + place.y)
            shapes += "<rect x=\"\(short(x))\" y=\"\(short(y))\" width=\"10\" height=\"10\" rx=\"2\" fill=\"\(colour(index))\"/>"
            shapes += text(names[index], x + 15, y + 9, anchor: "start", isName: true)
        }
        return shapes
    }

    static func legendHeight(_ names: [String]) -> Double { (legendPlaces(names).last?.y ?? 0) + 32 }

    private static func legendPlaces(_ names: [String]) -> [(x: Double, y: Double)] {
        var (x, y) = (0.0, 0.0)
        return names.map { name in
            let width = 28 + 6.2 * Double(name.count)
            if x > 0, x + width > side + 12 { (x, y) = (0, y + 16) }
            defer { x += width }
            return (x, y)
        }
    }

    static func text(_ text: String, _ x: Double, _ y: Double, anchor: String, isName: Bool = false) -> String {
        "<text x=\"\(short(x))\" y=\"\(short(y))\" text-anchor=\"\(anchor)\"\(isName ? " class=\"name\"" : "")>"
            + "\(HTMLPage.escaped(text))</text>"
    }

    /// Shown when the pointer rests on a shape.
    static func tip(_ text: String) -> String { "<title>\(HTMLPage.escaped(text))</title>" }

    static func svg(_ width: Double, _ height: Double, _ shapes: String) -> String {
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(short(width))\" height=\"\(short(height))\" "
            + "viewBox=\"0 0 \(short(width)) \(short(height))\" role=\"img\">\(shapes)</svg>"
    }

    static func short(_ value: Double) -> String { String(format: "%.1f", value) }
    static func tick(_ value: Double) -> String { String(format: "%.3g", value) }
    /// So many letters at most.
    static func cut(_ text: String, _ length: Int = 18) -> String { text.count > length ? text.prefix(length - 1) + "…" : text }
}
