internal import CLIP
package import Foundation

/// What a quantized folder's `config.json` says under `quantization_config`.
package struct QuantizationDescription: Codable, Sendable, Equatable {
    static let method = "p4q"
    static let currentFormat = 1

    package let quant_method: String
    /// Of the files; a program reads the formats it knows.
    package let format: Int
    package let recipe: String
    /// As "4-4-8".
    package let bits: String
    package let observer: String
    /// Exceptions, of which a later one wins.
    package let overrides: [PlanOverride]?
    /// Of a recipe with a scale a channel: where those scales are. "folded": in the columns of the weights, before these were quantized.
    package let channel_scales: String?
    /// How weights became codes; nil where each was rounded for itself.
    package let rounding: String?

    package init(_ plan: QuantizationPlan) {
        quant_method = Self.method
        format = Self.currentFormat
        recipe = plan.recipe.rawValue
        bits = plan.bits.description
        observer = plan.observer.rawValue
        overrides = plan.overrides.isEmpty ? nil : plan.overrides
        channel_scales = plan.recipe == .reference ? "folded" : nil
        rounding = plan.rounding == .nearest ? nil : plan.rounding.rawValue
    }

    /// What it describes; nil where this program does not know it.
    package var plan: QuantizationPlan? {
        guard format == Self.currentFormat, let recipe = Recipe(rawValue: recipe), let bits = BitPlan(bits),
            let observer = Observer(rawValue: observer), let rounding = Rounding(rawValue: rounding ?? Rounding.nearest.rawValue)
        else { return nil }
        return QuantizationPlan(recipe: recipe, bits: bits, observer: observer, overrides: overrides ?? [], rounding: rounding)
    }

    /// Reads it from `config.json`; nil where there is none, or another method's.
    package init?(configuration url: URL) {
        struct Configuration: Decodable {
            let quantization_config: QuantizationDescription?
        }
        guard let data = try? Data(contentsOf: url), data.count <= 4 << 20,
            let found = try? JSONDecoder().decode(Configuration.self, from: data).quantization_config, found.quant_method == Self.method
        else { return nil }
        self = found
    }

    /// The whole `config.json`, in Hugging Face's form.
    func configurationFile(_ configuration: CLIPConfiguration) throws -> Data {
        func tower(_ tower: TowerConfiguration) -> [String: Any] {
            [
                "hidden_size": tower.width, "intermediate_size": tower.mlpWidth, "num_hidden_layers": tower.depth,
                "num_attention_heads": tower.heads, "layer_norm_eps": Double(tower.layerNormEpsilon),
                "hidden_act": tower.activation.rawValue,
            ]
        }
        let text = ["vocab_size": configuration.vocabularySize, "max_position_embeddings": configuration.contextLength]
        let vision = ["image_size": configuration.imageSide, "patch_size": configuration.patchSize]
        let members: [String: Any] = [
            "model_type": "clip", "projection_dim": configuration.projectionWidth,
            "text_config": tower(configuration.text).merging(text) { _, new in new },
            "vision_config": tower(configuration.vision).merging(vision) { _, new in new },
            "quantization_config": try JSONSerialization.jsonObject(with: JSONEncoder().encode(self)),
        ]
        return try JSONSerialization.data(withJSONObject: members, options: [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes])
    }
}
