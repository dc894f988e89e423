package import CLIP
package import Quantization
package import Tensors

/// Trains a quantized image tower through its quantizers until it gives the float tower's features, without labels.
///
/// Both see the same pictures, mirrored and moved anew in every epoch (Beyer et al., Knowledge distillation: a good teacher is patient and
/// consistent, 2022). Gradients pass quantizers by the straight-through rule of the method's section 3; scales learn as in Esser et al.,
/// Learned step size quantization (2020); zero points stay. The text tower is left alone.
package final class Distiller {
    package let recipe: DistillationRecipe
    /// Steps taken.
    package private(set) var step = 0
    private let tensors: QuantizedTensors
    private let student: StudentTower
    private let teacher: FloatImageEncoder
    private let loss: DistillationLoss
    private let augmentation: CropAugmentation
    /// [count, side, side, 3]
    private let crops: [UInt8]
    private let count: Int
    private var moments: AdamMoments
    private let pool: ThreadPool

    /// - Parameters:
    ///   - tensors: where the student begins, made of `checkpoint` by the recipe `paper`.
    ///   - teacher: of the same checkpoint.
    ///   - crops: batches of [count, side, side, 3].
    /// - Precondition: there is at least one crop.
    package init(
        _ tensors: QuantizedTensors, _ checkpoint: Checkpoint, recipe: DistillationRecipe, teacher: FloatImageEncoder, crops: [[UInt8]],
        pool: ThreadPool
    ) {
        self.recipe = recipe
        self.tensors = tensors
        self.teacher = teacher
        self.pool = pool
        self.crops = Array(crops.joined())
        count = self.crops.count / (teacher.imageSide * teacher.imageSide * 3)
        precondition(count > 0, "there are no pictures to learn from")
        augmentation = CropAugmentation(side: teacher.imageSide, shift: recipe.shift, seed: recipe.seed)
        student = StudentTower(tensors, checkpoint, normalization: teacher.normalization, lanes: recipe.lanes)
        loss = DistillationLoss(width: teacher.featureWidth)
        moments = AdamMoments(count: student.parameters.count, beta1: 0.9, beta2: 0.999, epsilon: 1e-10)
    }

    /// Takes the next step; returns its loss.
    package func advance() -> Double {
        let batch = augmentation.batch(step, size: recipe.batch, of: crops, count: count)
        let result = loss.evaluate(student: student.encode(batch, pool: pool), teacher: features(batch))
        student.setGradients(result.gradient, pool: pool)
        let warmth = min(1, Double(step + 1) / Double(max(1, recipe.warmupSteps)))
        let rate = warmth * CosineSchedule(start: recipe.peakRate, end: 0, steps: recipe.steps).rate(step)
        moments.apply(student.gradients, to: &student.parameters, runs: runs(rate), step: step, pool: pool)
        step += 1
        return result.loss
    }

    /// The teacher's, in as many parts as the student has lanes: the last bits of a float product depend on how many rows it has.
    private func features(_ batch: [UInt8]) -> [Float] {
        let (bytes, width) = (teacher.imageSide * teacher.imageSide * 3, teacher.featureWidth)
        var features = [Float](repeating: 0, count: recipe.batch * width)
        batch.withUnsafeBufferPointer { crops in
            features.withUnsafeMutableBufferPointer { features in
                // Safe: each part writes rows of its own.
                nonisolated(unsafe) let features = features
                pool.forEach(recipe.lanes) { lane in
                    let part = recipe.batch * lane / recipe.lanes..<recipe.batch * (lane + 1) / recipe.lanes
                    teacher.encode(
                        crops: UnsafeBufferPointer(rebasing: crops[part.lowerBound * bytes..<part.upperBound * bytes]), count: part.count,
                        features: UnsafeMutableBufferPointer(rebasing: features[part.lowerBound * width..<part.upperBound * width]),
                        pool: .serial)
                }
            }
        }
        return features
    }

    private func runs(_ rate: Double) -> [AdamMoments.Run] {
        let tensors = student.layout.entries.map { $0.offset..<$0.offset + $0.count }
        return (tensors + [student.layout.count..<student.parameters.count]).map { AdamMoments.Run(range: $0, rate: rate) }
    }

    /// The model as it stands: the tensors that it began with, with other numbers.
    ///
    /// - Throws: `unpackable` for shapes that kernels can't take.
    package func result() throws(QuantizationError) -> QuantizedTensors { try student.replacing(tensors) }
}
