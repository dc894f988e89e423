/// How often each class was answered for images of each class.
package struct ConfusionMatrix: Sendable, Equatable {
    /// A row a label: answers and how often they were given. Sparse, because 10,000 classes are allowed.
    private var rows: [[Int: Int]]

    package init(classes: Int) { rows = [[Int: Int]](repeating: [:], count: classes) }

    package var classes: Int { rows.count }

    /// Images of class `label` that were taken for `answer`.
    package subscript(label: Int, answer: Int) -> Int { rows[label][answer] ?? 0 }

    mutating func add(label: Int, answer: Int) { rows[label][answer, default: 0] += 1 }

    /// Images of class `label`.
    package func images(of label: Int) -> Int { rows[label].values.reduce(0, +) }

    /// The share of class `label` that was answered rightly; nil where it has no images.
    package func accuracy(of label: Int) -> Double? {
        let images = images(of: label)
        return images == 0 ? nil : Double(self[label, label]) / Double(images)
    }

    /// All images.
    package var images: Int { rows.indices.reduce(0) { $0 + images(of: $1) } }

    /// Images that were answered rightly.
    package var right: Int { rows.indices.reduce(0) { $0 + self[$1, $1] } }

    /// The answers given to images of class `label`, most frequent first, equal ones in class order.
    package func answers(to label: Int) -> [(answer: Int, images: Int)] {
        rows[label].map { (answer: $0.key, images: $0.value) }.sorted { ($1.images, $0.answer) < ($0.images, $1.answer) }
    }
}
