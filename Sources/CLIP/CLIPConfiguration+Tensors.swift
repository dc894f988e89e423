extension CLIPConfiguration {
    /// Every tensor of such a model under Hugging Face's names, with its shape.
    package var tensorShapes: [String: [Int]] {
        var shapes: [String: [Int]] = [
            "logit_scale": [],
            "text_projection.weight": [projectionWidth, text.width],
            "visual_projection.weight": [projectionWidth, vision.width],
            "text_model.embeddings.token_embedding.weight": [vocabularySize, text.width],
            "text_model.embeddings.position_embedding.weight": [contextLength, text.width],
            "vision_model.embeddings.class_embedding": [vision.width],
            "vision_model.embeddings.patch_embedding.weight": [vision.width, 3, patchSize, patchSize],
            "vision_model.embeddings.position_embedding.weight": [visionPositions, vision.width],
        ]
        let norms = [
            ("text_model.final_layer_norm", text), ("vision_model.pre_layrnorm", vision), ("vision_model.post_layernorm", vision),
        ]
        for (name, tower) in norms {
            shapes[name + ".weight"] = [tower.width]
            shapes[name + ".bias"] = [tower.width]
        }
        for (model, tower) in [("text_model", text), ("vision_model", vision)] {
            for layer in 0..<tower.depth {
                let prefix = "\(model).encoder.layers.\(layer)."
                for (name, shape) in tower.blockShapes { shapes[prefix + name] = shape }
            }
        }
        return shapes
    }
}

extension TowerConfiguration {
    /// The tensors of one block.
    fileprivate var blockShapes: [String: [Int]] {
        var shapes: [String: [Int]] = [:]
        func dense(_ name: String, _ outputs: Int, _ inputs: Int) {
            shapes[name + ".weight"] = [outputs, inputs]
            shapes[name + ".bias"] = [outputs]
        }
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"] { dense("self_attn." + name, width, width) }
        dense("mlp.fc1", mlpWidth, width)
        dense("mlp.fc2", width, mlpWidth)
        for name in ["layer_norm1", "layer_norm2"] {
            shapes[name + ".weight"] = [width]
            shapes[name + ".bias"] = [width]
        }
        return shapes
    }
}
