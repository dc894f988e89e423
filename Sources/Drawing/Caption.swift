/// A sentence about a scene, and what it claims.
package struct Caption: Sendable, Equatable {
    /// What a sentence may mention beside the kind.
    package enum Attribute: CaseIterable, Sendable {
        case colour, texture, size, lean, background, backgroundStyle, clutter, cover

        /// How often sentences that say more than the kind mention it.
        var probability: Double {
            switch self {
            case .colour: 0.7
            case .texture: 0.55
            case .size: 0.35
            case .background: 0.35
            case .lean, .clutter, .cover: 0.15
            case .backgroundStyle: 0.2
            }
        }
    }

    /// How much a sentence says.
    package enum Style: Sendable {
        /// The kind and nothing else.
        case bare
        /// Attributes too, each with its probability.
        case full
        /// One of the two.
        case either
    }

    package let text: String
    package let mentioned: Set<Attribute>

    /// How many of either style name the kind and nothing else.
    private static let bareProbability = 0.35
    private static let openings = [
        "a photo of", "a photo of", "a photo of", "a picture of", "an image of", "a drawing of", "a close view of", "there is", "this is",
    ]

    /// Sentence `variant` about a scene, from a grammar: "a photo of a small striped red fish on a blue background".
    package init(_ scene: Scene, style: Style = .either, variant: UInt64 = 0) {
        var random = CounterRandom(seed: scene.seed &+ variant &* 0x632B_E59B_D9B4_E019, index: scene.index, purpose: .caption)
        var mentioned: Set<Attribute> = []
        let isBare = random.chance(Self.bareProbability)
        if style == .full || (style == .either && !isBare) {
            for attribute in Attribute.allCases where random.chance(attribute.probability) { mentioned.insert(attribute) }
            // A style is said of a background whose colour is said.
            if mentioned.contains(.backgroundStyle) { mentioned.insert(.background) }
        }
        self.mentioned = mentioned
        let noun = Self.noun(scene, mentioned)
        // Class templates say "a" to everything, so some sentences do.
        let article = random.chance(0.5) || !"aeiou".contains(noun.first ?? " ") ? "a" : "an"
        let stop = random.chance(0.6) ? "." : ""
        text = "\(random.pick(Self.openings)) \(article) \(noun)\(Self.place(scene, mentioned))\(Self.remarks(scene, mentioned))\(stop)"
    }

    /// Whether everything that the sentence about `scene` says holds for `other` too.
    package func isTrue(of other: Scene, insteadOf scene: Scene) -> Bool {
        scene.kind == other.kind
            && mentioned.allSatisfy { attribute in
                switch attribute {
                case .colour: scene.colour == other.colour
                case .texture: scene.texture == other.texture
                case .size: scene.size == other.size
                case .lean: scene.lean == other.lean
                case .background: scene.background == other.background
                case .backgroundStyle: scene.backgroundStyle == other.backgroundStyle
                case .clutter: scene.isCluttered == other.isCluttered
                case .cover: scene.isCovered == other.isCovered
                }
            }
    }

    private static func noun(_ scene: Scene, _ mentioned: Set<Attribute>) -> String {
        var words: [String] = []
        if mentioned.contains(.size) { words.append(scene.size.rawValue) }
        if mentioned.contains(.texture) { words.append(scene.texture.rawValue) }
        if mentioned.contains(.colour) { words.append(scene.colour.rawValue) }
        return (words + [scene.kind.rawValue]).joined(separator: " ")
    }

    private static func place(_ scene: Scene, _ mentioned: Set<Attribute>) -> String {
        guard mentioned.contains(.background) else { return "" }
        let style = mentioned.contains(.backgroundStyle) ? "\(scene.backgroundStyle) \(scene.background)" : "\(scene.background)"
        return " on \("aeiou".contains(style.first ?? " ") ? "an" : "a") \(style) background"
    }

    private static func remarks(_ scene: Scene, _ mentioned: Set<Attribute>) -> String {
        var remarks: [String] = []
        if mentioned.contains(.lean) { remarks.append(scene.lean == .upright ? "standing upright" : "leaning \(scene.lean)") }
        if mentioned.contains(.clutter) { remarks.append(scene.isCluttered ? "among scattered bits" : "all alone") }
        if mentioned.contains(.cover) { remarks.append(scene.isCovered ? "partly hidden" : "in full view") }
        return remarks.map { ", \($0)" }.joined()
    }
}
