internal import Foundation

/// How far a distribution has moved: the population stability index, `sum (p - q) ln(p / q)` over bins, less what chance alone makes of it.
///
/// Without a change the index of samples of n and m in B bins is about `(B - 1) (1/n + 1/m)` (it is a symmetric form of twice the
/// Kullback-Leibler divergence, a chi-square variable of B - 1 degrees of freedom), which is taken off, so that few new examples don't look like
/// a drift. Empty bins count as half an example.
package struct Drift: Sendable, Equatable, Codable {
    /// Above it a distribution is said to have moved; 0.25 is what the index's users call a major shift.
    package static let limit = 0.25

    package let index: Double
    package var hasMoved: Bool { index > Self.limit }

    /// - Parameters:
    ///   - reference: counts a bin.
    ///   - recent: counts in the same bins.
    package init(reference: [Int], recent: [Int]) {
        precondition(reference.count == recent.count, "\(reference.count) and \(recent.count) bins")
        let bins = zip(reference, recent).filter { $0 + $1 > 0 }
        let (n, m) = (bins.reduce(0) { $0 + $1.0 }, bins.reduce(0) { $0 + $1.1 })
        guard n > 0, m > 0 else {
            index = 0
            return
        }
        var sum = 0.0
        for (old, new) in bins {
            let (p, q) = (max(Double(old), 0.5) / Double(n), max(Double(new), 0.5) / Double(m))
            sum += (p - q) * Foundation.log(p / q)
        }
        index = max(0, sum - Double(bins.count - 1) * (1 / Double(n) + 1 / Double(m)))
    }

    /// Confidences in ten bins of equal width.
    package static func bins(_ confidences: [Double]) -> [Int] {
        var bins = [Int](repeating: 0, count: 10)
        for value in confidences { bins[min(9, max(0, Int(value * 10)))] += 1 }
        return bins
    }
}
