package import CLIP
internal import Foundation
package import Tensors

/// A data set as a frozen image tower sees it.
package struct LabelledFeatures: Sendable {
    /// [labels.count, width], as projected, of any norm.
    package let features: [Float]
    package let labels: [Int]
    /// Equal only for equal images and labels: a hash, hex.
    package let sha256: String

    package var width: Int { labels.isEmpty ? 0 : features.count / labels.count }

    /// - Precondition: `features` holds equally many floats for every label.
    package init(features: [Float], labels: [Int], sha256: String) {
        precondition(labels.isEmpty || features.count % labels.count == 0, "\(features.count) floats for \(labels.count) images")
        self.features = features
        self.labels = labels
        self.sha256 = sha256
    }

    /// The features with an adapter applied.
    package func adapted(by adapter: QuantizedAdapter?, instructionSet: InstructionSet = .best) -> LabelledFeatures {
        guard let adapter else { return self }
        var features = features
        let workspace = Workspace()
        features.withUnsafeMutableBufferPointer {
            adapter.apply(to: $0, count: labels.count, gemm: IntegerGEMM(instructionSet), workspace: workspace)
        }
        return LabelledFeatures(features: features, labels: labels, sha256: sha256)
    }

    /// How a classifier that compares features with texts does on them.
    package func evaluate(_ classifier: ZeroShotClassifier) -> Evaluation {
        var evaluation = Evaluation(classes: classifier.classSet.classes.count)
        features.withUnsafeBufferPointer { features in
            for (index, label) in labels.enumerated() {
                let row = UnsafeBufferPointer(rebasing: features[index * width..<(index + 1) * width])
                let predictions = classifier.classify(row, topK: Evaluation.rankingLength).predictions
                guard let first = predictions.first else { continue }
                evaluation.add(label: label, ranking: predictions.map(\.index), confidence: Double(first.probability))
            }
        }
        return evaluation
    }

    /// How a linear probe does on them.
    package func evaluate(_ probe: LinearProbe) -> Evaluation {
        var evaluation = Evaluation(classes: probe.classes)
        for (index, label) in labels.enumerated() {
            let scores = probe.scores(features[index * width..<(index + 1) * width])
            let ranking = scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }
            guard let first = ranking.first else { continue }
            let total = scores.reduce(0) { $0 + exp(Double($1 - scores[first])) }
            evaluation.add(label: label, ranking: ranking, confidence: 1 / total)
        }
        return evaluation
    }

    /// Cosines of each class's mean unit feature with every class's text feature, [classes][classes]; a row of zeros for a class without
    /// images. Source: the paper's figure 1.
    package func similarities(_ classifier: ZeroShotClassifier) -> [[Float]] {
        let classes = classifier.classSet.classes.count
        var means = [[Float]](repeating: [Float](repeating: 0, count: width), count: classes)
        for (index, label) in labels.enumerated() {
            let unit = Self.unit(Array(features[index * width..<(index + 1) * width]))
            for place in 0..<width { means[label][place] += unit[place] }
        }
        return classifier.textFeatures.withUnsafeBufferPointer { texts in
            means.map { mean in
                let unit = Self.unit(mean)
                return (0..<classes).map { text in
                    (0..<width).reduce(Float(0)) { $0 + unit[$1] * texts[text * width + $1] }
                }
            }
        }
    }

    private static func unit(_ values: [Float]) -> [Float] {
        let norm = values.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
        return norm > 0 ? values.map { $0 / norm } : values
    }
}

/// How values are distributed: counts in bins of equal width.
package struct Histogram: Sendable, Equatable, Codable {
    package let low: Float
    package let high: Float
    /// Values outside count in the bins at the ends.
    package let counts: [Int]

    package init(_ values: some Swift.Sequence<Float>, low: Float, high: Float, bins: Int) {
        var counts = [Int](repeating: 0, count: bins)
        for value in values where value.isFinite {
            counts[min(bins - 1, max(0, Int((value - low) / (high - low) * Float(bins))))] += 1
        }
        (self.low, self.high, self.counts) = (low, high, counts)
    }
}
