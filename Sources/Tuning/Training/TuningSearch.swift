/// Finds the adapter's share, the prompt's learning rate and its length on held-out images, where the paper's recipe fixes them: short
/// trainings of every candidate, of which the most accurate one's settings are taken. Lengths are tried with the best share and rate.
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
    /// Lengths of the prompt beside the settings' own.
    package static let lengths = [4, 8]
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

    /// The best candidate with other lengths of the prompt.
    package func lengths(_ best: TuningSettings) -> [TuningSettings] {
        guard best.parts.hasPrompt else { return [] }
        return Self.lengths.filter { $0 != best.contextLength }.map { length in
            var candidate = best
            candidate.contextLength = length
            return candidate
        }
    }

    /// `settings` with the best candidate's share, rate and length; the first one wins ties.
    ///
    /// - Parameter report: called after each trial.
    package func run(
        _ run: TuningRun, _ data: TrainingData, report: (Trial, _ done: Int, _ of: Int) -> Void
    ) throws -> TuningSettings {
        let candidates = candidates(run.settings)
        let total = candidates.count + (candidates.first.map { lengths($0).count } ?? 0)
        var best: Trial?
        var done = 0
        func attempt(_ candidate: TuningSettings) throws {
            let trial = try trial(run.with(candidate), data)
            done += 1
            report(trial, done, total)
            if trial.accuracy > best?.accuracy ?? -1 { best = trial }
        }
        for candidate in candidates { try attempt(candidate) }
        if let found = best?.settings { for candidate in lengths(found) { try attempt(candidate) } }
        var settings = run.settings
        settings.adaptRatio = best?.settings.adaptRatio ?? settings.adaptRatio
        settings.promptRate = best?.settings.promptRate ?? settings.promptRate
        settings.contextLength = best?.settings.contextLength ?? settings.contextLength
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
