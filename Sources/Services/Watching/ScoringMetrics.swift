internal import CLIP
internal import Messages

extension FigurePublisher {
    /// Classes of a class set that have a series of their own; the others' answers are one, so that a large set does not flood the server.
    private static let classes = 100

    /// What a worker has answered, and how surely, by class set.
    mutating func scoring(_ registry: ClassSetRegistry) {
        for (name, counts) in Dictionary(grouping: registry.scoring, by: \.classSet.name) {
            guard let set = registry.classSet(named: name) else { continue }
            let current = counts.filter { $0.classSet.sha256.hex == set.sha256 }
            func sum(_ place: Int) -> UInt64 {
                current.reduce(0) { $0 &+ ($1.answers.indices.contains(place) ? $1.answers[place] : 0) }
            }
            for (place, entry) in set.classes.prefix(Self.classes).enumerated() {
                counter("p4q_worker_answers_total", [("class_set", name), ("label", entry.name)], sum(place))
            }
            if set.classes.count > Self.classes {
                let rest = (Self.classes..<set.classes.count).reduce(UInt64(0)) { $0 &+ sum($1) }
                counter("p4q_worker_answers_total", [("class_set", name), ("label", "(others)")], rest)
            }
            for bin in 0..<ScoringCounts.confidenceBins {
                let bound = "\(Double(bin + 1) / Double(ScoringCounts.confidenceBins))"
                counter(
                    "p4q_worker_confidences_total", [("class_set", name), ("below", bound)],
                    current.reduce(UInt64(0)) { $0 &+ $1.confidences[bin] })
            }
        }
    }

    /// How a fleet's workers agree on shadows.
    mutating func shadows(_ scoring: [ScoringCounts]) {
        for (name, sum) in ShadowSum.all(scoring) {
            gauge("p4q_shadow_version", [("class_set", name)], sum.version)
            gauge("p4q_shadow_scored_images", [("class_set", name)], sum.scored)
            gauge("p4q_shadow_agreed_images", [("class_set", name)], sum.agreed)
        }
    }
}
