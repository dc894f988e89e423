internal import CLIP
internal import Tensors

/// Which tensors, layers and quantization points a quantized CLIP has.
enum QuantizedLayout {
    static let patchLayer = "vision.patch"

    enum Kind: Equatable {
        case float, projection, tokens
        /// A linear map's weights. `input`: the point whose scales, one a channel, are folded into the columns; nil where there is none.
        case linear(layer: String, input: String?)
        /// A bias that takes up what the zero points of the layer's input contribute.
        case foldedBias
    }

    struct Point {
        let name: String
        let layer: String
        let isAttentionOperand: Bool
        /// Scales of the point: one, or one a channel.
        let channels: Int
    }

    /// The tensors that the towers need, in name order, and what becomes of each.
    static func names(_ configuration: CLIPConfiguration, _ towers: [Tower], _ recipe: Recipe) -> [(tensor: String, kind: Kind)] {
        let prefixes = towers.flatMap { $0 == .vision ? ["vision_model.", "visual_projection."] : ["text_model.", "text_projection."] }
        return configuration.tensorShapes.keys.sorted().filter { name in prefixes.contains { name.hasPrefix($0) } }
            .map { ($0, kind(of: $0, recipe)) }
    }

    private static func kind(of name: String, _ recipe: Recipe) -> Kind {
        if name == QuantizedTensors.tokenEmbedding { return recipe == .paper ? .tokens : .float }
        if name == "visual_projection.weight" || name == "text_projection.weight" { return recipe == .paper ? .projection : .float }
        guard let layer = layer(of: name) else { return .float }
        let isFolded = recipe == .reference && !layer.hasSuffix(".out")
        guard name.hasSuffix(".weight") else { return isFolded ? .foldedBias : .float }
        return .linear(layer: layer, input: isFolded ? layer + ".in" : nil)
    }

    /// The layer that a weight or bias belongs to, as "text.3.qkv"; nil for those of no linear map.
    static func layer(of tensor: String) -> String? {
        if tensor == QuantizedTensors.patchEmbedding { return patchLayer }
        let parts = tensor.split(separator: ".")
        guard parts.count == 7, parts[1] == "encoder" else { return nil }
        let tower = parts[0] == "vision_model" ? Tower.vision : .text
        let map = parts[4] == "mlp" ? String(parts[5]) : parts[5] == "out_proj" ? "out" : "qkv"
        return parts[4] == "mlp" || parts[4] == "self_attn" ? "\(tower.rawValue).\(parts[3]).\(map)" : nil
    }

    /// The names of all layers.
    static func layers(_ configuration: CLIPConfiguration) -> [String] {
        let all = configuration.tensorShapes.keys.compactMap { $0.hasSuffix(".weight") ? layer(of: $0) : nil }
        return Set(all).sorted()
    }

    static func points(_ configuration: CLIPConfiguration, _ towers: [Tower], _ recipe: Recipe = .paper) -> [Point] {
        towers.flatMap { tower in
            let shape = tower == .vision ? configuration.vision : configuration.text
            let patch = QuantizationPoint.patchInput
            let pixels = Point(
                name: patch.name(tower, block: nil), layer: patchLayer, isAttentionOperand: false, channels: recipe == .paper ? 1 : 3)
            return (tower == .vision ? [pixels] : [])
                + (0..<shape.depth).flatMap { block in
                    QuantizationPoint.allCases.filter { $0 != patch && (recipe == .paper || $0.isPerChannelInReference) }.map { point in
                        let channels = recipe == .paper ? 1 : point == .dense2Input ? shape.mlpWidth : shape.width
                        return Point(
                            name: point.name(tower, block: block), layer: "\(tower.rawValue).\(block).\(point.layer)",
                            isAttentionOperand: point.isAttentionOperand, channels: channels)
                    }
                }
        }
    }
}

extension QuantizationPoint {
    /// The layer of a block that it belongs to.
    fileprivate var layer: String {
        switch self {
        case .patchInput: "patch"
        case .qkvInput, .query, .key, .value, .probabilities: "qkv"
        case .outputInput: "out"
        case .dense1Input: "fc1"
        case .dense2Input: "fc2"
        }
    }

    /// Whether the recipe `reference` quantizes it, with a scale a channel.
    var isPerChannelInReference: Bool {
        switch self {
        case .patchInput, .qkvInput, .dense1Input, .dense2Input: true
        default: false
        }
    }
}
