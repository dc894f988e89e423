extension CLIPConfiguration {
    /// open_clip's `open_clip_config.json`, or one of its model configurations.
    init(openCLIP fields: ConfigurationFields, activation override: Activation?) throws(CLIPError) {
        let model = try fields.fields("model_cfg") ?? fields
        guard let visionFields = try model.fields("vision_cfg"), let textFields = try model.fields("text_cfg") else {
            throw model.refused("vision_cfg", "or text_cfg is missing")
        }
        try Self.refuseVariants(visionFields, ["timm_model_name", "attentional_pool"], poolType: "tok")
        try Self.refuseVariants(textFields, ["hf_model_name", "embed_cls", "no_causal_mask"], poolType: "argmax")
        // open_clip's own default is exact GELU; OpenAI's models say quick_gelu.
        let isQuick = model.value("quick_gelu")?.bool ?? false
        let activation = override ?? (isQuick ? .quickGELU : .gelu)

        let visionWidth = try visionFields.integer("width", default: 768, in: ConfigurationRange.width)
        let headWidth = try visionFields.integer("head_width", default: 64, in: 1...visionWidth)
        guard visionWidth % headWidth == 0 else {
            throw visionFields.refused("head_width", "is \(headWidth), which doesn't divide the width \(visionWidth)")
        }
        let textWidth = try textFields.integer("width", default: 512, in: ConfigurationRange.width)
        let textHeads = try textFields.integer("heads", default: 8, in: 1...textWidth)
        guard textWidth % textHeads == 0 else {
            throw textFields.refused("heads", "is \(textHeads), which doesn't divide the width \(textWidth)")
        }

        let side = try visionFields.side("image_size", default: 224, in: ConfigurationRange.imageSide)
        self.init(
            vision: TowerConfiguration(
                width: visionWidth, depth: try visionFields.integer("layers", default: 12, in: ConfigurationRange.depth),
                heads: visionWidth / headWidth, mlpWidth: try Self.mlpWidth(visionFields, width: visionWidth), activation: activation),
            imageSide: side,
            patchSize: try visionFields.side("patch_size", default: 16, in: 1...side),
            text: TowerConfiguration(
                width: textWidth, depth: try textFields.integer("layers", default: 12, in: ConfigurationRange.depth),
                heads: textHeads, mlpWidth: try Self.mlpWidth(textFields, width: textWidth), activation: activation),
            vocabularySize: try textFields.integer("vocab_size", default: 49_408, in: ConfigurationRange.vocabulary),
            contextLength: try textFields.integer("context_length", default: 77, in: ConfigurationRange.context),
            projectionWidth: try model.integer("embed_dim", default: 512, in: ConfigurationRange.width))
    }

    private static func mlpWidth(_ fields: ConfigurationFields, width: Int) throws(CLIPError) -> Int {
        let ratio = try fields.number("mlp_ratio", default: 4, in: 0.01...64)
        return Int(Double(width) * ratio)
    }

    /// Towers of other kinds would load in part and compute something else.
    private static func refuseVariants(_ fields: ConfigurationFields, _ keys: [String], poolType: String) throws(CLIPError) {
        for key in keys {
            guard let value = fields.value(key), value != .bool(false) else { continue }
            throw fields.refused(key, "asks for a tower that is not supported")
        }
        if let pool = try fields.text("pool_type"), pool != poolType {
            throw fields.refused("pool_type", "is \"\(pool.prefix(40))\"; \(poolType) is supported")
        }
    }
}
