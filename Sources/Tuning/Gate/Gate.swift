internal import Foundation

/// The rules that a candidate must meet to take the place of the release in service.
package struct GateRules: Sendable, Equatable, Codable {
    /// How often a candidate that is no better may be published, at most: of all the tests of one family (see `Gate.level`) together.
    package var level = 0.05
    /// What a class may lose, as a share of its examples.
    package var classLoss = 0.05
    /// A class has lost more only if that is not chance at this level, divided by the number of classes. 1: the bound alone decides.
    package var classLevel = 0.05
    /// What the expected calibration error may grow by.
    package var calibrationLoss = 0.05
    /// Held-out examples that a decision needs.
    package var minimumExamples = 50

    package init() {}
}

/// The figures of one decision.
package struct GateFigures: Sendable, Equatable, Codable {
    /// One class, in both.
    package struct ClassFigure: Sendable, Equatable, Codable {
        package let name: String
        package let examples: Int
        package let before: Int
        package let after: Int
        /// Of the test that it has got worse.
        package let p: Double
    }

    package let examples: Int
    /// Right answers of the release in service, of the candidate, and of the model without any tuning.
    package let before: Int
    package let after: Int
    package let untuned: Int
    /// Examples that only the candidate, and that only the one before, has right.
    package let gained: Int
    package let lost: Int
    /// Of the test that the candidate is better.
    package let p: Double
    /// What `p` had to stay below: this test's part of the family's.
    package let level: Double
    /// How many tests of the family there have been, this one included.
    package let test: Int
    package let calibrationErrorBefore: Double
    /// The candidate's without and with its temperature.
    package let calibrationErrorUncorrected: Double
    package let calibrationErrorAfter: Double
    package let temperature: Double
    package let classes: [ClassFigure]
}

/// A decision.
package struct GateVerdict: Sendable, Equatable, Codable {
    package let isAccepted: Bool
    /// Every rule that was not met, for people; empty where it is accepted.
    package let reasons: [String]
    package let figures: GateFigures
}

/// Decides whether a candidate takes the place of the release in service, on held-out examples that neither has learned from.
///
/// A candidate that is no better than the one in service passes the test of one decision with a probability of at most its level. Retraining
/// again and again on the same held-out examples would add these up; so the k-th test of a family has the level `level / (k (k + 1))`, and all
/// of them together `level`. A family ends with a publication, or when there are twice as many held-out examples as at its start.
package struct Gate: Sendable {
    package let rules: GateRules

    package init(_ rules: GateRules) { self.rules = rules }

    /// The k-th test's part, from 1.
    package func level(test: Int) -> Double { rules.level / (Double(test) * Double(test + 1)) }

    /// - Parameters:
    ///   - uncorrected: the candidate's answers without its temperature.
    ///   - test: the test's number in its family, from 1.
    /// - Precondition: all are answers to the same examples.
    package func decide(
        candidate: HeldOutAnswers, uncorrected: HeldOutAnswers, inService: HeldOutAnswers, untuned: HeldOutAnswers, names: [String],
        test: Int
    ) -> GateVerdict {
        precondition(candidate.labels == inService.labels && candidate.labels == untuned.labels, "answers to different examples")
        let figures = figures(candidate, uncorrected, inService, untuned, names, test)
        var reasons: [String] = []
        if figures.examples < rules.minimumExamples {
            reasons.append("\(figures.examples) held-out examples are there, \(rules.minimumExamples) are needed")
        }
        if figures.p >= figures.level {
            reasons.append(
                "not better beyond chance: \(figures.gained) won, \(figures.lost) lost, p = \(Self.text(figures.p)), needed below "
                    + "\(Self.text(figures.level)) (test \(test) of its family)")
        }
        if figures.after < figures.untuned {
            reasons.append("the model without any tuning has \(figures.untuned) right, the candidate \(figures.after)")
        }
        let tested = max(1, figures.classes.count { $0.examples > 0 })
        for entry in figures.classes where isWorse(entry, tested) {
            reasons.append("the class \"\(entry.name)\" falls from \(entry.before) to \(entry.after) of \(entry.examples)")
        }
        if figures.calibrationErrorAfter > figures.calibrationErrorBefore + rules.calibrationLoss {
            reasons.append(
                "the calibration error grows from \(Self.text(figures.calibrationErrorBefore)) to \(Self.text(figures.calibrationErrorAfter))"
            )
        }
        return GateVerdict(isAccepted: reasons.isEmpty, reasons: reasons, figures: figures)
    }

    private func isWorse(_ entry: GateFigures.ClassFigure, _ tested: Int) -> Bool {
        guard Double(entry.before - entry.after) > rules.classLoss * Double(entry.examples) else { return false }
        return rules.classLevel >= 1 || entry.p < rules.classLevel / Double(tested)
    }

    private func figures(
        _ candidate: HeldOutAnswers, _ uncorrected: HeldOutAnswers, _ inService: HeldOutAnswers, _ untuned: HeldOutAnswers,
        _ names: [String],
        _ test: Int
    ) -> GateFigures {
        var (gained, lost, before, after, examples) = (
            Self.zeros(names), Self.zeros(names), Self.zeros(names), Self.zeros(names), Self.zeros(names)
        )
        for (index, label) in candidate.labels.enumerated() {
            let (old, new) = (inService.isRight(index), candidate.isRight(index))
            examples[label] += 1
            before[label] += old ? 1 : 0
            after[label] += new ? 1 : 0
            gained[label] += new && !old ? 1 : 0
            lost[label] += old && !new ? 1 : 0
        }
        let sums = (gained.reduce(0, +), lost.reduce(0, +))
        return GateFigures(
            examples: candidate.labels.count, before: inService.right, after: candidate.right, untuned: untuned.right, gained: sums.0,
            lost: sums.1, p: ExactTest.mcNemar(gained: sums.0, lost: sums.1), level: level(test: test), test: test,
            calibrationErrorBefore: inService.expectedCalibrationError ?? 0,
            calibrationErrorUncorrected: uncorrected.expectedCalibrationError ?? 0,
            calibrationErrorAfter: candidate.expectedCalibrationError ?? 0, temperature: candidate.temperature,
            classes: names.indices.map { index in
                GateFigures.ClassFigure(
                    name: names[index], examples: examples[index], before: before[index], after: after[index],
                    p: ExactTest.mcNemar(gained: lost[index], lost: gained[index]))
            })
    }

    private static func zeros(_ names: [String]) -> [Int] { [Int](repeating: 0, count: names.count) }

    private static func text(_ value: Double) -> String { String(format: "%.3g", value) }
}
