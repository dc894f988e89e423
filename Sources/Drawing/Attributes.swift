/// The colours that captions know.
package enum ColourName: String, CaseIterable, Sendable {
    case red, orange, yellow, green, teal, blue, purple, pink, brown, black, white, gray

    /// Red, green and blue, 0 to 255; a picture's own shade lies nearby.
    package var base: Colour {
        switch self {
        case .red: Colour(212, 38, 36)
        case .orange: Colour(243, 132, 26)
        case .yellow: Colour(248, 214, 48)
        case .green: Colour(46, 150, 62)
        case .teal: Colour(30, 166, 168)
        case .blue: Colour(40, 84, 206)
        case .purple: Colour(126, 58, 172)
        case .pink: Colour(246, 148, 190)
        case .brown: Colour(126, 78, 42)
        case .black: Colour(34, 34, 38)
        case .white: Colour(244, 244, 240)
        case .gray: Colour(140, 142, 146)
        }
    }
}

/// What a body is filled with.
package enum Texture: String, CaseIterable, Sendable {
    case plain, striped, spotted, checkered, shaded, grainy
}

/// How large the object is in the picture.
package enum Size: String, CaseIterable, Sendable {
    case small, medium, large

    /// The box's side as a part of the picture's.
    var scale: ClosedRange<Double> {
        switch self {
        case .small: 0.52...0.60
        case .medium: 0.64...0.74
        case .large: 0.78...0.90
        }
    }
}

/// What lies behind the object.
package enum BackgroundStyle: String, CaseIterable, Sendable {
    case plain, gradient, cloudy, tiled, banded
}

/// A colour in sRGB, 0 to 255 a channel.
package struct Colour: Sendable {
    var red: Float
    var green: Float
    var blue: Float

    init(_ red: Float, _ green: Float, _ blue: Float) { (self.red, self.green, self.blue) = (red, green, blue) }

    func mixed(_ other: Colour, _ part: Float) -> Colour {
        Colour(red + (other.red - red) * part, green + (other.green - green) * part, blue + (other.blue - blue) * part)
    }

    /// Squared distance, with the eye's weights.
    package func distance(_ other: Colour) -> Float {
        let (r, g, b) = (red - other.red, green - other.green, blue - other.blue)
        return 2 * r * r + 4 * g * g + 3 * b * b
    }

    var brightness: Float { 0.299 * red + 0.587 * green + 0.114 * blue }

    /// A shade nearby.
    func varied(_ random: inout CounterRandom, by amount: Double) -> Colour {
        let light = random.uniform(-amount...amount)
        func vary(_ value: Float) -> Float { min(255, max(0, value + Float(light + random.uniform(-amount...amount) / 2))) }
        let (red, green) = (vary(red), vary(green))
        return Colour(red, green, vary(blue))
    }
}
