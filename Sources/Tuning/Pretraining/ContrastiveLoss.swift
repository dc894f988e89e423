internal import Tensors

/// CLIP's loss over the pairs of a batch, with one addition: a caption that is true of several of the batch's pictures is a positive of each
/// of them, in equal parts, where CLIP takes the diagonal alone. With 55 kinds most short captions are true of several pictures.
///
/// N pictures and N captions, features of width P.
struct ContrastiveLoss {
    let kernels: FloatKernels
    let count: Int
    let width: Int

    struct Result {
        /// The mean of both directions.
        let loss: Double
        /// Pictures whose best caption is true of them, as a part of all.
        let accuracy: Double
        /// By the logarithm of the scale.
        let scaleGradient: Float
    }

    /// - Parameters:
    ///   - images, texts: features [N, P], not normalised.
    ///   - matches: [N, N], whether the column's caption is true of the row's picture; the diagonal is.
    ///   - scale: the factor on cosines.
    ///   - imageGradient, textGradient: [N, P], receive the gradients of `images` and `texts`.
    func evaluate(
        images: UnsafePointer<Float>, texts: UnsafePointer<Float>, matches: [Bool], scale: Float,
        imageGradient: UnsafeMutablePointer<Float>, textGradient: UnsafeMutablePointer<Float>
    ) -> Result {
        precondition(matches.count == count * count, "\(matches.count) matches for \(count) pairs")
        let (unitImages, unitTexts) = (normalized(images), normalized(texts))
        var logits = [Float](repeating: 0, count: count * count)
        BLAS.multiply(
            m: count, n: count, k: width, a: unitImages, aStride: width, transposedB: unitTexts, bStride: width, c: &logits, cStride: count)
        for index in logits.indices { logits[index] *= scale }

        var gradient = [Float](repeating: 0, count: count * count)
        let forward = kernels.crossEntropy(
            logits: logits, targets: shares(matches), rows: count, classes: count, weight: 0.5, addingGradientTo: &gradient)
        var transposedGradient = [Float](repeating: 0, count: count * count)
        let backward = kernels.crossEntropy(
            logits: transposed(logits), targets: shares(transposed(matches)), rows: count, classes: count, weight: 0.5,
            addingGradientTo: &transposedGradient)
        let other = transposed(transposedGradient)
        var scaleGradient = 0.0
        for index in gradient.indices {
            gradient[index] += other[index]
            scaleGradient += Double(gradient[index]) * Double(logits[index])
            gradient[index] *= scale
        }
        BLAS.multiply(
            m: count, n: width, k: count, a: gradient, aStride: count, b: unitTexts, bStride: width, c: imageGradient, cStride: width)
        BLAS.multiply(
            m: count, n: width, k: count, transposedA: gradient, aStride: count, b: unitImages, bStride: width, c: textGradient,
            cStride: width)
        for row in 0..<count {
            let place = row * width
            kernels.normalizeGradient(imageGradient + place, input: images + place, count: width, to: imageGradient + place)
            kernels.normalizeGradient(textGradient + place, input: texts + place, count: width, to: textGradient + place)
        }
        return Result(loss: (forward + backward) / 2, accuracy: accuracy(logits, matches), scaleGradient: Float(scaleGradient))
    }

    private func normalized(_ x: UnsafePointer<Float>) -> [Float] {
        [Float](unsafeUninitializedCapacity: count * width) { target, initialized in
            if let base = target.baseAddress {
                for row in 0..<count { kernels.normalize(x + row * width, count: width, output: base + row * width) }
            }
            initialized = count * width
        }
    }

    /// Each row's matches in equal parts.
    private func shares(_ matches: [Bool]) -> [Float] {
        (0..<count).flatMap { row in
            let part = matches[row * count..<(row + 1) * count]
            let share = 1 / Float(max(1, part.count { $0 }))
            return part.map { $0 ? share : 0 }
        }
    }

    private func transposed<Element>(_ x: [Element]) -> [Element] {
        (0..<count * count).map { x[$0 % count * count + $0 / count] }
    }

    private func accuracy(_ logits: [Float], _ matches: [Bool]) -> Double {
        let right = (0..<count).count { row in
            let best = (0..<count).max { logits[row * count + $0] < logits[row * count + $1] } ?? 0
            return matches[row * count + best]
        }
        return Double(right) / Double(max(count, 1))
    }
}
