internal import CLIP
internal import Foundation
internal import Logging
internal import Messages
internal import Synchronization
internal import Training
internal import Tuning

/// Looks at one class set's fleet: has what is answered drifted, and is a shadow to be promoted or dropped?
final class FleetWatch: Sendable {
    private struct State {
        var drift = DriftWatch()
        var labels: TrainingDrift?
        var hasLabelsMoved = false
        var shadow: (version: UInt64, evidence: ShadowRules.Evidence)?
        /// Of the class set, when new labels were last compared.
        var changes = 0
    }

    private let retraining: Retraining
    private let rules: ShadowRules
    private let logger: Logger
    private let state = Mutex(State())

    init(_ retraining: Retraining, rules: ShadowRules, logger: Logger) {
        self.retraining = retraining
        self.rules = rules
        self.logger = logger
    }

    private var name: String { retraining.retrainer.classSet.name }
    private var store: ExampleStore { retraining.retrainer.store }

    /// One look. Throws if the dispatcher can't be asked.
    func look() async throws {
        let scoring = try await retraining.publisher.scoring(classSet: name)
        try lookAtLabels()
        try lookAtAnswers(scoring)
        try await lookAtShadow(scoring)
    }

    // MARK: Drift

    private func lookAtAnswers(_ scoring: [ScoringCounts]) throws {
        // What was rolled back to is not known here, nor what others have published.
        guard let counts = scoring.last(where: { $0.classSet.sha256.hex == retraining.retrainer.classSet.sha256 }), counts.release > 0,
            let run = try store.runs(classSet: name).last(where: { $0.version == counts.release })
        else { return }
        let change = try state.withLock { state in
            try state.drift.look(counts) { try retraining.retrainer.drift(of: $0, confidences: $1, since: run) }
        }
        switch change {
        case .moved(let text): try note("drift.answers", text)
        case .settled: try note("drift.over", "answers and confidences are again like those of the held-out examples")
        case nil: break
        }
    }

    /// New labels beside those that the release in service was learned on.
    private func lookAtLabels() throws {
        guard let run = try store.runs(classSet: name).last(where: { $0.state == .published }) else { return }
        let changes = try store.changes(classSet: name)
        guard changes >= state.withLock({ $0.changes }) + TrainingDrift.minimum || state.withLock({ $0.labels }) == nil,
            let drift = try retraining.retrainer.drift(since: run, inService: nil)
        else { return }
        let isNew = state.withLock { state in
            state.changes = changes
            state.labels = drift
            defer { state.hasLabelsMoved = drift.hasMoved }
            return drift.hasMoved && !state.hasLabelsMoved
        }
        if isNew {
            try note(
                "drift.labels",
                "\(drift.examples) labels that came since run \(run.id) are of other classes than those it learned from (stability index "
                    + "\(drift.labels.index.formatted3), p = \(drift.labels.p.formatted3))")
        }
    }

    // MARK: Shadows

    private func lookAtShadow(_ scoring: [ScoringCounts]) async throws {
        guard let sum = ShadowSum.all(scoring)[name] else { return }
        guard let shadow = try await retraining.publisher.shadow(classSet: name), shadow.manifest.version == sum.version else {
            return state.withLock { $0.shadow = nil }
        }
        var evidence = ShadowRules.Evidence(scored: Int(clamping: sum.scored), agreed: Int(clamping: sum.agreed))
        let run = try store.runs(classSet: name).last { $0.version == sum.version }
        if let run {
            let live = try await retraining.publisher.current(classSet: name)
            (evidence.labels, evidence.gained, evidence.lost) = try retraining.retrainer.newLabels(
                since: run, shadow: shadow.content, live: live?.content)
        }
        state.withLock { $0.shadow = (sum.version, evidence) }
        switch rules.decide(evidence) {
        case .wait: break
        case .promote(let why):
            let version = try await retraining.publisher.promote(sum.version, classSet: name, note: why)
            if let run { try store.end(run.id, .published, version: version, note: "promoted from shadow \(sum.version): \(why)") }
            try note("shadow.promoted", "release \(sum.version) is live as \(version): \(why)")
        case .drop(let why):
            try await retraining.publisher.dropShadow(classSet: name)
            if let run { try store.end(run.id, .rejected, version: sum.version, note: "dropped from shadow: \(why)") }
            try note("shadow.dropped", "release \(sum.version) was dropped: \(why)")
        }
    }

    private func note(_ kind: String, _ text: String) throws {
        try store.note(.init(at: ExampleStore.now(), classSet: name, kind: kind, text: text))
        logger.notice("\(kind)", metadata: ["class_set": "\(name)", "event": "\(text)"])
    }

    // MARK: Metrics

    func publish(to metrics: inout FigurePublisher) {
        let (drift, labels, shadow) = state.withLock { ($0.drift, $0.labels, $0.shadow) }
        for (of, value) in [("labels", labels?.labels), ("answers", drift.last?.answers), ("confidences", drift.last?.confidences)] {
            guard let value else { continue }
            metrics.gauge("p4q_trainer_drift_index", [("class_set", name), ("of", of)], value.index)
            metrics.gauge("p4q_trainer_drift", [("class_set", name), ("of", of)], value.hasMoved ? 1 : 0)
        }
        guard let evidence = shadow?.evidence else { return }
        for (right, count) in [("seen", evidence.labels), ("shadow_alone", evidence.gained), ("live_alone", evidence.lost)] {
            metrics.gauge("p4q_trainer_shadow_labels", [("class_set", name), ("right", right)], count)
        }
    }
}

extension Double {
    /// Three significant digits.
    var formatted3: String { String(format: "%.3g", self) }
}
