package import CLIP
package import Drawing
package import Imaging
package import Tensors

/// How often a model names what a drawn picture shows, zero-shot, with "a photo of a {}.".
package enum DrawnAccuracy {
    /// Pictures of which nothing is ever trained on.
    package static let evaluationSeed: UInt64 = 0x5EED_E7A1

    /// Top-1 over all kinds on pictures `0..<count` of the held-out combinations.
    package static func measure(
        image: any ImageEncoder, text: any TextEncoder, tokenizer: Tokenizer, preprocessor: PreprocessorConfiguration,
        domain: DrawingDomain,
        count: Int, pool: ThreadPool
    ) throws -> Double {
        let preprocessor = try ImagePreprocessor(preprocessor)
        let prompts = try Kind.allCases.map {
            try tokenizer.encode("a photo of a \($0.rawValue).", contextLength: text.contextLength, truncating: false)
        }
        let kernels = FloatKernels()
        let width = image.featureWidth
        let classes = text.encode(prompts: prompts, pool: pool).withUnsafeBufferPointer { features in
            var classes = Array(features)
            for row in prompts.indices {
                kernels.normalize(Array(features[row * width..<(row + 1) * width]), count: width, output: &classes[row * width])
            }
            return classes
        }
        var right = 0
        for start in stride(from: 0, to: count, by: 256) {
            let scenes = (start..<min(start + 256, count)).map { Scene(seed: evaluationSeed, index: UInt64($0), split: .heldOut) }
            let crops = try DrawnCrops.draw(scenes, domain: domain, preprocessor: preprocessor, pool: pool)
            var features = [Float](repeating: 0, count: scenes.count * width)
            crops.withUnsafeBufferPointer { crops in
                features.withUnsafeMutableBufferPointer { image.encode(crops: crops, count: scenes.count, features: $0, pool: pool) }
            }
            for (row, scene) in scenes.enumerated() {
                var cosines = [Float](repeating: 0, count: prompts.count)
                kernels.dotRows(
                    Array(features[row * width..<(row + 1) * width]), matrix: classes, stride: width, rows: prompts.count, width: width,
                    output: &cosines)
                let best = cosines.indices.max { cosines[$0] < cosines[$1] } ?? 0
                right += Kind.allCases[best] == scene.kind ? 1 : 0
            }
        }
        return Double(right) / Double(max(count, 1))
    }
}

extension Pretrainer {
    /// Top-1 of the model as it stands on held-out pictures.
    package func accuracy(_ domain: DrawingDomain, count: Int, pool: ThreadPool) throws -> Double {
        let checkpoint = checkpoint(name: "pretraining")
        let preprocessor = PreprocessorConfiguration(side: recipe.imageSide)
        return try DrawnAccuracy.measure(
            image: FloatImageEncoder(checkpoint, normalization: ImagePreprocessor(preprocessor).normalization),
            text: FloatTextEncoder(checkpoint), tokenizer: tokenizer, preprocessor: preprocessor, domain: domain, count: count, pool: pool)
    }
}
