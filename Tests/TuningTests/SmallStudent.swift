import CLIP
import Drawing
import Foundation
import Imaging
import Quantization
import Tensors
import Tuning

/// A small CLIP of made-up weights, pictures, and its image tower in codes.
struct SmallStudent {
    let checkpoint: Checkpoint
    let normalization: [Float]
    let float: FloatImageEncoder
    let tensors: QuantizedTensors
    /// In batches.
    let crops: [[UInt8]]

    init(_ bits: BitPlan, activation: Activation = .quickGELU, pictures: Int = 24) throws {
        let configuration = CLIPConfiguration(
            vision: TowerConfiguration(width: 12, depth: 2, heads: 3, mlpWidth: 20, activation: activation), imageSide: 9, patchSize: 4,
            text: TowerConfiguration(width: 8, depth: 1, heads: 2, mlpWidth: 14, activation: activation), vocabularySize: 11,
            contextLength: 7, projectionWidth: 10)
        checkpoint = Self.checkpoint(configuration)
        normalization = try ImagePreprocessor(PreprocessorConfiguration(side: configuration.imageSide)).normalization
        float = FloatImageEncoder(checkpoint, normalization: normalization)
        var random = CounterRandom(seed: 2, index: 0, purpose: .training)
        crops = (0..<pictures / 8).map { _ in (0..<8 * 9 * 9 * 3).map { _ in UInt8(truncatingIfNeeded: random.below(256)) } }
        let calibrator = Calibrator(
            image: float, text: nil, activationBits: [bits.activations.rawValue], attentionBits: [bits.attention.rawValue], pool: .serial)
        for batch in crops { try calibrator.observe(crops: batch) }
        tensors = try QuantizedTensors(checkpoint, calibrator.finish(), observer: .omse, bits: bits, towers: [.vision])
    }

    /// Weights of such sizes that features depend on pictures and every part matters.
    private static func checkpoint(_ configuration: CLIPConfiguration) -> Checkpoint {
        let layout = ParameterLayout(configuration)
        let noise = numbers(layout.count, seed: 7, bound: 0.25)
        let parameters = zip(layout.initialParameters(configuration, seed: 3), noise).map { $0 + $1 }
        let tensors = layout.entries.map { entry in
            let values = parameters[entry.offset..<entry.offset + entry.count]
            return (entry.name, FloatTensor(shape: entry.shape) { _ = $0.update(fromContentsOf: values) })
        }
        return Checkpoint(configuration: configuration, name: "small", tensors: Dictionary(uniqueKeysWithValues: tensors))
    }

    func distiller(_ recipe: DistillationRecipe, pool: ThreadPool = .serial) -> Distiller {
        Distiller(tensors, checkpoint, recipe: recipe, teacher: float, crops: crops, pool: pool)
    }

    /// Features of `crops` by the integer kernels.
    func integers(_ tensors: QuantizedTensors, _ crops: [UInt8]) -> [Float] {
        let encoder = QuantizedImageEncoder(tensors, checkpoint.configuration, normalization: normalization)
        let count = crops.count / (9 * 9 * 3)
        var features = [Float](repeating: 0, count: count * encoder.featureWidth)
        crops.withUnsafeBufferPointer { crops in
            features.withUnsafeMutableBufferPointer { encoder.encode(crops: crops, count: count, features: $0, pool: .serial) }
        }
        return features
    }
}
