internal import CLIP
package import Tuning

/// How the examples that came since the last run differ from those that the release in service was learned on.
package struct TrainingDrift: Sendable, Equatable, Codable {
    /// New examples; fewer than `minimum` say nothing.
    package let examples: Int
    package let labels: Drift
    /// Of the confidences of the release in service; nil without one.
    package let confidences: Drift?

    package static let minimum = 100
    package var hasMoved: Bool { examples >= Self.minimum && (labels.hasMoved || confidences?.hasMoved == true) }
}

/// How what workers answer differs from what the release in service answered held-out examples with.
package struct AnswerDrift: Sendable, Equatable {
    package let examples: Int
    package let answers: Drift
    package let confidences: Drift

    package init(examples: Int, answers: Drift, confidences: Drift) {
        self.examples = examples
        self.answers = answers
        self.confidences = confidences
    }
}

extension Retrainer {
    /// Compares what came behind `run`'s list with the list. Nil where the list is no longer whole.
    package func drift(since run: TrainingRecord, inService: ReleaseContent?) throws -> TrainingDrift? {
        guard let old = try store.examples(run: run.id, heldOut: true), let others = try store.examples(run: run.id, heldOut: false) else {
            return nil
        }
        let recent = try store.examples(classSet: classSet.name, changedAfter: run.changes)
        func counts(_ examples: [LabelledExample]) -> [Int] {
            let found = Dictionary(grouping: examples, by: \.label).mapValues(\.count)
            return classSet.classes.map { found[$0.name] ?? 0 }
        }
        var confidences: Drift?
        // What is held out shows how sure the release is of what it has not learned from.
        if let inService, let before = try confidencesOf(inService, old), let now = try confidencesOf(inService, recent) {
            confidences = Drift(reference: Drift.bins(before), recent: Drift.bins(now))
        }
        return TrainingDrift(
            examples: recent.count, labels: Drift(reference: counts(old + others), recent: counts(recent)), confidences: confidences)
    }

    /// How a shadow that `run` has made, and the live release, do on examples that the run did not list: how many there are, on how many only
    /// the shadow, and only the live one, is right. Without a live release the model's own answers count.
    package func newLabels(
        since run: TrainingRecord, shadow: ReleaseContent, live: ReleaseContent?
    ) throws -> (examples: Int, gained: Int, lost: Int) {
        let known = Set(classSet.classes.map(\.name))
        let examples = try store.examples(classSet: classSet.name, changedAfter: run.changes, unlistedIn: run.id).filter {
            known.contains($0.label)
        }
        guard !examples.isEmpty, let new = try answers(inService: shadow, examples) else { return (0, 0, 0) }
        let old = try live.flatMap { try answers(inService: $0, examples) } ?? answers(untunedHead(), examples)
        let indices = examples.indices
        return (
            examples.count, indices.count { new.isRight($0) && !old.isRight($0) }, indices.count { old.isRight($0) && !new.isRight($0) }
        )
    }

    /// Compares what a fleet's workers answered lately with what the release that `run` published answered held-out examples with.
    ///
    /// - Parameters:
    ///   - answers: by class, in the order of the class set; `confidences` in ten bins.
    /// - Returns: nil where that run's answers are not kept.
    package func drift(of answers: [Int], confidences: [Int], since run: TrainingRecord) throws -> AnswerDrift? {
        let decided = try store.answers(run: run.id)
        guard !decided.isEmpty, answers.count == classSet.classes.count, run.classSetSHA256 == classSet.sha256 else { return nil }
        var reference = [Int](repeating: 0, count: answers.count)
        for answer in decided where reference.indices.contains(answer.after) { reference[answer.after] += 1 }
        return AnswerDrift(
            examples: answers.reduce(0, +), answers: Drift(reference: reference, recent: answers),
            confidences: Drift(reference: Drift.bins(decided.map(\.confidenceAfter)), recent: confidences))
    }

    private func confidencesOf(_ content: ReleaseContent, _ examples: [LabelledExample]) throws -> [Double]? {
        examples.isEmpty ? nil : try answers(inService: content, examples)?.confidences
    }
}
