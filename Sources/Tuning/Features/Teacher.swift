package import CLIP
package import Tensors

/// The full-precision model that teaches: its probabilities for the classes, by ensembled templates. Source: the method's section 5.
package struct Teacher: Sendable {
    /// [classes, featureWidth], each of unit norm.
    private let textFeatures: FloatTensor
    private let scale: Float
    private let kernels: FloatKernels

    package init(
        _ model: CLIPModel, _ classSet: ClassSet, pool: ThreadPool, truncating: Bool = false, kernels: FloatKernels = FloatKernels()
    ) throws {
        guard let text = model.text else { throw TuningError.teacherMismatch(reason: "\(model.name) has no text tower") }
        textFeatures = try text.compute(for: classSet, pool: pool, truncating: truncating)
        scale = model.scale
        self.kernels = kernels
    }

    /// Probabilities [rows, classes] of image features [rows, featureWidth].
    package func probabilities(_ features: [Float], pool: ThreadPool) -> [Float] {
        let (classes, width) = (textFeatures.shape[0], textFeatures.shape[1])
        let rows = features.count / width
        return [Float](unsafeUninitializedCapacity: rows * classes) { result, count in
            nonisolated(unsafe) let target = result
            features.withUnsafeBufferPointer { features in
                textFeatures.withUnsafeBufferPointer { matrix in
                    guard let features = features.baseAddress, let matrix = matrix.baseAddress, let target = target.baseAddress else {
                        return
                    }
                    pool.forEachRange(rows) { range in
                        var unit = [Float](repeating: 0, count: width)
                        for row in range {
                            kernels.normalize(features + row * width, count: width, output: &unit)
                            kernels.dotRows(
                                unit, matrix: matrix, stride: width, rows: classes, width: width, output: target + row * classes)
                        }
                        kernels.softmax(
                            target + range.lowerBound * classes, stride: classes, scale: scale, rows: range.count, width: classes)
                    }
                }
            }
            count = rows * classes
        }
    }
}
