package import Foundation

/// Sizes beyond which no CLIP goes, so that no product of them leaves Int. The largest published one is 1,664 wide and 48 deep.
enum ConfigurationRange {
    static let width = 1...16_384
    static let depth = 1...256
    static let mlpWidth = 1...65_536
    static let imageSide = 1...4_096
    static let vocabulary = 3...4_194_304
    static let context = 2...65_536
}

extension CLIPConfiguration {
    /// Reads a Hugging Face `config.json` from a file.
    package init(contentsOf url: URL) throws(CLIPError) {
        try self.init(huggingFace: ConfigurationFields(url), activation: nil)
    }

    /// A `config.json`. What is missing takes the defaults of transformers' CLIPConfig (ViT-B/32).
    init(huggingFace fields: ConfigurationFields, activation: Activation?) throws(CLIPError) {
        if let kind = try fields.text("model_type"), kind != "clip" {
            throw fields.refused("model_type", "is \"\(kind.prefix(40))\"; only \"clip\" is supported")
        }
        // Files of 2022 carry both; transformers lets the _dict, filled up with defaults, win.
        let textFields = try fields.first(["text_config_dict", "text_config"])
        let visionFields = try fields.first(["vision_config_dict", "vision_config"])
        guard try visionFields.integer("num_channels", default: 3, in: 1...64) == 3 else {
            throw visionFields.refused("num_channels", "must be 3")
        }
        imageSide = try visionFields.side("image_size", default: 224, in: ConfigurationRange.imageSide)
        patchSize = try visionFields.side("patch_size", default: 32, in: 1...imageSide)
        vocabularySize = try textFields.integer("vocab_size", default: 49_408, in: ConfigurationRange.vocabulary)
        contextLength = try textFields.integer("max_position_embeddings", default: 77, in: ConfigurationRange.context)
        projectionWidth = try fields.integer("projection_dim", default: 512, in: ConfigurationRange.width)
        text = try TowerConfiguration(textFields, width: 512, heads: 8, mlpWidth: 2_048, activation: activation)
        vision = try TowerConfiguration(visionFields, width: 768, heads: 12, mlpWidth: 3_072, activation: activation)
    }
}

extension TowerConfiguration {
    fileprivate init(
        _ fields: ConfigurationFields, width standardWidth: Int, heads standardHeads: Int, mlpWidth standardMLP: Int,
        activation override: Activation?
    ) throws(CLIPError) {
        width = try fields.integer("hidden_size", default: standardWidth, in: ConfigurationRange.width)
        depth = try fields.integer("num_hidden_layers", default: 12, in: ConfigurationRange.depth)
        heads = try fields.integer("num_attention_heads", default: standardHeads, in: 1...width)
        guard width % heads == 0 else {
            throw fields.refused("num_attention_heads", "is \(heads), which doesn't divide the width \(width)")
        }
        mlpWidth = try fields.integer("intermediate_size", default: standardMLP, in: ConfigurationRange.mlpWidth)
        layerNormEpsilon = Float(try fields.number("layer_norm_eps", default: 1e-5, in: 0...1))
        let name = try fields.text("hidden_act") ?? Activation.quickGELU.rawValue
        guard let activation = override ?? Activation(rawValue: name) else {
            throw fields.refused("hidden_act", "is \"\(name.prefix(40))\"; quick_gelu and gelu are supported")
        }
        self.activation = activation
    }
}
