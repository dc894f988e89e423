import CLIP
import Foundation
import Tensors
import TestSupport
import Testing

/// The float towers against transformers, on the seven small CLIPs in the layouts that they are published in.
@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
struct FloatTowerReferenceTests {
    static let models = [
        "quickgelu-safetensors", "gelu-float16", "quickgelu-sharded", "quickgelu-bin", "openai-pt", "openai-jit", "published-legacy",
    ]

    private struct Expected: Decodable {
        let prompts: [String]
        let token_ids: [[Int32]]
    }

    private struct Reference {
        let checkpoint: Checkpoint
        let tokenizer: Tokenizer
        let expected: Expected
        let tensors: ReferenceTensors
        var imageFeatures: [Float] { tensors.floats("image_features") }
        var textFeatures: [Float] { tensors.floats("text_features") }

        init(_ name: String) throws {
            let folder = try SharedFolder.file("oracles/models/\(name)")
            checkpoint = try Checkpoint.load(folder)
            tokenizer = try Tokenizer.load(folder)
            expected = try JSONDecoder().decode(Expected.self, from: Data(contentsOf: folder.appendingPathComponent("expected.json")))
            tensors = try ReferenceTensors(folder.appendingPathComponent("expected.safetensors"))
        }

        func images(threads: Int, batch: Int) -> [Float] {
            let encoder = FloatImageEncoder(checkpoint, normalization: [Float](repeating: 0, count: 768))
            let pixels = tensors.floats("pixel_values")
            let count = tensors.shape("pixel_values")[0]
            let size = pixels.count / count
            let pool = ThreadPool(threads: threads)
            var features = [Float](repeating: 0, count: count * encoder.featureWidth)
            for start in stride(from: 0, to: count, by: batch) {
                let run = start..<min(start + batch, count)
                pixels[run.lowerBound * size..<run.upperBound * size].withUnsafeBufferPointer { pixels in
                    features[run.lowerBound * encoder.featureWidth..<run.upperBound * encoder.featureWidth].withUnsafeMutableBufferPointer {
                        encoder.encode(pixels: pixels, count: run.count, features: $0, pool: pool)
                    }
                }
            }
            return features
        }
    }

    @Test(arguments: models) func `prompts have the reference's ids`(name: String) throws {
        let reference = try Reference(name)
        #expect(reference.expected.prompts.map { reference.tokenizer.encode($0) } == reference.expected.token_ids)
    }

    @Test(arguments: models) func `text features are within 1e-4 and logits within 2e-3`(name: String) throws {
        let reference = try Reference(name)
        let pool = ThreadPool(threads: 2)
        let features = FloatTextEncoder(reference.checkpoint).encode(prompts: reference.expected.token_ids, pool: pool)
        let width = features.shape[1]
        let found = unitRows(features.withUnsafeBufferPointer(Array.init), width: width)
        let wanted = unitRows(reference.textFeatures, width: width)
        #expect(greatestDifference(found, wanted) <= 1e-4)

        let images = unitRows(reference.images(threads: 2, batch: 8), width: width)
        #expect(greatestDifference(images, unitRows(reference.imageFeatures, width: width)) <= 1e-4)
        var scale = [Float](repeating: 0, count: 1)
        reference.checkpoint["logit_scale"].withUnsafeBufferPointer { FloatKernels(.scalar).exp([$0[0]], count: 1, output: &scale) }
        let logits = reference.tensors.floats("logits")
        let prompts = reference.expected.prompts.count
        for (image, row) in stride(from: 0, to: images.count, by: width).enumerated() {
            for prompt in 0..<prompts {
                let cosine = (0..<width).reduce(Float(0)) { $0 + images[row + $1] * found[prompt * width + $1] }
                #expect(abs(scale[0] * cosine - logits[image * prompts + prompt]) <= 2e-3)
            }
        }
    }

    @Test(arguments: [1, 2, 3], [1, 3, 8]) func `features do not depend on threads and batch beyond float rounding`(
        threads: Int, batch: Int
    ) throws {
        let reference = try Reference("quickgelu-safetensors")
        let width = reference.checkpoint.configuration.projectionWidth
        let found = unitRows(reference.images(threads: threads, batch: batch), width: width)
        #expect(greatestDifference(found, unitRows(reference.imageFeatures, width: width)) <= 1e-4)
    }

    @Test func `nothing after the end token is read`() throws {
        let reference = try Reference("quickgelu-safetensors")
        let encoder = FloatTextEncoder(reference.checkpoint)
        let prompt = reference.expected.token_ids[0]
        let pool = ThreadPool.serial
        let plain = encoder.encode(prompts: [prompt], pool: pool).withUnsafeBufferPointer(Array.init)
        let padded = encoder.encode(prompts: [prompt + [5, 6, 7]], pool: pool).withUnsafeBufferPointer(Array.init)
        #expect(plain == padded)
    }
}

/// Every row divided by its norm.
func unitRows(_ values: [Float], width: Int) -> [Float] {
    var result = values
    for row in stride(from: 0, to: values.count, by: width) {
        let norm = values[row..<row + width].reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
        for i in row..<row + width { result[i] /= norm }
    }
    return result
}

func greatestDifference(_ a: [Float], _ b: [Float]) -> Float {
    a.count == b.count ? zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } : .infinity
}
