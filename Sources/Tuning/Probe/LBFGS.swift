/// Limited-memory BFGS for smooth convex functions, with a line search that ends at the weak Wolfe conditions.
///
/// Source: Nocedal and Wright, Numerical optimization (2006), algorithm 7.4; the line search is Lewis and Overton's (2013).
package struct LBFGS: Sendable {
    /// Pairs that are remembered.
    package var memory = 10
    package var maximumIterations = 200
    /// The search ends when the gradient's largest element is no greater.
    package var tolerance: Float = 1e-5

    package init() {}

    /// The value at a point, and the gradient there.
    package typealias Objective = (_ x: [Float]) -> (value: Double, gradient: [Float])

    private static let (sufficientDecrease, curvature) = (1e-4, 0.9)
    private static let lineSearchLimit = 30

    private struct Pair {
        let step: [Float]
        let change: [Float]
        let curvature: Double
    }

    /// Minimises `objective`, beginning at `x`.
    package func minimize(from x: [Float], _ objective: Objective) -> [Float] {
        var x = x
        var (value, gradient) = objective(x)
        var pairs: [Pair] = []
        for _ in 0..<maximumIterations {
            if gradient.allSatisfy({ abs($0) <= tolerance }) { break }
            var direction = self.direction(gradient, pairs)
            if Self.dot(direction, gradient) >= 0 { direction = gradient.map { -$0 } }
            // Without curvature known, a step of the gradient's length has no meaning: begin with one of length 1.
            let first = pairs.isEmpty ? 1 / max(1, Self.dot(gradient, gradient).squareRoot()) : 1
            guard let found = search(from: x, value, gradient, direction, first, objective) else { break }
            let step = zip(found.x, x).map { $0 - $1 }
            let change = zip(found.gradient, gradient).map { $0 - $1 }
            let product = Self.dot(step, change)
            if product > 1e-12 { pairs.append(Pair(step: step, change: change, curvature: product)) }
            if pairs.count > memory { pairs.removeFirst() }
            let gain = value - found.value
            (x, value, gradient) = (found.x, found.value, found.gradient)
            if gain <= 1e-9 * max(1, abs(value)) { break }
        }
        return x
    }

    /// The two-loop recursion: minus the inverse Hessian's estimate times the gradient.
    private func direction(_ gradient: [Float], _ pairs: [Pair]) -> [Float] {
        var q = gradient
        var shares: [Double] = []
        for pair in pairs.reversed() {
            let share = Self.dot(pair.step, q) / pair.curvature
            shares.append(share)
            for index in q.indices { q[index] -= Float(share) * pair.change[index] }
        }
        if let last = pairs.last {
            let scale = Float(last.curvature / Self.dot(last.change, last.change))
            for index in q.indices { q[index] *= scale }
        }
        for (pair, share) in zip(pairs, shares.reversed()) {
            let rest = Float(share - Self.dot(pair.change, q) / pair.curvature)
            for index in q.indices { q[index] += rest * pair.step[index] }
        }
        return q.map { -$0 }
    }

    private func search(
        from x: [Float], _ value: Double, _ gradient: [Float], _ direction: [Float], _ first: Double, _ objective: Objective
    ) -> (x: [Float], value: Double, gradient: [Float])? {
        let slope = Self.dot(gradient, direction)
        var (low, high, size) = (0.0, Double.infinity, first)
        var best: (x: [Float], value: Double, gradient: [Float])?
        for _ in 0..<Self.lineSearchLimit {
            let place = zip(x, direction).map { $0 + Float(size) * $1 }
            let there = objective(place)
            if !(there.value <= value + Self.sufficientDecrease * size * slope) {
                high = size
            } else {
                best = (place, there.value, there.gradient)
                if Self.dot(there.gradient, direction) >= Self.curvature * slope { return best }
                low = size
            }
            size = high.isFinite ? (low + high) / 2 : 2 * size
        }
        return best
    }

    private static func dot(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
}
