internal import CLIP
internal import Foundation
package import Logging
package import Messages
internal import Synchronization
package import Training
internal import Tuning

/// One class set's retraining from its stored examples to the release that workers take: train, decide, publish. What has been done is journalled
/// at each step, so that a trainer that is killed anywhere goes on and publishes once.
package struct Retraining: Sendable {
    /// How it ended.
    package enum Result: Sendable, Equatable {
        case published(version: UInt64)
        case rejected([String])
    }

    package let retrainer: Retrainer
    let publisher: any ReleasePublisher
    private let mode: ReleaseMode
    private let logger: Logger

    /// Another release may become live while a candidate is compared; it is compared again then, so often.
    private static let attempts = 3

    package init(_ retrainer: Retrainer, publisher: any ReleasePublisher, mode: ReleaseMode = .live, logger: Logger) {
        self.retrainer = retrainer
        self.publisher = publisher
        self.mode = mode
        self.logger = logger
    }

    private var store: ExampleStore { retrainer.store }
    private var name: String { retrainer.classSet.name }

    /// - Parameter isStopped: asked after each epoch. Throws: `TrainingError.stopped` then.
    package func run(isStopped: @escaping @Sendable () -> Bool) async throws -> Result {
        for attempt in 1... {
            let run = try retrainer.begin()
            logger.info("training run", metadata: ["class_set": "\(name)", "run": "\(run.id)", "seed": "\(run.seed)"])
            guard let candidate = try await candidate(run, isStopped) else { continue }
            if let result = try await settle(run, candidate, isLast: attempt >= Self.attempts) { return result }
        }
        preconditionFailure("the loop ends by a return")
    }

    /// Training takes minutes, on a thread of its own.
    private func candidate(_ run: TrainingRecord, _ isStopped: @escaping @Sendable () -> Bool) async throws -> ReleaseContent? {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread { [self] in
                continuation.resume(
                    with: Swift.Result {
                        try retrainer.candidate(run) { epoch in
                            logger.debug(
                                "epoch",
                                metadata: ["run": "\(run.id)", "epoch": "\(epoch.epoch)", "loss": "\(epoch.losses.classification)"])
                            return !isStopped()
                        }
                    })
            }
            thread.name = "p4q-train"
            thread.stackSize = 16 << 20
            thread.start()
        }
    }

    /// Decides and publishes; nil where another release came in between, or an example has gone.
    private func settle(_ run: TrainingRecord, _ candidate: ReleaseContent, isLast: Bool) async throws -> Result? {
        let current = try await publisher.current(classSet: name)
        let version = current?.manifest.version ?? 0
        // A trainer that was killed behind its publication.
        if run.state == .accepted {
            let place = mode == .live ? current : try await publisher.shadow(classSet: name)
            if let place, try place.content.encoded() == (try candidate.encoded()) { return try published(run, place.manifest.version) }
        }
        var verdict = run.parent == version && run.state == .accepted ? run.verdict : nil
        if verdict == nil { verdict = try retrainer.decide(run, candidate, inService: current?.content, version: version) }
        guard let verdict else { return nil }
        log(run, verdict)
        guard verdict.isAccepted else { return .rejected(verdict.reasons) }
        do {
            return try published(
                run,
                try await publisher.publish(
                    candidate, parent: version, mode: mode, note: Self.note(run, verdict), gate: GateEvidence(run.id, verdict)))
        } catch let error as ReleaseError {
            switch error {
            case .conflict where !isLast: return nil
            // It is tried again later: nothing is wrong with the candidate.
            case _ where error.isTemporary: throw error
            default:
                try store.end(run.id, .failed, note: "\(error)")
                throw error
            }
        }
    }

    private func published(_ run: TrainingRecord, _ version: UInt64) throws -> Result {
        try store.end(run.id, .published, version: version)
        logger.info("published", metadata: ["class_set": "\(name)", "run": "\(run.id)", "release.version": "\(version)"])
        return .published(version: version)
    }

    private func log(_ run: TrainingRecord, _ verdict: GateVerdict) {
        let figures = verdict.figures
        logger.notice(
            verdict.isAccepted ? "the gate lets the candidate through" : "the gate stops the candidate",
            metadata: [
                "class_set": "\(name)", "run": "\(run.id)", "held_out": "\(figures.examples)", "right.before": "\(figures.before)",
                "right.after": "\(figures.after)", "right.untuned": "\(figures.untuned)", "p": "\(figures.p)",
                "level": "\(figures.level)", "gained": "\(figures.gained)", "lost": "\(figures.lost)", "test": "\(figures.test)",
                "calibration_error.before": "\(figures.calibrationErrorBefore)",
                "calibration_error.after": "\(figures.calibrationErrorAfter)", "reasons": "\(verdict.reasons.joined(separator: "; "))",
            ])
    }

    private static func note(_ run: TrainingRecord, _ verdict: GateVerdict) -> String {
        let figures = verdict.figures
        return "run \(run.id): \(figures.before) to \(figures.after) of \(figures.examples) held-out examples right, p = "
            + String(format: "%.2g", figures.p)
    }
}

extension GateEvidence {
    init(_ run: Int64, _ verdict: GateVerdict) {
        let figures = verdict.figures
        self.init(
            run: UInt64(run), examples: figures.examples, before: figures.before, after: figures.after, untuned: figures.untuned,
            gained: figures.gained, lost: figures.lost, p: figures.p, level: figures.level, test: figures.test,
            calibrationErrorBefore: figures.calibrationErrorBefore, calibrationErrorAfter: figures.calibrationErrorAfter)
    }
}
