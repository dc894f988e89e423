internal import Foundation
internal import Tensors

/// Adam over one run of parameters: running means of gradients and of their squares, with decoupled weight decay.
///
/// Source: Kingma and Ba, Adam (2015), algorithm 1; Loshchilov and Hutter, Decoupled weight decay regularization (2019), algorithm 2.
package struct AdamMoments: Sendable {
    /// Parameters that move at one rate and of which each step keeps a share.
    struct Run {
        let range: Range<Int>
        let rate: Double
        var kept = 1.0
    }

    package var first: [Float]
    package var second: [Float]
    private let beta1: Double
    private let beta2: Double
    private let epsilon: Double

    package init(count: Int, beta1: Double, beta2: Double, epsilon: Double) {
        first = [Float](repeating: 0, count: count)
        second = first
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
    }

    /// Moves `parameters` by `factor` times `gradients`; `step` counts from 0.
    ///
    /// - Precondition: no two runs overlap.
    mutating func apply(
        _ gradients: [Float], times factor: Float = 1, to parameters: inout [Float], runs: [Run], step: Int, pool: ThreadPool
    ) {
        let (beta1, beta2, epsilon) = (Float(beta1), Float(beta2), Float(epsilon))
        let correction = 1 - pow(self.beta1, Double(step + 1))
        let root = Float(1 / (1 - pow(self.beta2, Double(step + 1))).squareRoot())
        gradients.withUnsafeBufferPointer { g in
            parameters.withUnsafeMutableBufferPointer { p in
                first.withUnsafeMutableBufferPointer { m in
                    second.withUnsafeMutableBufferPointer { v in
                        // Safe: each run is one call's.
                        nonisolated(unsafe) let (p, m, v) = (p, m, v)
                        pool.forEach(runs.count) { index in
                            let (size, kept) = (Float(runs[index].rate / correction), Float(runs[index].kept))
                            for i in runs[index].range {
                                let gradient = g[i] * factor
                                m[i] = m[i] * beta1 + gradient * (1 - beta1)
                                v[i] = v[i] * beta2 + gradient * gradient * (1 - beta2)
                                p[i] = p[i] * kept - size * m[i] / (v[i].squareRoot() * root + epsilon)
                            }
                        }
                    }
                }
            }
        }
    }
}
