internal import Foundation

/// Exact tests on counts, without a normal approximation.
package enum ExactTest {
    /// McNemar's exact test, one-sided: how likely a candidate that is no better than the one it is compared with wins at least `gained` of the
    /// `gained + lost` examples in which exactly one of them is right, that is `P(X >= gained)`, X ~ Binomial(gained + lost, 1/2).
    ///
    /// Source: McNemar 1947; the binomial form of Fay, "Two-sided exact tests and matching confidence intervals for discrete data" (2010).
    package static func mcNemar(gained: Int, lost: Int) -> Double { upperTail(successes: gained, trials: gained + lost) }

    /// `P(X >= successes)`, X ~ Binomial(trials, 1/2). Sums at most half of the terms, the smallest first.
    static func upperTail(successes: Int, trials: Int) -> Double {
        if successes <= 0 { return 1 }
        if successes > trials { return 0 }
        if 2 * successes <= trials { return 1 - upperTail(successes: trials - successes + 1, trials: trials) }
        var sum = 0.0
        for value in stride(from: trials, through: successes, by: -1) { sum += Foundation.exp(logTerm(value, trials)) }
        return min(sum, 1)
    }

    /// `log(C(trials, value) / 2^trials)`
    private static func logTerm(_ value: Int, _ trials: Int) -> Double {
        logFactorial(trials) - logFactorial(value) - logFactorial(trials - value) - Double(trials) * Foundation.log(2)
    }

    private static func logFactorial(_ value: Int) -> Double {
        var sign: Int32 = 0
        return lgamma_r(Double(value) + 1, &sign)
    }

    /// Wilson's score interval for a share, at 95 %.
    package static func interval(right: Int, of count: Int) -> ClosedRange<Double> {
        guard count > 0 else { return 0...1 }
        let (z, n, share) = (1.959964, Double(count), Double(right) / Double(count))
        let centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        let half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
        return max(0, centre - half)...min(1, centre + half)
    }
}
