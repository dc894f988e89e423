internal import CLIP
package import Tensors

/// A text encoder that puts learned context vectors into every prompt: its features are the learned prompt's of the classes it is given.
package struct LearnedPromptEncoder: TextEncoder {
    private let tower: PromptTower
    /// [contextLength, width]
    private let context: [Float]
    private let position: ClassPosition
    private let fullStop: Int32?
    private let length: Int

    /// - Parameters:
    ///   - context: [vectors, width of the tower]
    ///   - fullStop: the token that ends a prompt and stays behind the context vectors wherever the class name stands.
    package init(tower: PromptTower, context: [Float], position: ClassPosition, fullStop: Int32?) {
        self.tower = tower
        self.context = context
        self.position = position
        self.fullStop = fullStop
        length = context.count / tower.configuration.text.width
    }

    /// Tokens that a class may have beside the context vectors.
    package var contextLength: Int { tower.configuration.contextLength - length }
    package var featureWidth: Int { tower.configuration.projectionWidth }

    package func encode(prompts: [[Int32]], pool: ThreadPool) -> FloatTensor {
        FloatTensor(shape: [prompts.count, featureWidth]) { features in
            guard let features = features.baseAddress, !prompts.isEmpty else { return }
            // So many classes at once that their states stay near the cores.
            for start in stride(from: 0, to: prompts.count, by: 128) {
                let run = prompts[start..<min(start + 128, prompts.count)]
                let pass = PromptPass(
                    tower: tower, classes: run.map { ClassTokens($0, fullStop: fullStop) }, contextLength: length, position: position,
                    pool: pool)
                context.withUnsafeBufferPointer { context in
                    // Without vectors nothing is read from them.
                    let base = context.baseAddress ?? UnsafePointer(features)
                    pass.forward(context: base, features: features + start * featureWidth)
                }
            }
        }
    }
}
