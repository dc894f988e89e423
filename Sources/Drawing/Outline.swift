/// Closed contours. Those that fill run clockwise on the screen and holes the other way, so that the sum of their signed areas is the filled part.
package struct Outline: Sendable {
    package var contours: [[Point]] = []

    /// Each point moved.
    package func mapped(_ transform: Transform) -> Outline { Outline(contours: contours.map { $0.map { transform($0) } }) }

    /// Adds a contour, turned so that it fills or cuts.
    mutating func add(_ contour: [Point], isHole: Bool = false) {
        guard contour.count > 2 else { return }
        var area = 0.0
        for (p, q) in zip(contour, contour.dropFirst() + contour.prefix(1)) { area += p.x * q.y - q.x * p.y }
        contours.append((area < 0) == isHole ? contour : contour.reversed())
    }

    /// An ellipse of `steps` corners.
    static func ellipse(_ centre: Point, _ rx: Double, _ ry: Double, steps: Int = 40) -> [Point] {
        (0..<steps).map { step in
            let turn = Double(step) / Double(steps)
            return Point(x: centre.x + rx * Turn.cosine(turn), y: centre.y + ry * Turn.sine(turn))
        }
    }

    /// A line of some width with round ends and joints, as overlapping contours that all fill.
    static func stroke(_ points: [Point], width: Double) -> [[Point]] {
        var contours = points.map { ellipse($0, width / 2, width / 2, steps: 16) }
        for (p, q) in zip(points, points.dropFirst()) {
            let along = q - p
            guard along.length > 0 else { continue }
            let across = Point(x: -along.y, y: along.x) * (width / 2 / along.length)
            contours.append([p + across, q + across, q - across, p - across])
        }
        return contours
    }
}

extension Outline {
    /// Reads a drawing of one part, in a box of 100 x 100:
    ///
    ///     P x y x y ...         polygon
    ///     C x y c1 c2 p ...     closed curve from (x, y) by cubic Béziers, six numbers each
    ///     E x y rx ry           ellipse
    ///     R x y width height    rectangle
    ///     B x y width height r  rectangle with round corners
    ///     S width x y x y ...   line
    ///     A width x y rx ry from to   arc of an ellipse as a line, angles in turns, clockwise from the right
    ///
    /// In lower case p, c, e, r are holes.
    ///
    /// - Precondition: the text is well formed; it is part of the program.
    package init(_ text: String) {
        var command: Character = " "
        var numbers: [Double] = []
        for word in text.split(separator: " ") {
            if let number = Double(word) {
                numbers.append(number)
            } else {
                append(command, numbers)
                precondition(word.count == 1, "\(word) is no drawing command")
                (command, numbers) = (word.first ?? " ", [])
            }
        }
        append(command, numbers)
    }

    private mutating func append(_ command: Character, _ n: [Double]) {
        let isHole = command.isLowercase
        switch command.uppercased() {
        case " ": break
        case "P": add(Self.points(n[...]), isHole: isHole)
        case "C": add(Self.curve(n), isHole: isHole)
        case "E": add(Self.ellipse(Point(x: n[0], y: n[1]), n[2], n[3]), isHole: isHole)
        case "R": add(Self.rectangle(n[0], n[1], n[2], n[3]), isHole: isHole)
        case "B": add(Self.roundedRectangle(n[0], n[1], n[2], n[3], radius: n[4]), isHole: isHole)
        case "S": for contour in Self.stroke(Self.points(n.dropFirst()), width: n[0]) { add(contour) }
        case "A":
            let points = (0...20).map { step in
                let turn = n[5] + (n[6] - n[5]) * Double(step) / 20
                return Point(x: n[1] + n[3] * Turn.cosine(turn), y: n[2] + n[4] * Turn.sine(turn))
            }
            for contour in Self.stroke(points, width: n[0]) { add(contour) }
        default: preconditionFailure("\(command) is no drawing command")
        }
    }

    private static func points(_ n: ArraySlice<Double>) -> [Point] {
        stride(from: n.startIndex, to: n.endIndex - 1, by: 2).map { Point(x: n[$0], y: n[$0 + 1]) }
    }

    private static func rectangle(_ x: Double, _ y: Double, _ width: Double, _ height: Double) -> [Point] {
        [Point(x: x, y: y), Point(x: x + width, y: y), Point(x: x + width, y: y + height), Point(x: x, y: y + height)]
    }

    private static func roundedRectangle(_ x: Double, _ y: Double, _ width: Double, _ height: Double, radius: Double) -> [Point] {
        let corners = [
            (x + width - radius, y + height - radius), (x + radius, y + height - radius), (x + radius, y + radius),
            (x + width - radius, y + radius),
        ]
        return corners.enumerated().flatMap { corner, centre in
            (0...6).map { step in
                let turn = (Double(corner) + Double(step) / 6) / 4
                return Point(x: centre.0 + radius * Turn.cosine(turn), y: centre.1 + radius * Turn.sine(turn))
            }
        }
    }

    private static func curve(_ n: [Double]) -> [Point] {
        let controls = points(n[...])
        var result = [controls[0]]
        for start in stride(from: 0, to: controls.count - 3, by: 3) {
            let (p0, p1, p2, p3) = (controls[start], controls[start + 1], controls[start + 2], controls[start + 3])
            for step in 1...12 {
                let t = Double(step) / 12
                let u = 1 - t
                result.append(p0 * (u * u * u) + p1 * (3 * u * u * t) + p2 * (3 * u * t * t) + p3 * (t * t * t))
            }
        }
        return result
    }
}
