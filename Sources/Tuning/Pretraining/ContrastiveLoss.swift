internal import Tensors

/// CLIP's loss over the pictures and captions of a batch, with one addition: a caption that is true of several of the batch's pictures is a
/// positive of each of them, in equal parts, where CLIP takes the diagonal alone; and so for a picture with several true captions. With 55
/// kinds most short captions are true of several pictures.
///
/// N pictures and M captions, features of width P.
struct ContrastiveLoss {
    let kernels: FloatKernels
    let pictures: Int
    let captions: Int
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
    ///   - images, texts: features [N, P] and [M, P], not normalised.
    ///   - matches: [N, M], whether the column's caption is true of the row's picture.
    ///   - scale: the factor on cosines.
    ///   - imageGradient, textGradient: [N, P] and [M, P], receive the gradients of `images` and `texts`.
    func evaluate(
        images: UnsafePointer<Float>, texts: UnsafePointer<Float>, matches: [Bool], scale: Float,
        imageGradient: UnsafeMutablePointer<Float>, textGradient: UnsafeMutablePointer<Float>
    ) -> Result {
        precondition(matches.count == pictures * captions, "\(matches.count) matches for \(pictures) pictures and \(captions) captions")
        let (unitImages, unitTexts) = (normalized(images, pictures), normalized(texts, captions))
        var logits = [Float](repeating: 0, count: pictures * captions)
        BLAS.multiply(
            m: pictures, n: captions, k: width, a: unitImages, aStride: width, transposedB: unitTexts, bStride: width, c: &logits,
            cStride: captions)
        for index in logits.indices { logits[index] *= scale }

        var gradient = [Float](repeating: 0, count: pictures * captions)
        let forward = kernels.crossEntropy(
            logits: logits, targets: shares(matches, rows: pictures), rows: pictures, classes: captions, weight: 0.5,
            addingGradientTo: &gradient)
        var transposedGradient = gradient.map { _ in Float(0) }
        let backward = kernels.crossEntropy(
            logits: transposed(logits, rows: pictures), targets: shares(transposed(matches, rows: pictures), rows: captions),
            rows: captions,
            classes: pictures, weight: 0.5, addingGradientTo: &transposedGradient)
        let other = transposed(transposedGradient, rows: captions)
        var scaleGradient = 0.0
        for index in gradient.indices {
            gradient[index] += other[index]
            scaleGradient += Double(gradient[index]) * Double(logits[index])
            gradient[index] *= scale
        }
        BLAS.multiply(
            m: pictures, n: width, k: captions, a: gradient, aStride: captions, b: unitTexts, bStride: width, c: imageGradient,
            cStride: width)
        BLAS.multiply(
            m: captions, n: width, k: pictures, transposedA: gradient, aStride: captions, b: unitImages, bStride: width, c: textGradient,
            cStride: width)
        for (gradient, input, count) in [(imageGradient, images, pictures), (textGradient, texts, captions)] {
            for place in stride(from: 0, to: count * width, by: width) {
                kernels.normalizeGradient(gradient + place, input: input + place, count: width, to: gradient + place)
            }
        }
        return Result(loss: (forward + backward) / 2, accuracy: accuracy(logits, matches), scaleGradient: Float(scaleGradient))
    }

    private func normalized(_ x: UnsafePointer<Float>, _ count: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count * width) { target, initialized in
            if let base = target.baseAddress {
                for row in 0..<count { kernels.normalize(x + row * width, count: width, output: base + row * width) }
            }
            initialized = count * width
        }
    }

    /// Each row's matches in equal parts.
    private func shares(_ matches: [Bool], rows: Int) -> [Float] {
        let columns = matches.count / rows
        return (0..<rows).flatMap { row in
            let part = matches[row * columns..<(row + 1) * columns]
            let share = 1 / Float(max(1, part.count { $0 }))
            return part.map { $0 ? share : 0 }
        }
    }

    private func transposed<Element>(_ x: [Element], rows: Int) -> [Element] {
        let columns = x.count / rows
        return (0..<x.count).map { x[$0 % rows * columns + $0 / rows] }
    }

    private func accuracy(_ logits: [Float], _ matches: [Bool]) -> Double {
        let right = (0..<pictures).count { row in
            let best = (0..<captions).max { logits[row * captions + $0] < logits[row * captions + $1] } ?? 0
            return matches[row * captions + best]
        }
        return Double(right) / Double(max(pictures, 1))
    }
}
