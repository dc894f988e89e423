internal import CLIP
internal import Foundation
package import Logging
internal import ServiceLifecycle
internal import Synchronization
internal import Training
package import Tuning

/// Retrains when it is time, one class set after the other.
package struct TrainerService: Service {
    let retrainings: [Retraining]
    let watches: [FleetWatch]
    private let schedule: RetrainingSchedule
    private let requests: RetrainingRequests
    private let logger: Logger

    /// Between a failure and the next try.
    private static let pause = Duration.seconds(30)
    /// Between looks at the fleet.
    private static let look = Duration.seconds(5)

    package init(
        _ retrainings: [Retraining], schedule: RetrainingSchedule, shadowRules: ShadowRules = ShadowRules(), requests: RetrainingRequests,
        logger: Logger
    ) {
        self.retrainings = retrainings
        watches = retrainings.map { FleetWatch($0, rules: shadowRules, logger: logger) }
        self.schedule = schedule
        self.requests = requests
        self.logger = logger
    }

    package func run() async throws {
        let isStopped = StopFlag()
        var failed: [String: ContinuousClock.Instant] = [:]
        var last = Dictionary(retrainings.map { ($0.retrainer.classSet.name, Date()) }, uniquingKeysWith: { first, _ in first })
        var looked = ContinuousClock.now
        try await withGracefulShutdownHandler {
            while !isStopped.isSet, !Task.isCancelled {
                for retraining in retrainings where !isStopped.isSet {
                    let name = retraining.retrainer.classSet.name
                    if let moment = failed[name], ContinuousClock.now - moment < Self.pause { continue }
                    let isAsked = requests.take(name)
                    guard try isAsked || isDue(retraining, last: last[name] ?? Date()) else { continue }
                    if await retrain(retraining, isStopped) { failed[name] = nil } else { failed[name] = .now }
                    last[name] = Date()
                }
                if ContinuousClock.now - looked > Self.look {
                    looked = .now
                    for watch in watches where !isStopped.isSet { await look(watch) }
                }
                try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(1)) }
            }
        } onGracefulShutdown: {
            isStopped.set()
        }
    }

    private func isDue(_ retraining: Retraining, last: Date) throws -> Bool {
        let (store, name) = (retraining.retrainer.store, retraining.retrainer.classSet.name)
        // What a killed trainer began is gone on with.
        if try store.openRun(classSet: name) != nil { return true }
        let runs = try store.runs(classSet: name).filter { $0.state != .givenUp }
        let new = try store.changes(classSet: name) - (runs.last?.changes ?? 0)
        let ended = runs.last?.ended.map { Date(timeIntervalSince1970: Double($0) / 1000) }
        return schedule.isDue(newExamples: new, last: max(last, ended ?? last), now: Date())
    }

    private func look(_ watch: FleetWatch) async {
        do {
            try await watch.look()
        } catch {
            logger.warning("the fleet can't be looked at now", metadata: ["error": "\(error)"])
        }
    }

    /// False for a failure, which is logged and tried again.
    private func retrain(_ retraining: Retraining, _ isStopped: StopFlag) async -> Bool {
        let name = retraining.retrainer.classSet.name
        do {
            _ = try await retraining.run { isStopped.isSet }
            return true
        } catch TrainingError.stopped {
            logger.info("training is interrupted, and goes on at the next start", metadata: ["class_set": "\(name)"])
            return true
        } catch {
            logger.error("retraining failed", metadata: ["class_set": "\(name)", "error": "\(error)"])
            return false
        }
    }
}

/// Class sets that somebody has asked to retrain.
package final class RetrainingRequests: Sendable {
    private let names = Mutex<Set<String>>([])

    package init() {}

    package func add(_ name: String) { names.withLock { _ = $0.insert(name) } }

    func take(_ name: String) -> Bool { names.withLock { $0.remove(name) != nil } }
}

/// Set once.
final class StopFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}
