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

    /// What it describes.
    ///
    /// - Parameter file: that it was read from, for the error.
    /// - Throws: `description` for a value that this program does not know.
    package func plan(file: URL) throws(QuantizationError) -> QuantizationPlan {
        func known<Value>(_ field: String, _ value: Value?, _ text: String) throws(QuantizationError) -> Value {
            guard let value else {
                throw .description(
                    file: file.path, reason: "has a quantization_config whose \(field) is \(text), which this program does not know")
            }
            return value
        }
        let rounding = rounding ?? Rounding.nearest.rawValue
        return QuantizationPlan(
            recipe: try known("recipe", Recipe(rawValue: recipe), recipe), bits: try known("bits", BitPlan(bits), bits),
            observer: try known("observer", Observer(rawValue: observer), observer), overrides: overrides ?? [],
            rounding: try known("rounding", Rounding(rawValue: rounding), rounding))
    }

    private struct Head: Decodable {
        struct Method: Decodable {
            let quant_method: String?
            let format: Int?
        }
        let quantization_config: Method?
    }

    /// The file's bytes and format where it names this method.
    private static func head(_ url: URL) -> (data: Data, format: Int?)? {
        guard let data = try? Data(contentsOf: url), data.count <= 4 << 20,
            let found = try? JSONDecoder().decode(Head.self, from: data).quantization_config, found.quant_method == method
        else { return nil }
        return (data, found.format)
    }

    /// Whether a `config.json` says that the model is quantized by this method, in whatever format.
    static func isThere(configuration url: URL) -> Bool { head(url) != nil }

    /// Reads it from `config.json`; nil where there is none, or another method's.
    ///
    /// - Throws: `description` where it is this method's, and this program can't read it.
    package static func read(configuration url: URL) throws(QuantizationError) -> QuantizationDescription? {
        struct Configuration: Decodable {
            let quantization_config: QuantizationDescription
        }
        guard let (data, format) = head(url) else { return nil }
        guard format == currentFormat else {
            let found = format.map { "format \($0)" } ?? "no format"
            throw .description(
                file: url.path, reason: "has a quantization_config of \(found), and this program reads format \(currentFormat)")
        }
        do {
            return try JSONDecoder().decode(Configuration.self, from: data).quantization_config
        } catch {
            throw .description(file: url.path, reason: "can't be read: \((error as? DecodingError)?.reason ?? "\(error)")")
        }
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
