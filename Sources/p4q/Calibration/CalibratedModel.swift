import CLIP
import Foundation
import Imaging
import Quantization
import Tensors
import Tuning

/// A float model with all that calibration found out.
struct CalibratedModel {
    let checkpoint: Checkpoint
    /// Of its preprocessor.
    let folder: URL
    /// Of its tokenizer.
    let tokenizer: URL
    let calibrator: Calibrator
    let calibration: Calibration
    let provenance: QuantizedFolder.Provenance
    let pool: ThreadPool
    private let seed: UInt64
    private let image: FloatImageEncoder
    private let text: FloatTextEncoder

    /// Calibrates.
    ///
    /// - Parameters:
    ///   - folder: of the checkpoint's preprocessor.
    ///   - tokenizer: the folder of its tokenizer's files.
    ///   - plans: whose widths the ranges are searched for.
    init(
        _ checkpoint: Checkpoint, folder: URL, tokenizer: URL, plans: [QuantizationPlan], recipe: Recipe, data: CalibrationOptions,
        instructionSet: InstructionSet, pool: ThreadPool, quiet: Bool
    ) throws {
        let kernels = FloatKernels(instructionSet)
        let preprocessor = try CLIPModel.preprocessorConfiguration(in: folder, side: checkpoint.configuration.imageSide)
        image = FloatImageEncoder(checkpoint, normalization: try ImagePreprocessor(preprocessor).normalization, kernels: kernels)
        text = FloatTextEncoder(checkpoint, kernels: kernels)
        calibrator = Calibrator(
            image: image, text: text,
            activationBits: Set(plans.flatMap { $0.widths(checkpoint.configuration, attentionOperands: false) }).sorted(),
            attentionBits: Set(plans.flatMap { $0.widths(checkpoint.configuration, attentionOperands: true) }).sorted(), pool: pool,
            kernels: kernels, recipe: recipe, keepsData: plans.contains { $0.rounding != .nearest })
        provenance = try data.observe(
            calibrator, checkpoint, preprocessor: preprocessor, tokenizer: Tokenizer.load(tokenizer, for: checkpoint.configuration),
            pool: pool, quiet: quiet)
        var progress = Progress("points searched", isQuiet: quiet)
        calibration = calibrator.finish { done, total in progress.update(done, of: total) }
        progress.end()
        self.checkpoint = checkpoint
        self.folder = folder
        self.tokenizer = tokenizer
        self.pool = pool
        seed = data.seed
    }

    /// Each plan's quantizers at work on the last calibration batch.
    func measure(_ plans: [QuantizationPlan], quiet: Bool) throws -> [[String: PointFigures]] {
        let sets = try plans.map { plan in
            Calibrator.Quantizers(
                scales: try QuantizedTensors.quantizers(checkpoint.configuration, calibration, plan),
                channels: try QuantizedTensors.channelQuantizers(checkpoint.configuration, calibration, plan))
        }
        var progress = Progress("points measured", isQuiet: quiet)
        defer { progress.end() }
        return calibrator.measure(sets) { done, total in progress.update(done, of: total) }
    }

    /// One plan's model.
    func tensors(_ plan: QuantizationPlan, quiet: Bool) throws -> QuantizedTensors {
        let tensors = try QuantizedTensors(checkpoint, calibration, plan)
        switch plan.rounding {
        case .nearest: return tensors
        case .reconstruction: return try reconstruct(tensors, plan, quiet: quiet)
        case .distillation: return try distill(reconstruct(tensors, plan, quiet: quiet), quiet: quiet)
        }
    }

    private func distill(_ tensors: QuantizedTensors, quiet: Bool) throws -> QuantizedTensors {
        var recipe = DistillationRecipe()
        recipe.seed = seed
        let distiller = Distiller(tensors, checkpoint, recipe: recipe, teacher: image, crops: calibrator.crops, pool: pool)
        var progress = Progress("steps of distillation", total: distiller.recipe.steps, isQuiet: quiet)
        defer { progress.end() }
        while distiller.step < distiller.recipe.steps {
            _ = distiller.advance()
            progress.update(distiller.step)
        }
        return try distiller.result()
    }

    private func reconstruct(_ tensors: QuantizedTensors, _ plan: QuantizationPlan, quiet: Bool) throws -> QuantizedTensors {
        var progress = Progress("layers reconstructed", isQuiet: quiet)
        defer { progress.end() }
        return try withoutActuallyEscaping({ (_: String, done: Int, total: Int) in progress.update(done, of: total) }) { report in
            var reconstruction = Reconstruction(tensors, checkpoint, plan, image: image, text: text, pool: pool, progress: report)
            return try reconstruction.run(crops: calibrator.crops, prompts: calibrator.embeddedPrompts)
        }
    }

    /// Writes one plan's folder.
    func write(_ tensors: QuantizedTensors, _ plan: QuantizationPlan, _ figures: [String: PointFigures], to out: URL) throws {
        // What the float tower gives says nothing of an image tower that has learned other values.
        let isKept = { (point: String) in plan.rounding != .distillation || !point.hasPrefix(Tower.vision.rawValue) }
        try QuantizedFolder.write(
            tensors, checkpoint: checkpoint, plan: plan, source: folder, tokenizer: tokenizer, provenance: provenance,
            figures: figures.filter { isKept($0.key) },
            to: out)
    }
}
