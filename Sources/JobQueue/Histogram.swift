/// Counts of values by size, as Prometheus wants them.
package struct Histogram: Hashable, Sendable, Codable {
    /// Upper bounds, ascending; values above the last one are counted in `count` alone.
    package let bounds: [Double]
    /// By bound, values that are at most it and above the one before.
    package private(set) var counts: [UInt64]
    package private(set) var count: UInt64 = 0
    package private(set) var sum = 0.0

    package init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count)
    }

    package mutating func add(_ value: Double) {
        count += 1
        sum += value
        if let place = bounds.firstIndex(where: { value <= $0 }) { counts[place] += 1 }
    }

    /// Adds what another one, of the same bounds, has counted since it was as in `before`.
    package mutating func add(_ other: Histogram, since before: Histogram) {
        precondition(bounds == other.bounds && bounds == before.bounds, "histograms of other bounds can't be added")
        for place in bounds.indices { counts[place] += other.counts[place] - before.counts[place] }
        count += other.count - before.count
        sum += other.sum - before.sum
    }

    /// The value that a share of the values is at most, interpolated within its bucket as Prometheus does; nil if there are none.
    package func quantile(_ share: Double) -> Double? {
        guard count > 0 else { return nil }
        let rank = share * Double(count)
        var below: UInt64 = 0
        for (place, bound) in bounds.enumerated() {
            if Double(below + counts[place]) >= rank, counts[place] > 0 {
                let lower = place == 0 ? 0 : bounds[place - 1]
                return lower + (bound - lower) * (rank - Double(below)) / Double(counts[place])
            }
            below += counts[place]
        }
        return bounds.last
    }
}
