package import Tensors

/// What is learned.
package struct TuningParameters: Sendable, Equatable {
    /// [contextLength, width]; empty where no prompt is learned.
    package var context: [Float]
    /// Nil where no adapter is learned.
    package var adapter: AdapterParameters?

    package init(context: [Float], adapter: AdapterParameters?) {
        self.context = context
        self.adapter = adapter
    }
}

/// One batch of cached features.
package struct TuningBatch: Sendable {
    /// [count, featureWidth], as the image tower gives them.
    package let features: [Float]
    /// [count] class indices.
    package let labels: [Int]
    /// [count, classes]: the teacher's probabilities.
    package let teacher: [Float]

    package init(features: [Float], labels: [Int], teacher: [Float]) {
        self.features = features
        self.labels = labels
        self.teacher = teacher
    }
}

/// Mean losses of a batch. Source: the paper's equations 13 to 15.
package struct TuningLosses: Sendable, Equatable, Codable {
    /// Cross entropy with the labels.
    package var classification: Double
    /// Cross entropy with the teacher's softmax.
    package var distillation: Double
}

/// The objective `classWeight * L_cls + distillationWeight * L_dist` and its gradient by all that is learned.
///
/// Student: `softmax(scale * cos(f', g_c))` with f' the adapted image features and g_c the learned prompts' text features.
package final class TuningObjective {
    private enum Text {
        case learned(PromptPass)
        /// [classes, featureWidth]
        case fixed([Float])
    }

    /// Losses and gradients of one batch, with what the adapter's quantizers would see.
    package struct Result {
        package let losses: TuningLosses
        package let gradient: TuningParameters
        /// [count, classes]
        package let logits: [Float]
        /// [classes, featureWidth], not normalised.
        package let textFeatures: [Float]
        /// [count, inner]: FC2's input; empty without an adapter.
        package let hidden: [Float]
    }

    private let text: Text
    private let scale: Float
    private let ratio: Float
    private let weights: (classification: Float, distillation: Float)
    private let kernels: FloatKernels

    /// - Parameters:
    ///   - scale: `exp(logit_scale)`
    ///   - ratio: the adapter's share, the paper's alpha.
    package init(
        prompt: PromptPass, scale: Float, ratio: Float, classWeight: Float = 1, distillationWeight: Float = 1,
        kernels: FloatKernels = FloatKernels()
    ) {
        text = .learned(prompt)
        self.scale = scale
        self.ratio = ratio
        weights = (classWeight, distillationWeight)
        self.kernels = kernels
    }

    /// The same with text features that stay as they are.
    package init(
        textFeatures: [Float], scale: Float, ratio: Float, classWeight: Float = 1, distillationWeight: Float = 1,
        kernels: FloatKernels = FloatKernels()
    ) {
        text = .fixed(textFeatures)
        self.scale = scale
        self.ratio = ratio
        weights = (classWeight, distillationWeight)
        self.kernels = kernels
    }

    /// - Parameter ranges: trains the adapter through its quantizers where given.
    package func evaluate(_ parameters: TuningParameters, _ batch: TuningBatch, ranges: AdapterRanges? = nil) -> Result {
        let textFeatures = textFeatures(parameters.context)
        let count = batch.labels.count
        let width = batch.features.count / max(count, 1)
        let classes = textFeatures.count / max(width, 1)
        let adapter = parameters.adapter.map {
            AdapterPass($0, ratio: ratio, ranges: ranges, features: batch.features, kernels: kernels)
        }
        let images = adapter?.output(batch.features) ?? batch.features
        let (imageUnits, textUnits) = (normalized(images, width), normalized(textFeatures, width))
        var logits = [Float](repeating: 0, count: count * classes)
        BLAS.multiply(
            m: count, n: classes, k: width, a: imageUnits, aStride: width, transposedB: textUnits, bStride: width, c: &logits,
            cStride: classes)
        for index in logits.indices { logits[index] *= scale }
        let (losses, byLogits) = losses(logits, batch, classes)
        var gradient = TuningParameters(context: Array(repeating: 0, count: parameters.context.count), adapter: nil)
        if let adapter {
            var byImages = [Float](repeating: 0, count: images.count)
            BLAS.multiply(
                m: count, n: width, k: classes, a: byLogits, aStride: classes, b: textUnits, bStride: width, c: &byImages, cStride: width)
            gradient.adapter = adapter.gradient(normalizedGradient(byImages, images, width))
        }
        if case .learned(let prompt) = text {
            var byText = [Float](repeating: 0, count: textFeatures.count)
            BLAS.multiply(
                m: classes, n: width, k: count, transposedA: byLogits, aStride: classes, b: imageUnits, bStride: width, c: &byText,
                cStride: width)
            prompt.backward(
                featureGradient: normalizedGradient(byText, textFeatures, width), contextGradient: &gradient.context)
        }
        return Result(
            losses: losses, gradient: gradient, logits: logits, textFeatures: textFeatures, hidden: adapter?.hidden ?? [])
    }

    /// The share of a batch that the float adapter and the prompt label rightly.
    package func accuracy(_ parameters: TuningParameters, _ batch: TuningBatch) -> Double {
        let textFeatures = textFeatures(parameters.context)
        let width = batch.features.count / max(batch.labels.count, 1)
        let adapter = parameters.adapter.map {
            AdapterPass($0, ratio: ratio, ranges: nil, features: batch.features, kernels: kernels)
        }
        let images = adapter?.output(batch.features) ?? batch.features
        let classes = textFeatures.count / max(width, 1)
        let units = normalized(textFeatures, width)
        // A class's cosines differ from these products by the image's norm alone, which changes no order.
        var scores = [Float](repeating: 0, count: batch.labels.count * classes)
        BLAS.multiply(
            m: batch.labels.count, n: classes, k: width, a: images, aStride: width, transposedB: units, bStride: width, c: &scores,
            cStride: classes)
        let right = batch.labels.indices.count { row in
            (0..<classes).max { scores[row * classes + $0] < scores[row * classes + $1] } == batch.labels[row]
        }
        return Double(right) / Double(max(batch.labels.count, 1))
    }

    /// [classes, featureWidth], not normalised.
    package func textFeatures(_ context: [Float]) -> [Float] {
        switch text {
        case .fixed(let features): return features
        case .learned(let prompt):
            var features = [Float](repeating: 0, count: prompt.classes * prompt.featureWidth)
            prompt.forward(context: context, features: &features)
            return features
        }
    }

    /// Losses, and the gradient of their weighted sum by the cosines.
    private func losses(_ logits: [Float], _ batch: TuningBatch, _ classes: Int) -> (TuningLosses, [Float]) {
        var gradient = [Float](repeating: 0, count: logits.count)
        var targets = [Float](repeating: 0, count: logits.count)
        for (row, label) in batch.labels.enumerated() { targets[row * classes + label] = 1 }
        func loss(_ targets: [Float], _ weight: Float) -> Double {
            kernels.crossEntropy(
                logits: logits, targets: targets, rows: batch.labels.count, classes: classes, weight: weight, addingGradientTo: &gradient)
        }
        let losses = TuningLosses(
            classification: loss(targets, weights.classification), distillation: loss(batch.teacher, weights.distillation))
        for index in gradient.indices { gradient[index] *= scale }
        return (losses, gradient)
    }

    private func normalized(_ x: [Float], _ width: Int) -> [Float] {
        var units = x
        units.withUnsafeMutableBufferPointer { units in
            guard let base = units.baseAddress else { return }
            for start in stride(from: 0, to: units.count, by: max(width, 1)) {
                kernels.normalize(base + start, count: width, output: base + start)
            }
        }
        return units
    }

    private func normalizedGradient(_ gradient: [Float], _ x: [Float], _ width: Int) -> [Float] {
        var result = gradient
        result.withUnsafeMutableBufferPointer { result in
            x.withUnsafeBufferPointer { x in
                guard let base = result.baseAddress, let x = x.baseAddress else { return }
                for start in stride(from: 0, to: result.count, by: max(width, 1)) {
                    kernels.normalizeGradient(base + start, input: x + start, count: width, to: base + start)
                }
            }
        }
        return result
    }
}
