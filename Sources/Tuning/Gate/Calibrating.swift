internal import Foundation

/// What makes a release's probabilities mean something, fitted on held-out examples.
package enum Calibrating {
    /// Temperatures that are looked at; beyond them probabilities are all alike or all 0 and 1.
    package static let range = 0.05...20.0

    /// Mean negative log-likelihood of the labels at a temperature.
    package static func negativeLogLikelihood(_ logits: [Float], labels: [Int], classes: Int, temperature: Double) -> Double {
        var sum = 0.0
        for (row, label) in labels.enumerated() {
            let line = logits[row * classes..<(row + 1) * classes]
            let top = Double(line.max() ?? 0)
            let total = line.reduce(0) { $0 + Foundation.exp((Double($1) - top) / temperature) }
            sum += Foundation.log(total) - (Double(line[line.startIndex + label]) - top) / temperature
        }
        return sum / Double(max(labels.count, 1))
    }

    /// The temperature that makes the labels most likely, by golden section over its logarithm: the likelihood is convex in the temperature's
    /// inverse, so that there is one minimum. 1 without examples. Source: Guo et al., On Calibration of Modern Neural Networks (2017), 4.2.
    package static func temperature(_ logits: [Float], labels: [Int], classes: Int) -> Double {
        guard !labels.isEmpty else { return 1 }
        func loss(_ logarithm: Double) -> Double {
            negativeLogLikelihood(logits, labels: labels, classes: classes, temperature: Foundation.exp(logarithm))
        }
        let ratio = (5.0.squareRoot() - 1) / 2
        var (low, high) = (Foundation.log(range.lowerBound), Foundation.log(range.upperBound))
        var (left, right) = (high - ratio * (high - low), low + ratio * (high - low))
        var (leftLoss, rightLoss) = (loss(left), loss(right))
        while high - low > 1e-5 {
            if leftLoss <= rightLoss {
                (high, right, rightLoss) = (right, left, leftLoss)
                left = high - ratio * (high - low)
                leftLoss = loss(left)
            } else {
                (low, left, leftLoss) = (left, right, rightLoss)
                right = low + ratio * (high - low)
                rightLoss = loss(right)
            }
        }
        return Foundation.exp((low + high) / 2)
    }

    /// The least confidence from which on answers are right as often as `precision` asks, so that as few as possible become unknown; nil where
    /// no confidence is enough.
    package static func unknownThreshold(_ answers: HeldOutAnswers, precision: Double) -> Double? {
        let order = answers.labels.indices.sorted { answers.confidences[$0] > answers.confidences[$1] }
        var (right, found) = (0, Double?.none)
        for (place, index) in order.enumerated() {
            right += answers.isRight(index) ? 1 : 0
            // Equal confidences stay together.
            if place + 1 < order.count, answers.confidences[order[place + 1]] == answers.confidences[index] { continue }
            if Double(right) >= precision * Double(place + 1) { found = answers.confidences[index] }
        }
        return found
    }
}
