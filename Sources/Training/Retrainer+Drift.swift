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

    private func confidencesOf(_ content: ReleaseContent, _ examples: [LabelledExample]) throws -> [Double]? {
        examples.isEmpty ? nil : try answers(inService: content, examples)?.confidences
    }
}
