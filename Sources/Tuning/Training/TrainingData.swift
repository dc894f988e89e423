/// Labelled images as their frozen towers see them.
package struct TrainingData: Sendable {
    /// Views of an image: as it is, and mirrored.
    package let views: Int
    package let featureWidth: Int
    package let classes: Int
    /// [images, views, featureWidth]: the student's image tower.
    package let features: [Float]
    /// [images, views, classes]: the teacher's probabilities.
    package let teacher: [Float]
    /// [images]
    package let labels: [Int]
    /// Equal only for equal data: a hash, hex.
    package let sha256: String

    package init(
        views: Int, featureWidth: Int, classes: Int, features: [Float], teacher: [Float], labels: [Int], sha256: String
    ) {
        precondition(features.count == labels.count * views * featureWidth, "\(features.count) floats for \(labels.count) images")
        precondition(teacher.count == labels.count * views * classes, "\(teacher.count) probabilities for \(labels.count) images")
        self.views = views
        self.featureWidth = featureWidth
        self.classes = classes
        self.features = features
        self.teacher = teacher
        self.labels = labels
        self.sha256 = sha256
    }

    package var count: Int { labels.count }

    /// Some images, each in one of its views.
    func batch(_ images: [(image: Int, view: Int)]) -> TuningBatch {
        var (features, teacher): ([Float], [Float]) = ([], [])
        features.reserveCapacity(images.count * featureWidth)
        teacher.reserveCapacity(images.count * classes)
        for (image, view) in images {
            let index = image * views + view
            features += self.features[index * featureWidth..<(index + 1) * featureWidth]
            teacher += self.teacher[index * classes..<(index + 1) * classes]
        }
        return TuningBatch(features: features, labels: images.map { labels[$0.image] }, teacher: teacher)
    }
}
