/// Everything that a picture of the drawn world shows: what its caption may say, before a pixel is there.
package struct Scene: Sendable, Equatable {
    /// Which combinations of kind, colour and texture a stream of scenes may hold.
    package enum Split: String, CaseIterable, Sendable {
        /// Seven eighths of them.
        case training
        /// The rest, which no model trained on `training` has seen.
        case heldOut = "held-out"
        case all
    }

    /// Which way the object leans.
    package enum Lean: String, CaseIterable, Sendable {
        case upright, left, right

        /// Turns, clockwise.
        var turn: ClosedRange<Double> {
            switch self {
            case .upright: -0.02...0.02
            case .left: -0.075 ... -0.035
            case .right: 0.035...0.075
            }
        }
    }

    package let kind: Kind
    package private(set) var colour: ColourName
    package private(set) var texture: Texture
    package private(set) var size: Size
    package let lean: Lean
    package private(set) var background: ColourName
    package private(set) var backgroundStyle: BackgroundStyle
    /// Whether small things lie behind the object.
    package private(set) var isCluttered: Bool
    /// Whether something in front hides a part of the object.
    package private(set) var isCovered: Bool
    /// Names the picture's own streams of numbers.
    let seed: UInt64
    let index: UInt64

    /// Scene `index` of a stream. Each run of `Kind.allCases.count` scenes, from a multiple of it on, shows every kind once.
    package init(seed: UInt64, index: UInt64, split: Split) {
        (self.seed, self.index) = (seed, index)
        let kinds = UInt64(Kind.allCases.count)
        var order = CounterRandom(seed: seed, index: index / kinds, purpose: .order)
        kind = Kind.allCases.shuffled(by: &order)[Int(index % kinds)]
        var random = CounterRandom(seed: seed, index: index, purpose: .scene)
        var (colour, texture) = (random.pick(ColourName.allCases), random.pick(Texture.allCases))
        while split != .all && Self.isHeldOut(kind, colour, texture) != (split == .heldOut) {
            (colour, texture) = (random.pick(ColourName.allCases), random.pick(Texture.allCases))
        }
        (self.colour, self.texture) = (colour, texture)
        size = random.pick(Size.allCases)
        lean = random.pick(Lean.allCases)
        background = random.pick(ColourName.allCases.filter { $0.base.distance(colour.base) > WorldParameters.leastContrast })
        backgroundStyle = random.pick(BackgroundStyle.allCases)
        isCluttered = random.chance(WorldParameters.clutterProbability)
        isCovered = random.chance(WorldParameters.coverProbability)
    }

    /// The same kind as a lesson for beginners: a large, dark, plain object in full view on plain white. Shapes are learned first where they
    /// are all that differs; that they stay the same in any colours is learned after. The combination is one of training.
    package func simplified() -> Scene {
        var scene = self
        (scene.size, scene.backgroundStyle, scene.isCluttered, scene.isCovered) = (.large, .plain, false, false)
        let dark: [ColourName] = [.black, .blue, .purple, .brown]
        guard let colour = dark.first(where: { !Self.isHeldOut(kind, $0, .plain) }) else { return scene }
        (scene.colour, scene.texture, scene.background) = (colour, .plain, .white)
        return scene
    }

    /// Whether a combination is kept out of training: one in eight, by a hash that depends on nothing else; at least one for every kind.
    package static func isHeldOut(_ kind: Kind, _ colour: ColourName, _ texture: Texture) -> Bool {
        let place = Self.place(kind) * 10_007 + Self.place(colour) * 101 + Self.place(texture)
        return CounterRandom.mix(UInt64(place) &* 0x9E37_79B9_7F4A_7C15) % 8 == 0
    }

    private static func place<Case: CaseIterable & Equatable>(_ value: Case) -> Int {
        Case.allCases.enumerated().first { $0.element == value }?.offset ?? 0
    }
}

extension Array {
    /// Fisher and Yates's shuffle, spelled out: the library's may change.
    fileprivate func shuffled(by random: inout CounterRandom) -> [Element] {
        var result = self
        for last in stride(from: result.count - 1, to: 0, by: -1) { result.swapAt(last, random.below(last + 1)) }
        return result
    }
}

/// What the world's pictures depend on. A change makes other pictures, to which no published figure belongs.
package enum WorldParameters {
    /// Sides of a picture, in pixels.
    static let side = 96
    /// The least squared distance (`Colour.distance`) of an object's colour from its background's: brown on red would be a guess.
    package static let leastContrast: Float = 55_000
    static let clutterProbability = 0.35
    static let coverProbability = 0.15
    /// How much of a sRGB level a colour's shade varies.
    static let shade = 16.0
    /// How far from the middle an object lies, as a part of the room that there is.
    static let offset = 0.5
    /// How much a texture's second shade differs from the first.
    static let textureContrast: Float = 0.4
    /// Of the object's width and height, and of the slant.
    static let stretch = 0.88...1.12
    static let shear = -0.06...0.06
}
