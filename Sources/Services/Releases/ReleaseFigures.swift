internal import CLIP
internal import Foundation
package import Messages

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
                metrics.addScoring(registry)
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

extension MetricsText {
    /// Classes of a class set that have a sample of their own; the others' answers are one sample, so that a large set does not flood the server.
    private static let classes = 100

    /// What was answered, and how surely, by class set.
    fileprivate mutating func addScoring(_ registry: ClassSetRegistry) {
        var (answers, confidences): ([([(String, String)], Double)], [([(String, String)], Double)]) = ([], [])
        for (name, counts) in Dictionary(grouping: registry.scoring, by: \.classSet.name).sorted(by: { $0.key < $1.key }) {
            guard let set = registry.classSet(named: name) else { continue }
            let current = counts.filter { $0.classSet.sha256.hex == set.sha256 }
            func sum(_ place: Int) -> Double {
                current.reduce(0) { $0 + Double($1.answers.indices.contains(place) ? $1.answers[place] : 0) }
            }
            for (place, entry) in set.classes.prefix(Self.classes).enumerated() {
                answers.append(([("class_set", name), ("label", entry.name)], sum(place)))
            }
            if set.classes.count > Self.classes {
                let rest = (Self.classes..<set.classes.count).reduce(0.0) { $0 + sum($1) }
                answers.append(([("class_set", name), ("label", "(others)")], rest))
            }
            for bin in 0..<ScoringCounts.confidenceBins {
                let bound = "\(Double(bin + 1) / Double(ScoringCounts.confidenceBins))"
                confidences.append(([("class_set", name), ("below", bound)], current.reduce(0) { $0 + Double($1.confidences[bin]) }))
            }
        }
        counter("p4q_worker_answers_total", "First answers, by class set and class.", answers.map { (labels: $0.0, value: $0.1) })
        counter(
            "p4q_worker_confidences_total", "First answers by their probability, in bins a tenth wide, by upper bound.",
            confidences.map { (labels: $0.0, value: $0.1) })
    }
}

extension MetricsText {
    /// How a fleet's workers agree on shadows.
    mutating func addShadows(_ scoring: [ScoringCounts]) {
        let shadows = ShadowSum.all(scoring).sorted { $0.key < $1.key }
        gauge(
            "p4q_shadow_version", "The release that the fleet tries in shadow, by class set.",
            shadows.map { (labels: [("class_set", $0.key)], value: Double($0.value.version)) })
        gauge(
            "p4q_shadow_scored_images", "Images that the fleet has scored with it too.",
            shadows.map { (labels: [("class_set", $0.key)], value: Double($0.value.scored)) })
        gauge(
            "p4q_shadow_agreed_images", "Images for which it gave the live one's answer.",
            shadows.map { (labels: [("class_set", $0.key)], value: Double($0.value.agreed)) })
    }
}

/// What a fleet's workers say of a class set's newest shadow, whatever it was tried beside.
package enum ShadowSum {
    package static func all(_ scoring: [ScoringCounts]) -> [String: ScoringCounts.Shadow] {
        var found: [String: ScoringCounts.Shadow] = [:]
        for counts in scoring {
            guard let shadow = counts.shadow else { continue }
            let name = counts.classSet.name
            if let known = found[name], known.version > shadow.version { continue }
            let known = found[name].flatMap { $0.version == shadow.version ? $0 : nil }
            found[name] = ScoringCounts.Shadow(
                version: shadow.version, scored: shadow.scored &+ (known?.scored ?? 0), agreed: shadow.agreed &+ (known?.agreed ?? 0))
        }
        return found
    }
}
