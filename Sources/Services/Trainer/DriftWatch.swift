internal import Foundation
package import Messages
package import Training
internal import Tuning

/// Looks at what a fleet's workers answer, window by window, and says when it has moved from what was learned.
package struct DriftWatch {
    /// Answers of a window: below them even a large drift of a class set of some dozen classes can't be told from chance.
    package static let window = 500

    /// Where the present window began.
    private var baseline: ScoringCounts?
    /// What was seen in the last full window.
    package private(set) var last: AnswerDrift?
    package private(set) var hasMoved = false

    /// What has changed with a full window.
    package enum Change: Equatable {
        case moved(String)
        case settled
    }

    package init() {}

    /// Takes the fleet's counts for the release in service. Nil until the window is full, and when nothing has changed.
    package mutating func look(_ counts: ScoringCounts, compare: ([Int], [Int]) throws -> AnswerDrift?) rethrows -> Change? {
        var window = ScoringCounts(classSet: counts.classSet, release: counts.release, classes: counts.answers.count)
        window.add(counts, since: baseline)
        guard window.total >= Self.window else { return nil }
        baseline = counts
        guard let drift = try compare(window.answers.map { Int(clamping: $0) }, window.confidences.map { Int(clamping: $0) }) else {
            return nil
        }
        last = drift
        let had = hasMoved
        hasMoved = drift.answers.hasMoved || drift.confidences.hasMoved
        if hasMoved == had { return nil }
        return hasMoved ? .moved(Self.text(drift)) : .settled
    }

    private static func text(_ drift: AnswerDrift) -> String {
        func part(_ name: String, _ value: Drift) -> String? {
            value.hasMoved ? "\(name) (stability index \(value.index.formatted3), p = \(value.p.formatted3))" : nil
        }
        let parts = [part("answers", drift.answers), part("confidences", drift.confidences)].compactMap(\.self)
        return "\(parts.joined(separator: " and ")) of \(drift.examples) images differ from those of the held-out examples"
    }
}
