package import CLIP
internal import Foundation
package import Quantization
package import Tensors

/// A quantized image tower that learns: the floats behind its codes, its biases, norms and embeddings, and the logarithms of all scales.
///
/// Forward it computes what the integer kernels compute, but for the order of floating-point sums.
package final class StudentTower {
    /// Of the tower's tensors in `parameters`.
    package let layout: ParameterLayout
    let weights: WeightQuantizers
    /// The layout's tensors, the logarithms of the weights' scales, those of the points' scales.
    package var parameters: [Float]
    /// Of the last `setGradients`, in the parameters' order.
    package private(set) var gradients: [Float]
    let configuration: CLIPConfiguration
    /// As they were at first.
    let points: [CodeScale]
    private let kernels: FloatKernels
    private let lanes: [Lane]
    /// The layout's tensors as the last `encode` used them.
    private var rounded: [Float]

    /// A share of a batch, with gradients of its own.
    private final class Lane {
        let images: ImageLane
        let quantizers: PointQuantizers
        var gradients: [Float]

        init(images: ImageLane, quantizers: PointQuantizers, count: Int) {
            self.images = images
            self.quantizers = quantizers
            gradients = [Float](repeating: 0, count: count)
        }
    }

    /// - Parameters:
    ///   - tensors: where the student begins, codes and all; the floats behind the codes are as near to the checkpoint's as codes allow.
    ///   - normalization: the float value of each 8-bit sample, by channel: [3, 256].
    ///   - lanes: parts that a batch is cut into. The gradients' last bits depend on it, and not on how many threads take the parts.
    /// - Precondition: `tensors` is made of `checkpoint` by the recipe `paper`.
    package init(
        _ tensors: QuantizedTensors, _ checkpoint: Checkpoint, normalization: [Float], lanes: Int, kernels: FloatKernels = FloatKernels()
    ) {
        configuration = checkpoint.configuration
        self.kernels = kernels
        let (shape, layout) = (configuration, ParameterLayout(configuration, prefixes: ["vision_model.", "visual_projection."]))
        self.layout = layout
        weights = WeightQuantizers(layout, tensors)
        let points = Self.points(tensors, depth: shape.vision.depth)
        self.points = points
        parameters = Self.parameters(layout, weights, points, tensors, checkpoint)
        gradients = [Float](repeating: 0, count: parameters.count)
        rounded = [Float](repeating: 0, count: layout.count)
        self.lanes = (0..<lanes).map { _ in
            let quantizers = PointQuantizers(points, depth: shape.vision.depth, kernels: kernels)
            let images = ImageLane(shape, layout, normalization: normalization, kernels: kernels, quantizers: quantizers)
            return Lane(images: images, quantizers: quantizers, count: layout.count)
        }
    }

    private var firstPoint: Int { layout.count + weights.count }

    func scales() -> [Float] { parameters[layout.count..<firstPoint].map { exp($0) } }

    /// The points' quantizers as they are now.
    func quantizers() -> [CodeScale] {
        zip(points, parameters[firstPoint...]).map { CodeScale(scale: exp($1), zeroPoint: $0.zeroPoint, bits: $0.bits) }
    }

    private func shares(_ count: Int) -> [Range<Int>] {
        lanes.indices.map { count * $0 / lanes.count..<count * ($0 + 1) / lanes.count }
    }

    /// Features [count, projectionWidth] of `crops`, [count, side, side, 3].
    package func encode(_ crops: [UInt8], pool: ThreadPool) -> [Float] {
        let (bytes, width) = (configuration.imageSide * configuration.imageSide * 3, configuration.projectionWidth)
        precondition(crops.count % bytes == 0, "\(crops.count) bytes are not whole pictures of \(bytes)")
        let (shares, scales, meanings) = (shares(crops.count / bytes), scales(), quantizers())
        rounded.replaceSubrange(rounded.indices, with: parameters[..<layout.count])
        weights.round(parameters, scales: scales, to: &rounded, pool: pool)
        var features = [Float](repeating: 0, count: crops.count / bytes * width)
        features.withUnsafeMutableBufferPointer { features in
            rounded.withUnsafeBufferPointer { rounded in
                crops.withUnsafeBufferPointer { crops in
                    guard let start = features.baseAddress, let rounded = rounded.baseAddress, let crops = crops.baseAddress else { return }
                    // Safe: each lane is taken by one thread at a time and writes rows of its own.
                    nonisolated(unsafe) let (lanes, target) = (lanes, start)
                    pool.forEach(lanes.count) { index in
                        let share = shares[index]
                        lanes[index].quantizers.meanings = meanings
                        lanes[index].images.encode(
                            crops + share.lowerBound * bytes, count: share.count, rounded, features: target + share.lowerBound * width)
                    }
                }
            }
        }
        return features
    }

    /// Makes `gradients` those of the last `encode`, from that of its features.
    package func setGradients(_ featureGradient: [Float], pool: ThreadPool) {
        let shares = shares(featureGradient.count / configuration.projectionWidth)
        rounded.withUnsafeBufferPointer { rounded in
            featureGradient.withUnsafeBufferPointer { features in
                guard let rounded = rounded.baseAddress, let features = features.baseAddress else { return }
                // Safe: each lane is taken by one thread at a time.
                nonisolated(unsafe) let lanes = lanes
                pool.forEach(lanes.count) { index in
                    let lane = lanes[index]
                    lane.quantizers.clear()
                    lane.gradients.withUnsafeMutableBufferPointer { gradients in
                        gradients.update(repeating: 0)
                        guard let gradients = gradients.baseAddress else { return }
                        lane.images.addGradients(
                            features + shares[index].lowerBound * configuration.projectionWidth, rounded, to: gradients)
                    }
                }
            }
        }
        kernels.sum(lanes.map(\.gradients), to: &gradients, pool: pool)
        weights.passGradients(&gradients, parameters, scales: scales(), firstScale: layout.count, pool: pool)
        for index in points.indices {
            gradients[firstPoint + index] = Float(lanes.reduce(0) { $0 + $1.quantizers.gradients[index] })
        }
    }
}
