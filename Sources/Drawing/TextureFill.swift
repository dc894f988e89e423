/// The colour of a body at each pixel.
struct TextureFill {
    private let texture: Texture
    private let base: Colour
    private let other: Colour
    private let period: Double
    private let ux: Double
    private let uy: Double
    private let phase: Double
    private let noise: UInt64

    /// - Parameters:
    ///   - extent: the object's side, in pixels.
    init(_ texture: Texture, base: Colour, extent: Double, _ random: inout CounterRandom) {
        self.texture = texture
        self.base = base
        let opposite = base.brightness > 135 ? Colour(18, 18, 24) : Colour(252, 252, 250)
        other = base.mixed(opposite, WorldParameters.textureContrast)
        let turn = texture == .shaded ? random.uniform(0...1) : random.uniform(0...0.5)
        (ux, uy) = (Turn.cosine(turn), Turn.sine(turn))
        switch texture {
        case .shaded: period = extent
        case .spotted: period = extent * random.uniform(0.15...0.19)
        default: period = extent * random.uniform(0.19...0.25)
        }
        phase = random.uniform()
        noise = random.next()
    }

    /// `x` and `y` are pixels from the object's centre.
    func colour(_ x: Double, _ y: Double) -> Colour {
        let (u, v) = ((x * ux + y * uy) / period + phase, (y * ux - x * uy) / period + phase)
        switch texture {
        case .plain: return base
        case .striped: return base.mixed(other, Self.wave(u, softness: period))
        case .checkered:
            let (a, b) = (Self.wave(u / 1.3, softness: period * 1.3), Self.wave(v / 1.3, softness: period * 1.3))
            return base.mixed(other, a + b - 2 * a * b)
        case .spotted:
            let (du, dv) = (u - u.rounded(.down) - 0.5, v - v.rounded(.down) - 0.5)
            let edge = (0.3 - (du * du + dv * dv).squareRoot()) * period
            return base.mixed(other, Float(min(1, max(0, edge + 0.5))))
        case .shaded:
            let t = Float(min(1, max(-1, (x * ux + y * uy) / period * 2.2)))
            return t > 0 ? base.mixed(Colour(250, 250, 250), 0.5 * t) : base.mixed(Colour(12, 12, 20), -0.5 * t)
        case .grainy:
            let cell = CounterRandom.mix(
                noise ^ UInt64(bitPattern: Int64(x / 2 + 4096)) &* 8191 ^ UInt64(bitPattern: Int64(y / 2 + 4096)) << 20)
            return base.mixed(cell & 1 == 0 ? Colour(8, 8, 12) : Colour(252, 252, 252), Float(cell >> 40) * 0x1p-24 * 0.5)
        }
    }

    /// 0 in one half of each period and 1 in the other, with edges a pixel wide.
    private static func wave(_ u: Double, softness period: Double) -> Float {
        let part = u - u.rounded(.down)
        let edge = (0.25 - abs(part - 0.5)) * period
        return Float(min(1, max(0, edge + 0.5)))
    }
}
