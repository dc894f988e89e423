internal import CLIP

/// Which tensors and quantization points a quantized CLIP has.
enum QuantizedLayout {
    enum Kind {
        case float, linear, projection, tokens
    }

    struct Point {
        let name: String
        let isAttentionOperand: Bool
    }

    /// The checkpoint's tensors that the towers need, in name order, and what becomes of each.
    static func names(_ configuration: CLIPConfiguration, _ towers: [Tower]) -> [(tensor: String, kind: Kind)] {
        let prefixes = towers.flatMap { $0 == .vision ? ["vision_model.", "visual_projection."] : ["text_model.", "text_projection."] }
        return configuration.tensorShapes.keys.sorted().filter { name in prefixes.contains { name.hasPrefix($0) } }
            .map { ($0, kind(of: $0)) }
    }

    private static func kind(of name: String) -> Kind {
        if name == QuantizedTensors.tokenEmbedding { return .tokens }
        if name == "visual_projection.weight" || name == "text_projection.weight" { return .projection }
        let isLinear = name.contains(".self_attn.") || name.contains(".mlp.") || name == QuantizedTensors.patchEmbedding
        return isLinear && name.hasSuffix(".weight") ? .linear : .float
    }

    static func points(_ configuration: CLIPConfiguration, _ towers: [Tower]) -> [Point] {
        towers.flatMap { tower in
            let depth = (tower == .vision ? configuration.vision : configuration.text).depth
            let first = QuantizationPoint.patchInput
            let outside = tower == .vision ? [Point(name: first.name(tower, block: nil), isAttentionOperand: false)] : []
            return outside
                + (0..<depth).flatMap { block in
                    QuantizationPoint.allCases.filter { $0 != .patchInput }.map {
                        Point(name: $0.name(tower, block: block), isAttentionOperand: $0.isAttentionOperand)
                    }
                }
        }
    }
}
