import ArgumentParser
import CLIP
import Foundation
import Imaging
import Quantization
import Tensors

/// `p4q quantize`: a float model to a quantized folder, or to a folder of them.
struct Quantize: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Calibrate a float CLIP on images and class prompts, and write it quantized.",
        discussion: """
            The folder is written in one step, over an older quantized model too: whatever ends the program, the old one or the new one is \
            there. SIGINT ends it at once with exit code 130.

            --sweep calibrates once and writes OUT/OBSERVER-BITS for every observer and all of --bits. With --data every one of them and the \
            float model are evaluated; OUT/sweep.json and OUT/sweep.md hold the table that is printed.
            """)

    @Option(name: .long, help: "A float CLIP: a Hugging Face folder, or OpenAI's or open_clip's file.", completion: .directory)
    var model: String

    @OptionGroup var calibrationOptions: CalibrationOptions

    @OptionGroup var planOptions: PlanOptions

    @Option(name: .long, help: "The folder to write.", completion: .directory)
    var out: String

    @Flag(name: .long, help: "All observers at several bit widths from one calibration, each in a folder of its own under --out.")
    var sweep = false

    @Option(
        name: .long, parsing: .upToNextOption, help: "With --sweep: labelled images to evaluate all models on, as in p4q evaluate.",
        completion: .file())
    var data: [String] = []

    @OptionGroup var threading: ThreadOptions

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    func validate() throws {
        try planOptions.check(sweep: sweep)
        if !sweep && !data.isEmpty { throw ValidationError("--data goes with --sweep; a single model is measured by p4q evaluate") }
    }

    func run() async throws {
        let url = URL(fileURLWithPath: model)
        if QuantizedFolder.isOne(url) { throw ValidationError("\(model) is quantized already; quantize the float model it came from") }
        let interruption = Interruption()
        let checkpoint = try Checkpoint.load(url)
        let plans = try planOptions.plans(for: checkpoint.configuration, sweep: sweep)
        let calibrated = try calibrate(checkpoint, CLIPModel.folder(of: url), plans)
        let out = URL(fileURLWithPath: out)
        if sweep {
            try Sweep(calibrated: calibrated, out: out, quiet: quiet).run(
                plans, data: data, classSet: ClassSet(contentsOf: URL(fileURLWithPath: calibrationOptions.classSet)),
                float: model, decoder: calibrationOptions.imageOptions.decoder, interruption)
            return
        }
        guard let plan = plans.first else { return }
        let figures = try calibrated.measure([plan], quiet: quiet)[0]
        let tensors = try QuantizedTensors(checkpoint, calibrated.calibration, plan)
        try interruption.protecting { try calibrated.write(tensors, plan, figures, to: out) }
        Notices(isQuiet: quiet).note(
            """
            wrote \(self.out): \(plan.recipe.rawValue) \(plan.bits), \(plan.observer.rawValue), calibrated on \(calibrated.provenance.images) images and \
            \(calibrated.provenance.prompts) prompts
            """)
    }

    private func calibrate(_ checkpoint: Checkpoint, _ folder: URL, _ plans: [QuantizationPlan]) throws -> CalibratedModel {
        let pool = threading.makePool()
        let preprocessor = try CLIPModel.preprocessorConfiguration(in: folder, side: checkpoint.configuration.imageSide)
        let calibrator = Calibrator(
            image: FloatImageEncoder(checkpoint, normalization: try ImagePreprocessor(preprocessor).normalization),
            text: FloatTextEncoder(checkpoint),
            activationBits: Set(plans.flatMap { $0.widths(checkpoint.configuration, attentionOperands: false) }).sorted(),
            attentionBits: Set(plans.flatMap { $0.widths(checkpoint.configuration, attentionOperands: true) }).sorted(), pool: pool,
            recipe: planOptions.recipe)
        let provenance = try calibrationOptions.observe(
            calibrator, checkpoint, preprocessor: preprocessor, tokenizer: Tokenizer.load(folder), pool: pool, quiet: quiet)
        var progress = Progress("points searched", isQuiet: quiet)
        let calibration = calibrator.finish { done, total in progress.update(done, of: total) }
        progress.end()
        return CalibratedModel(
            checkpoint: checkpoint, folder: folder, calibrator: calibrator, calibration: calibration, provenance: provenance, pool: pool)
    }
}

/// A float model with all that calibration found out.
struct CalibratedModel {
    let checkpoint: Checkpoint
    /// Of its tokenizer and preprocessor.
    let folder: URL
    let calibrator: Calibrator
    let calibration: Calibration
    let provenance: QuantizedFolder.Provenance
    let pool: ThreadPool

    /// Each plan's quantizers at work on the last calibration batch.
    func measure(_ plans: [QuantizationPlan], quiet: Bool) throws -> [[String: PointFigures]] {
        let sets = try plans.map { try QuantizedTensors.quantizers(checkpoint.configuration, calibration, $0) }
        var progress = Progress("points measured", isQuiet: quiet)
        defer { progress.end() }
        return calibrator.measure(sets) { done, total in progress.update(done, of: total) }
    }

    /// Writes one plan's folder.
    func write(_ tensors: QuantizedTensors, _ plan: QuantizationPlan, _ figures: [String: PointFigures], to out: URL) throws {
        try QuantizedFolder.write(
            tensors, checkpoint: checkpoint, plan: plan, source: folder, provenance: provenance, figures: figures, to: out)
    }
}
