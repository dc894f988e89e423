internal import Foundation

/// How far a distribution has moved, and whether chance alone can have made it so.
///
/// How far: the population stability index, `sum (p - q) ln(p / q)` over bins, less what chance makes of it. Without a change the index of samples
/// of n and m in B bins is about `(B - 1) (1/n + 1/m)` (it is a symmetric form of twice the Kullback-Leibler divergence, a chi-square variable of
/// B - 1 degrees of freedom), which is taken off. Empty bins count as half a member.
///
/// By chance: Pearson's chi-square test that both samples are of one distribution. Bins whose members are expected fewer than five times in a
/// sample are put together first (Cochran's rule), without which the test is no good.
package struct Drift: Sendable, Equatable, Codable {
    /// Above it a distribution may be said to have moved; 0.25 is what the index's users call a major shift.
    package static let limit = 0.25
    /// How often one comparison may say so of a distribution that has not moved, at most.
    package static let level = 0.001

    package let index: Double
    /// Of the test that nothing has moved.
    package let p: Double
    package var hasMoved: Bool { index > Self.limit && p < Self.level }

    /// - Parameters:
    ///   - reference: counts a bin.
    ///   - recent: counts in the same bins.
    package init(reference: [Int], recent: [Int]) {
        precondition(reference.count == recent.count, "\(reference.count) and \(recent.count) bins")
        let bins = zip(reference, recent).filter { $0 + $1 > 0 }
        let (n, m) = (bins.reduce(0) { $0 + $1.0 }, bins.reduce(0) { $0 + $1.1 })
        guard n > 0, m > 0 else {
            (index, p) = (0, 1)
            return
        }
        var sum = 0.0
        for (old, new) in bins {
            let (p, q) = (max(Double(old), 0.5) / Double(n), max(Double(new), 0.5) / Double(m))
            sum += (p - q) * Foundation.log(p / q)
        }
        index = max(0, sum - Double(bins.count - 1) * (1 / Double(n) + 1 / Double(m)))
        p = Self.homogeneity(bins, n, m)
    }

    /// Confidences in ten bins of equal width.
    package static func bins(_ confidences: [Double]) -> [Int] {
        var bins = [Int](repeating: 0, count: 10)
        for value in confidences { bins[min(9, max(0, Int(value * 10)))] += 1 }
        return bins
    }

    /// Pearson's test of two samples of n and m; 1 where fewer than two bins are left.
    private static func homogeneity(_ bins: [(Int, Int)], _ n: Int, _ m: Int) -> Double {
        let least = 5 * Double(n + m) / Double(min(n, m))
        var pooled: [(Int, Int)] = []
        var rest = (0, 0)
        for bin in bins.sorted(by: { $0.0 + $0.1 < $1.0 + $1.1 }) {
            if Double(bin.0 + bin.1) >= least {
                pooled.append(bin)
            } else {
                rest = (rest.0 + bin.0, rest.1 + bin.1)
                if Double(rest.0 + rest.1) >= least {
                    pooled.append(rest)
                    rest = (0, 0)
                }
            }
        }
        // What is left over goes to the smallest.
        if rest != (0, 0) { pooled.isEmpty ? pooled.append(rest) : (pooled[0] = (pooled[0].0 + rest.0, pooled[0].1 + rest.1)) }
        guard pooled.count > 1 else { return 1 }
        let (n, m) = (Double(n), Double(m))
        let statistic = pooled.reduce(0.0) { sum, bin in
            let both = Double(bin.0 + bin.1)
            let (old, new) = (both * n / (n + m), both * m / (n + m))
            return sum + (Double(bin.0) - old) * (Double(bin.0) - old) / old + (Double(bin.1) - new) * (Double(bin.1) - new) / new
        }
        return ChiSquare.upperTail(statistic, degrees: pooled.count - 1)
    }
}

/// The chi-square distribution.
enum ChiSquare {
    /// `P(X >= value)`: the regularised upper incomplete gamma function `Q(degrees / 2, value / 2)`.
    ///
    /// Source: Numerical Recipes 6.2: the series below a + 1, Lentz's continued fraction above.
    static func upperTail(_ value: Double, degrees: Int) -> Double {
        guard value > 0 else { return 1 }
        let (a, x) = (Double(degrees) / 2, value / 2)
        var sign: Int32 = 0
        let scale = Foundation.exp(-x + a * Foundation.log(x) - lgamma_r(a, &sign))
        if x < a + 1 {
            var (term, sum, n) = (1 / a, 1 / a, a)
            while abs(term) > abs(sum) * 1e-15 {
                n += 1
                term *= x / n
                sum += term
            }
            return max(0, 1 - sum * scale)
        }
        var b = x + 1 - a
        var c = 1e300
        var d = 1 / b
        var h = d
        for i in 1...10_000 {
            let an = -Double(i) * (Double(i) - a)
            b += 2
            d = 1 / (abs(an * d + b) < 1e-300 ? 1e-300 : an * d + b)
            c = abs(b + an / c) < 1e-300 ? 1e-300 : b + an / c
            h *= d * c
            if abs(d * c - 1) < 1e-15 { break }
        }
        return min(1, scale * h)
    }
}
