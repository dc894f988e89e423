/// A place in the plane; y grows downwards.
package struct Point: Sendable, Equatable {
    package var x: Double
    package var y: Double

    static func + (a: Point, b: Point) -> Point { Point(x: a.x + b.x, y: a.y + b.y) }
    static func - (a: Point, b: Point) -> Point { Point(x: a.x - b.x, y: a.y - b.y) }
    static func * (a: Point, s: Double) -> Point { Point(x: a.x * s, y: a.y * s) }

    var length: Double { (x * x + y * y).squareRoot() }
}

/// Sine and cosine of a turn (1 is a full circle) from additions and products alone: libm's last bit differs between systems.
package enum Turn {
    package static func sine(_ turn: Double) -> Double {
        // To the first eighth of a circle by symmetry, then Taylor to 1e-16.
        var t = turn - turn.rounded(.down)
        var sign = 1.0
        if t >= 0.5 { (t, sign) = (t - 0.5, -1) }
        if t > 0.25 { t = 0.5 - t }
        return sign * (t <= 0.125 ? sineSeries(t * 2 * Double.pi) : cosineSeries((0.25 - t) * 2 * Double.pi))
    }

    package static func cosine(_ turn: Double) -> Double { sine(turn + 0.25) }

    private static func sineSeries(_ x: Double) -> Double {
        let s = x * x
        return x
            * (1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72 * (1 - s / 110 * (1 - s / 156 * (1 - s / 210)))))))
    }

    private static func cosineSeries(_ x: Double) -> Double {
        let s = x * x
        return 1 - s / 2 * (1 - s / 12 * (1 - s / 30 * (1 - s / 56 * (1 - s / 90 * (1 - s / 132 * (1 - s / 182 * (1 - s / 240)))))))
    }
}

/// `x' = a x + c y + tx`, `y' = b x + d y + ty`
package struct Transform: Sendable {
    var a = 1.0
    var b = 0.0
    var c = 0.0
    var d = 1.0
    var tx = 0.0
    var ty = 0.0

    package init(a: Double = 1, b: Double = 0, c: Double = 0, d: Double = 1, tx: Double = 0, ty: Double = 0) {
        (self.a, self.b, self.c, self.d, self.tx, self.ty) = (a, b, c, d, tx, ty)
    }

    func callAsFunction(_ p: Point) -> Point { Point(x: a * p.x + c * p.y + tx, y: b * p.x + d * p.y + ty) }

    /// Turned clockwise by `turn` of a full circle, after stretching by `sx` and `sy` and slanting x by `shear` of y; then moved.
    static func placing(turn: Double, scale sx: Double, _ sy: Double, shear: Double, at centre: Point) -> Transform {
        let (sine, cosine) = (Turn.sine(turn), Turn.cosine(turn))
        let slant = shear * sy
        return Transform(
            a: cosine * sx, b: sine * sx, c: cosine * slant - sine * sy, d: sine * slant + cosine * sy, tx: centre.x, ty: centre.y)
    }
}
