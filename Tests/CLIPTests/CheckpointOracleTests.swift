import CLIP
import Foundation
import Tensors
import TestSupport
import Testing

/// The published layouts, against the files' own bytes as an independent reader sees them.
@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)")) struct CheckpointOracleTests {
    @Test(arguments: ["quickgelu-safetensors", "published-legacy", "quickgelu-sharded", "gelu-float16"])
    func `a Hugging Face folder gives the elements that lie in its files`(model: String) throws {
        let folder = try SharedFolder.file("oracles/models/\(model)")
        let checkpoint = try Checkpoint.load(folder)
        #expect(checkpoint.name == model)
        let names = checkpoint.configuration.tensorShapes
        #expect(names.count == 110)
        var seen = 0
        for file in checkpoint.files {
            let reference = try ReferenceTensors(file)
            for (name, entry) in reference.entries where !name.hasSuffix("position_ids") {
                let tensor = checkpoint[name]
                #expect(tensor.shape == entry.shape, "\(name)")
                let expected: [Float] = entry.bytes.withUnsafeBytes { raw in
                    entry.type == "F32" ? Array(raw.bindMemory(to: Float.self)) : raw.bindMemory(to: Float16.self).map { Float($0) }
                }
                #expect(tensor.withUnsafeBufferPointer { Array($0) } == expected, "\(name)")
                seen += 1
            }
        }
        #expect(seen == names.count)
    }

    @Test func `a configuration is read with its sizes and its activation`() throws {
        let configuration = try Checkpoint.load(SharedFolder.file("oracles/models/gelu-float16")).configuration
        let vision = TowerConfiguration(width: 192, depth: 3, heads: 3, mlpWidth: 768, layerNormEpsilon: 1e-5, activation: .gelu)
        let text = TowerConfiguration(width: 128, depth: 3, heads: 2, mlpWidth: 512, layerNormEpsilon: 1e-5, activation: .gelu)
        #expect(
            configuration
                == CLIPConfiguration(
                    vision: vision, imageSide: 96, patchSize: 32, text: text, vocabularySize: 1514, contextLength: 77, projectionWidth: 64))
    }

    /// Whether each number is in its place shows in the towers' features; here, that every tensor is there and looks like weights.
    @Test(arguments: ["quickgelu-bin", "openai-pt", "openai-jit"])
    func `a pickled checkpoint gives every tensor with finite elements of the expected spread`(model: String) throws {
        let checkpoint = try Checkpoint.load(SharedFolder.file("oracles/models/\(model)"))
        let configuration = checkpoint.configuration
        #expect(configuration.imageSide == 64)
        #expect(configuration.patchSize == 16)
        #expect(configuration.vision.heads == 3)
        #expect(configuration.text.heads == 2)
        #expect(configuration.vision.activation == .quickGELU)
        for (name, shape) in configuration.tensorShapes {
            let tensor = checkpoint[name]
            #expect(tensor.shape == shape)
            let elements = tensor.withUnsafeBufferPointer { Array($0) }
            #expect(elements.allSatisfy { $0.isFinite && abs($0) < 5 }, "\(name)")
            #expect(elements.count < 8 || elements.contains { $0 != elements[0] }, "\(name)")
        }
        #expect(abs(checkpoint["logit_scale"].withUnsafeBufferPointer { $0[0] } - Float(log(100.0))) < 2e-3)
    }
}
