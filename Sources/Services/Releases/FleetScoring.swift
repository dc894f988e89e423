package import Messages

/// What all workers of a dispatcher have answered: each one's counts only grow, and what they have grown by is added up here.
///
/// It is in memory only: after a restart of the dispatcher the workers' next reports bring the sums back, without those of workers that are gone.
package struct FleetScoring {
    private struct Key: Hashable {
        let classSet: Provenance
        let release: UInt64
    }

    /// Workers whose last report is remembered; one that comes back after so many others is counted anew.
    private static let workers = 4096
    /// Class sets and releases that are summed up, the newest ones.
    private static let keys = 256

    private var reports: [String: [Key: ScoringCounts]] = [:]
    private var reporters: [String] = []
    private var totals: [Key: ScoringCounts] = [:]
    private var order: [Key] = []

    package init() {}

    package mutating func take(_ report: ScoringReport) {
        if reports[report.worker] == nil {
            reporters.append(report.worker)
            if reporters.count > Self.workers { reports[reporters.removeFirst()] = nil }
        }
        for counts in report.counts {
            let key = Key(classSet: counts.classSet, release: counts.release)
            if totals[key] == nil {
                totals[key] = ScoringCounts(classSet: counts.classSet, release: counts.release, classes: counts.answers.count)
                order.append(key)
                if order.count > Self.keys { totals[order.removeFirst()] = nil }
            }
            totals[key]?.add(counts, since: reports[report.worker]?[key])
            reports[report.worker, default: [:]][key] = counts
        }
        // What a worker no longer speaks of is over.
        let spoken = Set(report.counts.map { Key(classSet: $0.classSet, release: $0.release) })
        reports[report.worker] = reports[report.worker, default: [:]].filter { spoken.contains($0.key) }
    }

    /// All sums, oldest first.
    package var sums: [ScoringCounts] { order.compactMap { totals[$0] } }

    /// A class set's sums, oldest first.
    package func sums(of name: String) -> [ScoringCounts] { sums.filter { $0.classSet.name == name } }
}
