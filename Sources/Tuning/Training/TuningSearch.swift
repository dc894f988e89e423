/// Finds the adapter's share and the prompt's learning rate on held-out images, where the paper's recipe fixes them: short trainings of every
/// candidate, of which the most accurate one's settings are taken.
package struct TuningSearch: Sendable {
    /// A candidate and what it reached.
    package struct Trial: Sendable, Equatable {
        package let settings: TuningSettings
        /// Share of the held-out images that were labelled rightly after its last epoch.
        package let accuracy: Double
    }

    /// The paper's share, half, and nearly all: how much an adapter may change is a matter of how much quantization has taken.
    package static let ratios: [Float] = [0.2, 0.5, 0.8]
    /// Factors of the prompt's learning rate. Four times the paper's helps where 4 and more bits pass gradients well.
    package static let rateFactors = [1.0, 4.0]
    /// The share of the images that is held out.
    package static let heldOut = 0.1
    /// The share of the epochs that a candidate is trained for.
    package static let epochs = 0.2

    /// The step limit of every candidate, and of the result, where the settings have none.
    package static let stepLimit: Float = 0.1

    package init() {}

    /// The candidates for `settings`.
    package func candidates(_ settings: TuningSettings) -> [TuningSettings] {
        let ratios = settings.parts.hasAdapter ? Self.ratios : [settings.adaptRatio]
        let factors = settings.parts.hasPrompt ? Self.rateFactors : [1]
        return factors.flatMap { factor in
            ratios.map { ratio in
                var candidate = settings
                candidate.adaptRatio = ratio
                candidate.promptRate *= factor
                candidate.heldOut = Self.heldOut
                candidate.patience = 0
                if candidate.stepLimit == 0 { candidate.stepLimit = Self.stepLimit }
                candidate.epochs = max(1, Int(Double(settings.epochs) * Self.epochs))
                return candidate
            }
        }
    }

    /// `settings` with the best candidate's share and rate; the first one wins ties.
    ///
    /// - Parameter report: called after each trial.
    package func run(
        _ run: TuningRun, _ data: TrainingData, report: (Trial, _ done: Int, _ of: Int) -> Void
    ) throws -> TuningSettings {
        let candidates = candidates(run.settings)
        var best: Trial?
        for (index, candidate) in candidates.enumerated() {
            let trial = try trial(run.with(candidate), data)
            report(trial, index + 1, candidates.count)
            if trial.accuracy > best?.accuracy ?? -1 { best = trial }
        }
        var settings = run.settings
        settings.adaptRatio = best?.settings.adaptRatio ?? settings.adaptRatio
        settings.promptRate = best?.settings.promptRate ?? settings.promptRate
        settings.stepLimit = best?.settings.stepLimit ?? settings.stepLimit
        return settings
    }

    private func trial(_ run: TuningRun, _ data: TrainingData) throws -> Trial {
        let (trainer, _) = try run.trainer(data)
        var accuracy = 0.0
        do throws(TuningError) {
            while !trainer.isFinished { accuracy = try trainer.runEpoch().heldOutAccuracy ?? 0 }
        } catch {
            guard case .diverged = error else { throw error }
            return Trial(settings: run.settings, accuracy: 0)
        }
        return Trial(settings: run.settings, accuracy: accuracy)
    }
}
