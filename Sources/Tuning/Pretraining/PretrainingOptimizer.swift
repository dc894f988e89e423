internal import Foundation
package import Tensors

/// AdamW over all of a model's parameters, with a bound on the gradient's norm, warmup and a cosine to 0.
///
/// Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, algorithm 2.
package struct PretrainingOptimizer: Sendable {
    package struct Settings: Sendable, Equatable {
        package var peakRate = 1.5e-3
        package var warmupSteps = 150
        package var weightDecay = 0.05
        package var beta1 = 0.9
        /// CLIP's: with small batches the last fifty steps say more than the last thousand.
        package var beta2 = 0.98
        package var epsilon = 1e-6
        package var gradientNorm = 1.0
        /// ln 100: beyond it CLIP's training has been unstable.
        package var largestLogitScale: Float = 4.6052

        package init() {}
    }

    package let settings: Settings
    package let steps: Int
    /// In the layout's order.
    package var moments: AdamMoments

    package init(_ settings: Settings, steps: Int, count: Int) {
        self.settings = settings
        self.steps = steps
        moments = AdamMoments(count: count, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon)
    }

    /// The rate of step `step`, from 0.
    package func rate(_ step: Int) -> Double {
        if step < settings.warmupSteps { return settings.peakRate * Double(step + 1) / Double(settings.warmupSteps) }
        let progress = Double(step - settings.warmupSteps) / Double(max(1, steps - settings.warmupSteps))
        return settings.peakRate * 0.5 * (1 + cos(Double.pi * min(1, progress)))
    }

    /// Moves `parameters` by `gradients`. Returns the gradient's norm before it was bounded.
    package mutating func apply(
        _ gradients: [Float], to parameters: inout [Float], layout: ParameterLayout, step: Int, pool: ThreadPool
    ) -> Double {
        let norm = gradients.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        let clip = Float(min(1, settings.gradientNorm / max(norm, 1e-12)))
        let rate = rate(step)
        let runs = layout.entries.map { entry in
            AdamMoments.Run(
                range: entry.offset..<entry.offset + entry.count, rate: rate, kept: entry.isDecayed ? 1 - rate * settings.weightDecay : 1)
        }
        moments.apply(gradients, times: clip, to: &parameters, runs: runs, step: step, pool: pool)
        let scale = layout["logit_scale"]
        parameters[scale] = min(parameters[scale], settings.largestLogitScale)
        return norm
    }
}
