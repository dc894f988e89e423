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
}
