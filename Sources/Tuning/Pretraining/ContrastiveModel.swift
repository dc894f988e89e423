package import CLIP
package import Tensors

/// Pictures and captions for one step.
package struct ContrastiveBatch: Sendable {
    /// [count, side, side, 3]
    package var crops: [UInt8]
    /// Tokens, start and end included.
    package var prompts: [[Int32]]
    /// [pictures, prompts], whether the column's caption is true of the row's picture; every row and every column has one that is.
    package var matches: [Bool]

    package init(crops: [UInt8], prompts: [[Int32]], matches: [Bool]) {
        self.crops = crops
        self.prompts = prompts
        self.matches = matches
    }
}

/// A CLIP whose every weight learns: parameters, and the loss and gradients of a batch.
package final class ContrastiveModel {
    package let configuration: CLIPConfiguration
    package let layout: ParameterLayout
    /// In the layout's order.
    package var parameters: [Float]
    /// Of the last batch, summed over the lanes.
    package private(set) var gradients: [Float]
    private let kernels: FloatKernels
    private let lanes: [TrainingLane]

    /// What a batch cost and how well it went.
    package struct Evaluation: Sendable {
        package let loss: Double
        package let accuracy: Double
    }

    /// - Parameters:
    ///   - parameters: in the layout's order.
    ///   - lanes: parts that a batch is cut into. The gradients' last bits depend on it, and not on how many threads take the parts.
    package init(
        _ configuration: CLIPConfiguration, parameters: [Float], normalization: [Float], lanes: Int, kernels: FloatKernels = FloatKernels()
    ) {
        self.configuration = configuration
        layout = ParameterLayout(configuration)
        precondition(parameters.count == layout.count, "\(parameters.count) parameters for a model of \(layout.count)")
        self.parameters = parameters
        self.kernels = kernels
        gradients = [Float](repeating: 0, count: layout.count)
        self.lanes = (0..<lanes).map { [layout] _ in TrainingLane(configuration, layout, normalization: normalization, kernels: kernels) }
    }

    /// The factor on cosines.
    private var scale: Float {
        var scale: Float = 0
        kernels.exp([parameters[layout["logit_scale"]]], count: 1, output: &scale)
        return scale
    }

    /// The loss of `batch`; `gradients` afterwards are those of all parameters.
    package func evaluate(_ batch: ContrastiveBatch, pool: ThreadPool) -> Evaluation {
        let width = configuration.projectionWidth
        let bytes = configuration.imageSide * configuration.imageSide * 3
        let (pictures, captions) = (batch.crops.count / bytes, batch.prompts.count)
        precondition(batch.crops.count == pictures * bytes, "\(batch.crops.count) bytes are not whole pictures of \(bytes)")
        var (images, texts) = ([Float](repeating: 0, count: pictures * width), [Float](repeating: 0, count: captions * width))
        var (imageGradient, textGradient) = (images, texts)
        // Safe: each lane is taken by one thread at a time and writes rows of its own.
        nonisolated(unsafe) let lanes = lanes
        func shares(_ count: Int) -> [Range<Int>] { lanes.indices.map { count * $0 / lanes.count..<count * ($0 + 1) / lanes.count } }
        let (imageShares, textShares) = (shares(pictures), shares(captions))
        parameters.withUnsafeBufferPointer { parameters in
            guard let parameters = parameters.baseAddress else { return }
            batch.crops.withUnsafeBufferPointer { crops in
                images.withUnsafeMutableBufferPointer { images in
                    texts.withUnsafeMutableBufferPointer { texts in
                        guard let crops = crops.baseAddress, let images = images.baseAddress, let texts = texts.baseAddress else { return }
                        pool.forEach(lanes.count) { lane in
                            let (share, textShare) = (imageShares[lane], textShares[lane])
                            lanes[lane].encodeImages(
                                crops + share.lowerBound * bytes, count: share.count, parameters,
                                features: images + share.lowerBound * width)
                            lanes[lane].encodeTexts(
                                batch.prompts[textShare], parameters, features: texts + textShare.lowerBound * width)
                        }
                    }
                }
            }
        }
        let result = ContrastiveLoss(kernels: kernels, pictures: pictures, captions: captions, width: width).evaluate(
            images: images, texts: texts, matches: batch.matches, scale: scale, imageGradient: &imageGradient, textGradient: &textGradient)
        parameters.withUnsafeBufferPointer { parameters in
            imageGradient.withUnsafeBufferPointer { imageGradient in
                textGradient.withUnsafeBufferPointer { textGradient in
                    guard let parameters = parameters.baseAddress, let images = imageGradient.baseAddress,
                        let texts = textGradient.baseAddress
                    else { return }
                    pool.forEach(lanes.count) { lane in
                        lanes[lane].clear()
                        lanes[lane].addImageGradients(images + imageShares[lane].lowerBound * width, parameters)
                        lanes[lane].addTextGradients(texts + textShares[lane].lowerBound * width, parameters)
                    }
                }
            }
        }
        kernels.sum(lanes.map(\.gradients), to: &gradients, pool: pool)
        gradients[layout["logit_scale"]] = result.scaleGradient
        return Evaluation(loss: result.loss, accuracy: result.accuracy)
    }
}
