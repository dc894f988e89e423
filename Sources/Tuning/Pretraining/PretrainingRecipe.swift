package import CLIP

/// Everything that a pretraining depends on. The same recipe on the same kind of processor gives the same weights.
package struct PretrainingRecipe: Sendable, Equatable {
    package var vision: TowerConfiguration
    package var imageSide: Int
    package var patchSize: Int
    package var text: TowerConfiguration
    package var projectionWidth: Int
    package var contextLength: Int
    /// The most tokens that the vocabulary may have.
    package var vocabularyLimit: Int
    /// Pairs in a step.
    package var batch: Int
    package var steps: Int
    /// Steps over which simplified pictures give way to those of the whole world.
    package var simpleSteps: Int
    /// Parts of a batch; see `ContrastiveModel`.
    package var lanes: Int
    package var seed: UInt64
    package var optimizer: PretrainingOptimizer.Settings

    /// The built-in model's. Patches of 8 pixels on pictures of 48, so that the smallest objects cover three patches each way; towers and
    /// batches are small because a step more teaches this world more than a wider layer.
    package static let builtIn = PretrainingRecipe(
        vision: TowerConfiguration(width: 128, depth: 6, heads: 2, mlpWidth: 512, activation: .quickGELU), imageSide: 48, patchSize: 8,
        text: TowerConfiguration(width: 128, depth: 3, heads: 2, mlpWidth: 512, activation: .quickGELU), projectionWidth: 128,
        contextLength: 77, vocabularyLimit: 1024, batch: 128, steps: 3600, simpleSteps: 1200, lanes: 8, seed: 20_240, optimizer: .init())

    /// How many pictures of step `step` are simplified: all at first, none after the first `simpleSteps`. Without that, colours are learned
    /// first and shapes hardly begin within a thousand steps.
    func ease(_ step: Int) -> Double { max(0, 1 - Double(step) / Double(max(1, simpleSteps))) }

    func configuration(vocabularySize: Int) -> CLIPConfiguration {
        CLIPConfiguration(
            vision: vision, imageSide: imageSide, patchSize: patchSize, text: text, vocabularySize: vocabularySize,
            contextLength: contextLength, projectionWidth: projectionWidth)
    }

    /// Why no model can be trained like this; nil where one can.
    package var problem: String? {
        for (name, tower) in [("vision", vision), ("text", text)] {
            if tower.width < 1 || tower.depth < 1 || tower.heads < 1 || tower.mlpWidth < 1 { return "the \(name) tower has a size below 1" }
            if tower.width % tower.heads != 0 { return "\(tower.heads) heads don't divide the \(name) tower's width \(tower.width)" }
        }
        if patchSize < 1 || imageSide < patchSize || imageSide > 1024 {
            return "patches of \(patchSize) don't fit pictures of \(imageSide)"
        }
        if batch < 2 || steps < 1 || lanes < 1 { return "a batch has at least 2 pairs, and there is at least one step" }
        if vocabularyLimit < 514 { return "a vocabulary has at least 514 tokens: bytes, bytes at a word's end, start and end" }
        if contextLength < 24 { return "captions take up to 24 positions" }
        return nil
    }
}
