/// Answers sorted by how sure the model was of them, in bins of equal width; where accuracy and confidence differ, the model is miscalibrated.
///
/// Source: Guo et al., On Calibration of Modern Neural Networks (2017), equations 2 and 3: bin m of M holds confidences in `((m - 1) / M, m / M]`,
/// and the expected calibration error is `sum_m |B_m| / n * |accuracy(B_m) - confidence(B_m)|`.
package struct ReliabilityDiagram: Sendable, Equatable {
    /// As many as the paper uses.
    package static let binCount = 15

    /// The answers of one bin.
    package struct Bin: Sendable, Equatable {
        package fileprivate(set) var images = 0
        package fileprivate(set) var right = 0
        fileprivate var confidences = 0.0

        /// The share that was right; nil where the bin is empty.
        package var accuracy: Double? { images == 0 ? nil : Double(right) / Double(images) }
        /// Mean probability of the answers; nil where the bin is empty.
        package var confidence: Double? { images == 0 ? nil : confidences / Double(images) }
    }

    /// Least confidence first.
    package private(set) var bins = [Bin](repeating: Bin(), count: binCount)

    package init() {}

    /// - Parameter confidence: the answer's probability; what is not between 0 and 1 counts as the nearer of them, NaN as 0.
    mutating func add(confidence: Double, isRight: Bool) {
        let confidence = confidence >= 0 ? min(confidence, 1) : 0
        let place = max(Int((confidence * Double(Self.binCount)).rounded(.up)) - 1, 0)
        bins[place].images += 1
        bins[place].right += isRight ? 1 : 0
        bins[place].confidences += confidence
    }

    /// Nil without answers.
    package var expectedCalibrationError: Double? {
        let images = bins.reduce(0) { $0 + $1.images }
        guard images > 0 else { return nil }
        return bins.reduce(0) { $0 + abs(Double($1.right) - $1.confidences) } / Double(images)
    }
}
