import CLIP
import Foundation
import Tensors
import Testing

/// The smallest CLIP there can be, in a folder of the test's own.
struct TinyCLIP {
    /// One layer, one head, one pixel; a width of 2 tells rows from columns.
    static let tower = TowerConfiguration(width: 2, depth: 1, heads: 1, mlpWidth: 3, layerNormEpsilon: 1e-5, activation: .quickGELU)
    static let configuration = CLIPConfiguration(
        vision: tower, imageSide: 2, patchSize: 1, text: tower, vocabularySize: 4, contextLength: 3, projectionWidth: 3)

    static let json = """
        {"model_type": "clip", "projection_dim": 3,
         "text_config": {"hidden_size": 2, "intermediate_size": 3, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 4, "max_position_embeddings": 3},
         "vision_config": {"hidden_size": 2, "intermediate_size": 3, "num_hidden_layers": 1, "num_attention_heads": 1, "image_size": 2, "patch_size": 1}}
        """

    /// Every element of the model has another value, exact in float16 and bfloat16 too as far as 256 go.
    var tensors: [String: TinyTensor] = {
        var next: Float = 0
        var tensors: [String: TinyTensor] = [:]
        for (name, shape) in configuration.tensorShapes.sorted(by: { $0.key < $1.key }) {
            let count = shape.reduce(1, *)
            tensors[name] = TinyTensor(
                shape: shape,
                values: (0..<count).map { _ in
                    next += 1
                    return next
                })
        }
        return tensors
    }()

    /// Under OpenAI's names: attention's three matrices in one, projections the other way round.
    var openAI: [String: TinyTensor] {
        var result: [String: TinyTensor] = [:]
        let renamed = [
            "text_model.embeddings.position_embedding.weight": "positional_embedding",
            "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
            "text_model.final_layer_norm": "ln_final", "logit_scale": "logit_scale",
            "vision_model.embeddings.class_embedding": "visual.class_embedding",
            "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
            "vision_model.embeddings.patch_embedding": "visual.conv1", "vision_model.pre_layrnorm": "visual.ln_pre",
            "vision_model.post_layernorm": "visual.ln_post",
            "self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc",
            "mlp.fc2": "mlp.c_proj",
            "text_model.encoder.layers": "transformer.resblocks", "vision_model.encoder.layers": "visual.transformer.resblocks",
        ]
        for (name, tensor) in tensors {
            if name == "text_projection.weight" {
                result["text_projection"] = tensor.transposed
            } else if name == "visual_projection.weight" {
                result["visual.proj"] = tensor.transposed
            } else if let range = name.range(of: "self_attn.q_proj.") {
                let kind = name[range.upperBound...]
                let parts = ["q", "k", "v"].compactMap { tensors[name.replacingOccurrences(of: "q_proj", with: "\($0)_proj")] }
                let fused = TinyTensor(shape: [tensor.shape[0] * 3] + tensor.shape.dropFirst(), values: parts.flatMap(\.values))
                let prefix = renamed.reduce(String(name[..<range.lowerBound])) { $0.replacingOccurrences(of: $1.key, with: $1.value) }
                result[prefix + "attn.in_proj_" + kind] = fused
            } else if !name.contains("k_proj"), !name.contains("v_proj") {
                let target = renamed.sorted { $0.key.count > $1.key.count }.reduce(name) {
                    $0.replacingOccurrences(of: $1.key, with: $1.value)
                }
                result[target] = tensor
            }
        }
        return result
    }

    /// Whether a checkpoint has this model's values.
    func equals(_ checkpoint: Checkpoint) -> Bool {
        tensors.allSatisfy { name, tensor in
            let loaded = checkpoint[name]
            return loaded.shape == tensor.shape && loaded.withUnsafeBufferPointer { Array($0) } == tensor.values
        }
    }
}

struct TinyTensor {
    var shape: [Int]
    var values: [Float]
    /// The storage's order, where it isn't row-major.
    var strides: [Int]?

    var transposed: TinyTensor {
        let (rows, columns) = (shape[0], shape[1])
        return TinyTensor(
            shape: [columns, rows], values: (0..<columns).flatMap { column in (0..<rows).map { values[$0 * columns + column] } })
    }

    var bytes: [UInt8] { values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } } }
    var halfBytes: [UInt8] { values.flatMap { withUnsafeBytes(of: Float16($0).bitPattern.littleEndian) { Array($0) } } }
    var brainBytes: [UInt8] { values.flatMap { withUnsafeBytes(of: UInt16($0.bitPattern >> 16).littleEndian) { Array($0) } } }
}

/// A folder that goes when the test ends.
final class TemporaryFolder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> URL {
        let file = url.appendingPathComponent(name)
        // Data.write(to:) syncs each file, and these tests write tens of thousands.
        let stream = try #require(fopen(file.path, "wb"))
        defer { fclose(stream) }
        try #require(fwrite(bytes, 1, bytes.count, stream) == bytes.count)
        return file
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> URL { try write(name, Array(text.utf8)) }
}

/// The code of the error that `body` throws; "none" where it throws none.
func code(of body: () throws -> Void) -> String {
    do {
        try body()
        return "none"
    } catch let error as CLIPError {
        return error.description.isEmpty ? "no message" : error.code
    } catch {
        return "\(error)"
    }
}
