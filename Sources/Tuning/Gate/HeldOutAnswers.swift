internal import Foundation
package import Tensors

/// What stands behind the image tower when held-out examples are scored: an adapter or none, and text features.
package struct ScoringHead: Sendable {
    package let adapter: QuantizedAdapter?
    /// [classes, width], each of unit norm.
    package let textFeatures: FloatTensor
    /// `exp(logit_scale)`, not yet divided by a temperature.
    package let scale: Float

    package init(adapter: QuantizedAdapter?, textFeatures: FloatTensor, scale: Float) {
        self.adapter = adapter
        self.textFeatures = textFeatures
        self.scale = scale
    }

    /// Logits [count, classes] of image features [count, width], by the same integer adapter and cosines that workers answer with.
    package func logits(_ features: [Float]) -> [Float] {
        let (classes, width) = (textFeatures.shape[0], textFeatures.shape[1])
        let count = features.count / width
        var adapted = features
        let workspace = Workspace()
        adapted.withUnsafeMutableBufferPointer { adapter?.apply(to: $0, count: count, workspace: workspace) }
        let kernels = FloatKernels()
        var unit = [Float](repeating: 0, count: width)
        var logits = [Float](repeating: 0, count: count * classes)
        logits.withUnsafeMutableBufferPointer { logits in
            adapted.withUnsafeBufferPointer { adapted in
                textFeatures.withUnsafeBufferPointer { matrix in
                    guard let adapted = adapted.baseAddress, let matrix = matrix.baseAddress, let logits = logits.baseAddress else {
                        return
                    }
                    for row in 0..<count {
                        kernels.normalize(adapted + row * width, count: width, output: &unit)
                        kernels.dotRows(
                            unit, matrix: matrix, stride: width, rows: classes, width: width, output: logits + row * classes)
                    }
                }
            }
        }
        return logits.map { $0 * scale }
    }
}

/// A head's answers to labelled examples.
package struct HeldOutAnswers: Sendable, Equatable {
    package let classes: Int
    package let labels: [Int]
    /// The most probable class of each; the first of equal ones, as workers answer.
    package let answers: [Int]
    /// The answer's probability at `temperature`.
    package let confidences: [Double]
    package let temperature: Double

    /// - Parameter logits: [examples, classes]
    package init(logits: [Float], labels: [Int], classes: Int, temperature: Double = 1) {
        precondition(logits.count == labels.count * classes, "\(logits.count) logits for \(labels.count) examples")
        self.classes = classes
        self.labels = labels
        self.temperature = temperature
        var (answers, confidences): ([Int], [Double]) = ([], [])
        for row in labels.indices {
            let line = logits[row * classes..<(row + 1) * classes]
            var best = line.startIndex
            for index in line.indices where line[index] > line[best] { best = index }
            let top = Double(line[best])
            answers.append(best - line.startIndex)
            confidences.append(1 / line.reduce(0) { $0 + Foundation.exp((Double($1) - top) / temperature) })
        }
        self.answers = answers
        self.confidences = confidences
    }

    package func isRight(_ index: Int) -> Bool { answers[index] == labels[index] }

    package var right: Int { labels.indices.count(where: isRight) }

    /// Nil without examples.
    package var accuracy: Double? { labels.isEmpty ? nil : Double(right) / Double(labels.count) }

    /// How often each class was answered, and how sure of it.
    package var evaluation: Evaluation {
        var evaluation = Evaluation(classes: classes)
        for index in labels.indices { evaluation.add(label: labels[index], ranking: [answers[index]], confidence: confidences[index]) }
        return evaluation
    }

    /// Nil without examples.
    package var expectedCalibrationError: Double? { evaluation.reliability.expectedCalibrationError }
}
