/// OpenAI's names of tensors, which open_clip has kept, in Hugging Face's terms.
enum OpenAINames {
    /// The tensors that `stored` consists of: three of attention's fused ones, one of most, none where the name is unknown.
    static func parts(_ name: String, _ stored: StoredTensor, origin: String) -> [(String, TensorSource)] {
        let isVisual = name.hasPrefix("visual.")
        // open_clip's CustomTextCLIP puts the text tower under a name of its own.
        let rest = isVisual ? name.dropFirst("visual.".count) : name.hasPrefix("text.") ? name.dropFirst("text.".count) : name[...]
        let whole = TensorSource(stored: stored, origin: origin)
        if rest.hasPrefix(blocks) {
            return blockParts(rest.dropFirst(blocks.count), whole, model: isVisual ? "vision_model" : "text_model")
        }
        let table = isVisual ? visual : text
        if let target = table[String(rest)] { return [(target, whole)] }
        if rest == (isVisual ? "proj" : "text_projection"), stored.shape.count == 2 {
            let transposed = TensorSource(stored: stored, origin: origin, isTransposed: true)
            return [(isVisual ? "visual_projection.weight" : "text_projection.weight", transposed)]
        }
        return []
    }

    private static let blocks = "transformer.resblocks."

    private static let text = [
        "logit_scale": "logit_scale",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "ln_final.weight": "text_model.final_layer_norm.weight",
        "ln_final.bias": "text_model.final_layer_norm.bias",
        "text_projection.weight": "text_projection.weight",
    ]

    private static let visual = [
        "class_embedding": "vision_model.embeddings.class_embedding",
        "positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "ln_pre.weight": "vision_model.pre_layrnorm.weight",
        "ln_pre.bias": "vision_model.pre_layrnorm.bias",
        "ln_post.weight": "vision_model.post_layernorm.weight",
        "ln_post.bias": "vision_model.post_layernorm.bias",
        "proj.weight": "visual_projection.weight",
    ]

    private static let block = [
        "attn.out_proj": "self_attn.out_proj", "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
    ]

    /// `rest` is "LAYER.attn.in_proj_weight" and the like.
    private static func blockParts(_ rest: Substring, _ whole: TensorSource, model: String) -> [(String, TensorSource)] {
        guard let dot = rest.firstIndex(of: "."), let layer = Int(rest[..<dot]), String(layer) == rest[..<dot] else { return [] }
        let prefix = "\(model).encoder.layers.\(layer)."
        let name = rest[rest.index(after: dot)...]
        if name == "attn.in_proj_weight" || name == "attn.in_proj_bias" {
            guard let rows = whole.stored.shape.first, rows % 3 == 0 else { return [] }
            let kind = name.hasSuffix("weight") ? "weight" : "bias"
            return ["q", "k", "v"].enumerated().map { part, letter in
                var source = whole
                source.rows = part * (rows / 3)..<(part + 1) * (rows / 3)
                return (prefix + "self_attn.\(letter)_proj.\(kind)", source)
            }
        }
        for kind in [".weight", ".bias"] where name.hasSuffix(kind) {
            if let target = block[String(name.dropLast(kind.count))] { return [(prefix + target + kind, whole)] }
        }
        return []
    }
}
