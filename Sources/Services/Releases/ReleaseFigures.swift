internal import Foundation

extension DispatchedWorker {
    /// What a worker's HTTP port tells, with what scores and what was refused.
    package func watchSource(_ follower: ReleaseFollower?, _ registry: ClassSetRegistry) -> WatchPort.Source {
        let base = watchSource
        return WatchPort.Source(
            metrics: {
                var metrics = await base.metrics()
                let (versions, shadows) = (registry.versions, registry.shadows)
                metrics.gauge(
                    "p4q_worker_release_version", "The release that scores, by class set.",
                    versions.sorted { $0.key < $1.key }.map { ([("class_set", $0.key)], Double($0.value)) })
                metrics.counter(
                    "p4q_worker_shadow_scored_total", "Images that the shadow release scored too.",
                    shadows.sorted { $0.key < $1.key }.map { ([("class_set", $0.key)], Double($0.value.scored)) })
                metrics.counter(
                    "p4q_worker_shadow_agreed_total", "Images for which it gave the same answer.",
                    shadows.sorted { $0.key < $1.key }.map { ([("class_set", $0.key)], Double($0.value.agreed)) })
                let counters = follower?.counters ?? ReleaseFollower.Counters()
                metrics.counter("p4q_worker_releases_taken_total", "Releases that were checked and taken.", counters.adopted)
                metrics.counter(
                    "p4q_worker_releases_refused_total", "Releases and changes that were refused, by reason.",
                    counters.refused.sorted { $0.key < $1.key }.map { ([("code", $0.key)], Double($0.value)) })
                metrics.counter("p4q_worker_release_snapshots_total", "Snapshots that were taken.", counters.snapshots)
                metrics.counter("p4q_worker_release_gaps_total", "Changes that were missed and found by the snapshot.", counters.gaps)
                return metrics
            }, obstacle: base.obstacle,
            stats: {
                let own = try JSONEncoder().encode(
                    Figures(
                        releases: registry.versions,
                        shadows: registry.shadows.mapValues { .init(version: $0.version, scored: $0.scored, agreed: $0.agreed) },
                        refused: follower?.counters.refused ?? [:]))
                return try await base.stats().dropLast() + ",\"releases\":" + String(decoding: own, as: UTF8.self) + "}"
            })
    }

    /// The part of `/stats` that is about releases.
    private struct Figures: Encodable {
        struct Shadow: Encodable {
            let version: UInt64
            let scored: Int
            let agreed: Int
        }
        let releases: [String: UInt64]
        let shadows: [String: Shadow]
        let refused: [String: Int]
    }
}
