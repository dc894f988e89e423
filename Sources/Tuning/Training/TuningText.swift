package import CLIP
package import Tensors

/// Where the classes' features come from while tuning.
package enum TuningText: Sendable {
    /// A prompt that is learned through this tower.
    case learned(PromptTower, [ClassTokens])
    /// [classes, featureWidth]
    case fixed(FloatTensor)

    /// What a class set gives: prompts through the model's text tower, or, where no prompt is learned, the features of its templates.
    package init(_ classSet: ClassSet, model: CLIPModel, settings: TuningSettings, pool: ThreadPool) throws {
        guard let text = model.text else { throw TuningError.noTextTower(model: model.name) }
        guard settings.parts.hasPrompt else {
            self = .fixed(try text.compute(for: classSet, pool: pool))
            return
        }
        guard let tower = PromptTower(text.encoder) else { throw TuningError.noTextTower(model: model.name) }
        let classes = classSet.classes.map { ClassTokens($0.name, text.tokenizer) }
        for (entry, tokens) in zip(classSet.classes, classes) {
            let count = 1 + settings.contextLength + tokens.name.count + tokens.stop.count
            guard count <= tower.configuration.contextLength else {
                throw TuningError.promptTooLong(className: entry.name, tokens: count, limit: tower.configuration.contextLength)
            }
        }
        self = .learned(tower, classes)
    }

    /// Length of a context vector.
    var contextWidth: Int {
        guard case .learned(let tower, _) = self else { return 0 }
        return tower.width
    }

    func objective(
        _ settings: TuningSettings, scale: Float, pool: ThreadPool, kernels: FloatKernels
    ) throws(TuningError) -> TuningObjective {
        switch self {
        case .learned(let tower, let classes):
            let pass = PromptPass(
                tower: tower, classes: classes, contextLength: settings.contextLength, position: settings.classPosition,
                rule: settings.straightThrough, pool: pool)
            return TuningObjective(
                prompt: pass, scale: scale, ratio: settings.adaptRatio, classWeight: settings.classWeight,
                distillationWeight: settings.distillationWeight, kernels: kernels)
        case .fixed(let features):
            return TuningObjective(
                textFeatures: features.withUnsafeBufferPointer(Array.init), scale: scale, ratio: settings.adaptRatio,
                classWeight: settings.classWeight, distillationWeight: settings.distillationWeight, kernels: kernels)
        }
    }
}
