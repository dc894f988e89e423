internal import Foundation

/// A learning rate that falls from `start` to `end` along half a cosine.
package struct CosineSchedule: Sendable, Equatable {
    package let start: Double
    package let end: Double
    package let steps: Int

    package init(start: Double, end: Double, steps: Int) {
        self.start = start
        self.end = end
        self.steps = steps
    }

    /// The rate of step `step`, counted from 0.
    package func rate(_ step: Int) -> Double {
        end + (start - end) * (1 + cos(Double.pi * Double(step) / Double(max(steps, 1)))) / 2
    }
}

/// AdamW for the adapter. Source: Loshchilov and Hutter, Decoupled weight decay regularization (2019).
package struct AdamW: Sendable, Equatable {
    package static let defaultEpsilon: Float = 1e-4
    package static let defaultDecay: Float = 0.01
    private static let (beta1, beta2): (Float, Float) = (0.9, 0.999)

    package var epsilon = Self.defaultEpsilon
    package var decay = Self.defaultDecay
    /// Moving averages of the gradients and of their squares.
    package internal(set) var moments: (first: AdapterParameters, second: AdapterParameters)
    /// Steps taken.
    package internal(set) var steps = 0

    package init(width: Int) { moments = (AdapterParameters(zeros: width), AdapterParameters(zeros: width)) }

    /// Takes one step.
    package mutating func step(_ parameters: inout AdapterParameters, gradient: AdapterParameters, rate: Double) {
        steps += 1
        let corrections = (1 - pow(Double(Self.beta1), Double(steps)), 1 - pow(Double(Self.beta2), Double(steps)))
        let (size, root) = (Float(rate / corrections.0), Float(corrections.1.squareRoot()))
        let shrink = Float(1 - rate * Double(decay))
        for (_, path) in AdapterParameters.tensors {
            Self.update(
                &parameters[keyPath: path], gradient[keyPath: path], &moments.first[keyPath: path], &moments.second[keyPath: path], size,
                root, shrink, epsilon)
        }
    }

    private static func update(
        _ x: inout [Float], _ gradient: [Float], _ first: inout [Float], _ second: inout [Float], _ size: Float, _ root: Float,
        _ shrink: Float, _ epsilon: Float
    ) {
        for index in x.indices {
            let g = gradient[index]
            first[index] = beta1 * first[index] + (1 - beta1) * g
            second[index] = beta2 * second[index] + (1 - beta2) * g * g
            x[index] = x[index] * shrink - size * first[index] / (second[index].squareRoot() / root + epsilon)
        }
    }

    package static func == (a: AdamW, b: AdamW) -> Bool {
        a.epsilon == b.epsilon && a.decay == b.decay && a.steps == b.steps && a.moments.first == b.moments.first
            && a.moments.second == b.moments.second
    }
}
