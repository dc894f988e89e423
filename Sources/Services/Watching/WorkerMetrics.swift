package import CLIP
internal import Foundation
internal import JobQueue
internal import Messages
internal import Tuning

extension DispatchedWorker {
    /// What a worker's HTTP port tells: of a trainer's without `follower` and `registry`. `more` gives further figures.
    ///
    /// It is ready when a dispatcher has been heard lately and, where images are classified, one has lately gone through with the right answer.
    package func watchSource(
        _ metrics: ProcessMetrics, model: CLIPModel, registry: ClassSetRegistry? = nil, follower: ReleaseFollower? = nil,
        more: @escaping @Sendable (inout FigurePublisher) -> Void = { _ in }
    ) -> WatchPort.Source {
        WatchPort.Source(
            metrics: {
                metrics.text { metrics in
                    publish(to: &metrics, model)
                    registry?.publish(to: &metrics)
                    follower?.counters.publish(to: &metrics)
                    more(&metrics)
                }
            },
            obstacle: { obstacle },
            stats: {
                let stats = Stats(counters, isHeard: isHeard, releases: registry.map { ReleaseStats($0, follower) })
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
                return String(decoding: try encoder.encode(stats), as: UTF8.self)
            })
    }

    private func publish(to metrics: inout FigurePublisher, _ model: CLIPModel) {
        metrics.gauge("p4q_worker_dispatcher_heard", isHeard ? 1 : 0)
        metrics.gauge("p4q_model_info", [("model", model.name), ("sha256", String(model.sha256.prefix(12))), ("bits", model.bits)], 1)
        if let canary {
            metrics.gauge("p4q_worker_canary_age_seconds", canary.age.map { Double($0.milliseconds) / 1000 } ?? .infinity)
            metrics.counters("p4q_worker_canaries_total", by: "result", canary.counts, all: Canary.Verdict.allCases.map(\.rawValue))
        }
    }

    /// `/stats`.
    private struct Stats: Encodable {
        let scored: Int
        let failed: Int
        let batches: Int
        let batchImages: Int
        let decodeSeconds: Double
        let preprocessSeconds: Double
        let dispatcherHeard: Bool
        let releases: ReleaseStats?

        init(_ counters: PipelineCounters.Values, isHeard: Bool, releases: ReleaseStats?) {
            (scored, failed, batches, batchImages) = (counters.scored, counters.failed, counters.batches, counters.images)
            func seconds(_ time: Duration) -> Double { Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18 }
            (decodeSeconds, preprocessSeconds) = (seconds(counters.decode), seconds(counters.preprocess))
            dispatcherHeard = isHeard
            self.releases = releases
        }
    }

    /// The part of `/stats` that is about releases.
    private struct ReleaseStats: Encodable {
        struct Shadow: Encodable {
            let version: UInt64
            let scored: Int
            let agreed: Int
        }
        let versions: [String: UInt64]
        let shadows: [String: Shadow]
        let refused: [String: Int]

        init(_ registry: ClassSetRegistry, _ follower: ReleaseFollower?) {
            versions = registry.versions
            shadows = registry.shadows.mapValues { .init(version: $0.version, scored: $0.scored, agreed: $0.agreed) }
            refused = follower?.counters.refused ?? [:]
        }
    }
}

extension ClassSetRegistry {
    fileprivate func publish(to metrics: inout FigurePublisher) {
        for name in names {
            let (live, _, shadow) = releases(of: name)
            for (mode, release) in [("live", live), ("shadow", shadow)] {
                guard let manifest = release?.manifest else { continue }
                metrics.release(name, mode: mode, version: manifest.version, model: manifest.model.sha256.hex)
            }
        }
        for (name, shadow) in shadows {
            metrics.counter("p4q_worker_shadow_scored_total", [("class_set", name)], shadow.scored)
            metrics.counter("p4q_worker_shadow_agreed_total", [("class_set", name)], shadow.agreed)
        }
        metrics.scoring(self)
    }
}

extension ReleaseFollower.Counters {
    fileprivate func publish(to metrics: inout FigurePublisher) {
        metrics.counter("p4q_worker_releases_taken_total", adopted)
        metrics.counters("p4q_worker_releases_refused_total", by: "code", refused.mapValues { UInt64($0) }, all: ReleaseError.refusalCodes)
        metrics.counter("p4q_worker_release_snapshots_total", snapshots)
        metrics.counter("p4q_worker_release_gaps_total", gaps)
    }
}
