package import Tensors

/// One class of an answer.
package struct ScoredClass: Sendable, Equatable {
    package let index: Int
    package let probability: Float
    package let cosine: Float
}

/// An answer: the most probable classes, best first, and whether the first is too improbable to be one.
package struct Classification: Sendable, Equatable {
    package let predictions: [ScoredClass]
    package let isUnknown: Bool
}

/// Scores image features against a class set's text features: `softmax(exp(logit_scale) * cos(f, g_c))`.
package struct ZeroShotClassifier: Sendable {
    package let classSet: ClassSet
    /// [classes, width], each of unit norm.
    package let textFeatures: FloatTensor
    /// `exp(logit_scale)`
    package let scale: Float
    /// Below it the answer is unknown, for classes without a threshold of their own.
    private let threshold: Float
    private let kernels: FloatKernels

    /// - Parameter unknownThreshold: in place of the class set's own.
    package init(
        classSet: ClassSet, textFeatures: FloatTensor, scale: Float, unknownThreshold: Float? = nil, kernels: FloatKernels = FloatKernels()
    ) {
        precondition(
            textFeatures.shape.count == 2 && textFeatures.shape[0] == classSet.classes.count,
            "text features \(textFeatures.shape) for \(classSet.classes.count) classes")
        self.classSet = classSet
        self.textFeatures = textFeatures
        self.scale = scale
        threshold = unknownThreshold ?? classSet.threshold
        self.kernels = kernels
    }

    /// The answer for one projected image feature [width], of any norm.
    ///
    /// - Parameter topK: how many classes the answer lists; the class set's own number where nil.
    package func classify(_ feature: UnsafeBufferPointer<Float>, topK: Int? = nil) -> Classification {
        let (classes, width) = (textFeatures.shape[0], textFeatures.shape[1])
        precondition(feature.count == width, "a feature of \(feature.count) for text features \(textFeatures.shape)")
        let unit = [Float](unsafeUninitializedCapacity: width) { buffer, count in
            if let source = feature.baseAddress, let target = buffer.baseAddress { kernels.normalize(source, count: width, output: target) }
            count = width
        }
        let cosines = [Float](unsafeUninitializedCapacity: classes) { buffer, count in
            textFeatures.withUnsafeBufferPointer { matrix in
                guard let matrix = matrix.baseAddress, let target = buffer.baseAddress else { return }
                kernels.dotRows(unit, matrix: matrix, stride: width, rows: classes, width: width, output: target)
            }
            count = classes
        }
        var probabilities = cosines
        kernels.softmax(&probabilities, stride: classes, scale: scale, rows: 1, width: classes)
        let best = Self.best(cosines, count: min(max(topK ?? classSet.topK, 1), classes))
        let predictions = best.map { ScoredClass(index: $0, probability: probabilities[$0], cosine: cosines[$0]) }
        return Classification(predictions: predictions, isUnknown: predictions.first.map(isBelowThreshold) ?? true)
    }

    private func isBelowThreshold(_ first: ScoredClass) -> Bool {
        !(first.probability >= classSet.classes[first.index].threshold ?? threshold)
    }

    /// Indices of the `count` largest scores, best first; equal scores in index order.
    private static func best(_ scores: [Float], count: Int) -> [Int] {
        var heap: [Int] = []
        heap.reserveCapacity(count + 1)
        for index in scores.indices {
            if heap.count == count, let last = heap.last, !(scores[index] > scores[last]) { continue }
            var place = heap.count
            while place > 0 && scores[index] > scores[heap[place - 1]] { place -= 1 }
            heap.insert(index, at: place)
            if heap.count > count { heap.removeLast() }
        }
        return heap
    }
}
