/// What a classifier's answers to labelled images are worth, answer by answer.
package struct Evaluation: Sendable, Equatable {
    /// Classes that an answer lists at least, for `top5`.
    package static let rankingLength = 5

    package private(set) var confusion: ConfusionMatrix
    package private(set) var reliability = ReliabilityDiagram()
    private var amongFirst = 0

    /// - Parameter classes: how many there are; labels and answers are their indices.
    package init(classes: Int) { confusion = ConfusionMatrix(classes: classes) }

    /// Takes an answer.
    ///
    /// - Parameters:
    ///   - label: the image's class.
    ///   - ranking: the classes in order of their scores, best first, `rankingLength` of them or all.
    ///   - confidence: the first one's probability.
    /// - Precondition: `ranking` is not empty; all are indices of classes.
    package mutating func add(label: Int, ranking: [Int], confidence: Double) {
        confusion.add(label: label, answer: ranking[0])
        reliability.add(confidence: confidence, isRight: ranking[0] == label)
        if ranking.prefix(Self.rankingLength).contains(label) { amongFirst += 1 }
    }

    /// Answers that were taken.
    package var images: Int { confusion.images }

    /// The share of images whose class came first; nil without images.
    package var top1: Double? { images == 0 ? nil : Double(confusion.right) / Double(images) }

    /// The share of images whose class was among the first five; nil without images.
    package var top5: Double? { images == 0 ? nil : Double(amongFirst) / Double(images) }
}
