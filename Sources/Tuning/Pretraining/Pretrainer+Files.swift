internal import CLIP
package import Foundation
internal import Tensors

/// Why a pretraining can't go on from a file.
package enum PretrainingError: Error, Equatable, CustomStringConvertible {
    /// The checkpoint is another recipe's, or damaged.
    case checkpoint(path: String, reason: String)
    case unwritable(path: String, reason: String)

    /// Stable, for programs.
    package var code: String {
        switch self {
        case .checkpoint: "pretraining.checkpoint"
        case .unwritable: "pretraining.unwritable"
        }
    }

    package var description: String {
        switch self {
        case .checkpoint(let path, let reason):
            "can't go on from \(path): \(reason). Use the options that it was begun with, or --restart to begin anew"
        case .unwritable(let path, let reason): "can't write \(path): \(reason)"
        }
    }
}

extension Pretrainer {
    /// What a checkpoint must have been written with for this pretraining to go on from it: the recipe without the number of steps, which
    /// may be shortened or lengthened on the way.
    private var fingerprint: String {
        var recipe = recipe
        recipe.steps = 0
        return "\(recipe)"
    }

    /// Keeps parameters and the optimiser's state, whole or not at all.
    package func save(to url: URL) throws {
        func tensor(_ values: [Float]) -> FloatTensor {
            FloatTensor(shape: [values.count]) { target in _ = target.update(fromContentsOf: values) }
        }
        try SafetensorsWriter.write(
            [
                .init("parameters", tensor(model.parameters)), .init("first_moment", tensor(optimizer.moments.first)),
                .init("second_moment", tensor(optimizer.moments.second)),
            ], metadata: ["step": "\(step)", "recipe": fingerprint], to: url)
    }

    /// Goes on from what `save` has written.
    package func resume(from url: URL) throws {
        let file = try SafetensorsFile(url)
        guard file.metadata["recipe"] == fingerprint else {
            throw PretrainingError.checkpoint(path: url.path, reason: "it was begun with other options")
        }
        guard let text = file.metadata["step"], let step = Int(text), (0...recipe.steps).contains(step) else {
            throw PretrainingError.checkpoint(path: url.path, reason: "it names no step of this pretraining")
        }
        let count = model.layout.count
        func values(_ name: String) throws -> [Float] {
            guard let tensor = file.tensors[name], tensor.type == .float32, tensor.shape == [count] else {
                throw PretrainingError.checkpoint(path: url.path, reason: "it has no \(name) of \(count) floats")
            }
            return tensor.withUnsafeBytes { Array($0.assumingMemoryBound(to: Float.self)) }
        }
        model.parameters = try values("parameters")
        optimizer.moments.first = try values("first_moment")
        optimizer.moments.second = try values("second_moment")
        self.step = step
    }

    /// Writes the model as Hugging Face folders are: weights in float16, configuration, tokenizer, preprocessing.
    package func export(to folder: URL) throws {
        do { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) } catch {
            throw PretrainingError.unwritable(path: folder.path, reason: error.localizedDescription)
        }
        let files = [
            "config.json": model.configuration.huggingFaceJSON(endToken: tokenizer.endToken, startToken: tokenizer.startToken),
            "vocab.json": vocabulary.vocabularyJSON, "merges.txt": vocabulary.mergesText,
            "preprocessor_config.json": Self.preprocessorJSON(side: recipe.imageSide),
        ]
        for (name, text) in files {
            let url = folder.appendingPathComponent(name)
            do { try Data(text.utf8).write(to: url, options: .atomic) } catch {
                throw PretrainingError.unwritable(path: url.path, reason: error.localizedDescription)
            }
        }
        let entries = model.layout.entries.map { entry in
            let halves = model.parameters[entry.offset..<entry.offset + entry.count].map { Float16($0).bitPattern.littleEndian }
            return SafetensorsWriter.Entry(
                entry.name, type: .float16, shape: entry.shape, bytes: halves.withUnsafeBytes { Array($0) })
        }
        try SafetensorsWriter.write(entries, metadata: ["format": "pt"], to: folder.appendingPathComponent("model.safetensors"))
    }

    private static func preprocessorJSON(side: Int) -> String {
        """
        {
          "crop_size": {"height": \(side), "width": \(side)},
          "do_center_crop": true, "do_convert_rgb": true, "do_normalize": true, "do_rescale": true, "do_resize": true,
          "image_mean": [0.48145466, 0.4578275, 0.40821073],
          "image_std": [0.26862954, 0.26130258, 0.27577711],
          "image_processor_type": "CLIPImageProcessor",
          "resample": 3,
          "rescale_factor": 0.00392156862745098,
          "size": {"shortest_edge": \(side)}
        }

        """
    }
}

extension CLIPConfiguration {
    /// `config.json`, as transformers writes it.
    fileprivate func huggingFaceJSON(endToken: Int32, startToken: Int32) -> String {
        func tower(_ tower: TowerConfiguration) -> String {
            """
            "hidden_size": \(tower.width), "intermediate_size": \(tower.mlpWidth), "num_hidden_layers": \(tower.depth),
                "num_attention_heads": \(tower.heads), "hidden_act": "\(tower.activation.rawValue)", "layer_norm_eps": \(tower.layerNormEpsilon)
            """
        }
        return """
            {
              "architectures": ["CLIPModel"],
              "model_type": "clip",
              "projection_dim": \(projectionWidth),
              "text_config": {
                "model_type": "clip_text_model", "vocab_size": \(vocabularySize), "max_position_embeddings": \(contextLength),
                "bos_token_id": \(startToken), "eos_token_id": \(endToken), "pad_token_id": \(endToken), \(tower(text))
              },
              "vision_config": {
                "model_type": "clip_vision_model", "image_size": \(imageSide), "patch_size": \(patchSize), "num_channels": 3,
                \(tower(vision))
              },
              "dtype": "float16"
            }

            """
    }
}
