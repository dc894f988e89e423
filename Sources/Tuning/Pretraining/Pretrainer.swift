package import CLIP
internal import Imaging
package import Tensors

/// Trains a small CLIP from nothing on drawn pictures, step by step; `Pretrainer+Files` keeps and publishes what it has learned.
package final class Pretrainer {
    package let recipe: PretrainingRecipe
    package let vocabulary: LearnedVocabulary
    package let tokenizer: Tokenizer
    package let model: ContrastiveModel
    package internal(set) var optimizer: PretrainingOptimizer
    /// Steps taken.
    package internal(set) var step = 0
    private let pairs: DrawnPairs

    /// What one step did.
    package struct Progress: Sendable {
        package let step: Int
        package let loss: Double
        package let accuracy: Double
        package let rate: Double
        package let gradientNorm: Double
    }

    /// How many captions the vocabulary is learned from: every word of the grammar occurs in them.
    private static let vocabularyCaptions = 20_000

    /// Precondition: `recipe.problem` is nil.
    package init(_ recipe: PretrainingRecipe) throws {
        self.recipe = recipe
        var learner = BytePairLearner(DrawnPairs.captions(seed: recipe.seed, count: Self.vocabularyCaptions))
        vocabulary = learner.learn(size: recipe.vocabularyLimit)
        tokenizer = try Tokenizer(vocabulary)
        let configuration = recipe.configuration(vocabularySize: vocabulary.tokens.count)
        let preprocessor = try ImagePreprocessor(PreprocessorConfiguration(side: recipe.imageSide))
        let layout = ParameterLayout(configuration)
        model = ContrastiveModel(
            configuration, parameters: layout.initialParameters(configuration, seed: recipe.seed),
            normalization: preprocessor.normalization, lanes: recipe.lanes)
        optimizer = PretrainingOptimizer(recipe.optimizer, steps: recipe.steps, count: layout.count)
        pairs = DrawnPairs(
            tokenizer: tokenizer, preprocessor: preprocessor, seed: recipe.seed, contextLength: configuration.contextLength)
    }

    /// Takes the next step.
    package func advance(pool: ThreadPool) throws -> Progress {
        let start = UInt64(step) * UInt64(recipe.batch)
        let batch = try pairs.batch(start..<start + UInt64(recipe.batch), ease: recipe.ease(step), pool: pool)
        let evaluation = model.evaluate(batch, pool: pool)
        let rate = optimizer.rate(step)
        let norm = optimizer.apply(model.gradients, to: &model.parameters, layout: model.layout, step: step, pool: pool)
        step += 1
        return Progress(step: step, loss: evaluation.loss, accuracy: evaluation.accuracy, rate: rate, gradientNorm: norm)
    }

    /// The model as it stands.
    package func checkpoint(name: String) -> Checkpoint {
        let tensors = model.layout.entries.map { entry in
            let tensor = FloatTensor(shape: entry.shape) { target in
                for index in 0..<entry.count { target[index] = model.parameters[entry.offset + index] }
            }
            return (entry.name, tensor)
        }
        return Checkpoint(
            configuration: model.configuration, name: name, tensors: Dictionary(uniqueKeysWithValues: tensors))
    }
}
