import ArgumentParser
import CLIP
import Foundation
import Imaging
import Quantization
import Tensors

extension Observer: ExpressibleByArgument {}

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

    @Option(
        name: .long,
        help: """
            Bit widths, weights-activations-attention, each 8, 4, 3 or 2: 8-8-8 if not given. With --sweep several, separated by commas: \
            8-8-8,4-8-8,4-4-8,3-3-8,2-2-8 if not given.
            """)
    var bits: String?

    @Option(name: .long, help: "How ranges are fixed: minmax, ema, percentile or omse (if not given). A sweep takes all.")
    var observer: Observer?

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
        _ = try plans()
        if sweep && observer != nil { throw ValidationError("--sweep takes all observers; --observer goes without it") }
        if !sweep && !data.isEmpty { throw ValidationError("--data goes with --sweep; a single model is measured by p4q evaluate") }
    }

    private func plans() throws -> [BitPlan] {
        let plans = try (bits ?? (sweep ? Sweep.defaultBits : "8-8-8")).split(separator: ",", omittingEmptySubsequences: false).map {
            guard let plan = BitPlan(String($0)) else {
                throw ValidationError("--bits \($0) is not W-A-T with widths of 8, 4, 3 or 2, as 4-4-8")
            }
            return plan
        }
        if !sweep && plans.count > 1 { throw ValidationError("several bit widths go with --sweep") }
        return plans
    }

    func run() async throws {
        let url = URL(fileURLWithPath: model)
        if QuantizedFolder.isOne(url) { throw ValidationError("\(model) is quantized already; quantize the float model it came from") }
        let interruption = Interruption()
        let calibrated = try calibrate(url, plans())
        let out = URL(fileURLWithPath: out)
        if sweep {
            try Sweep(calibrated: calibrated, out: out, quiet: quiet).run(
                plans(), data: data, classSet: ClassSet(contentsOf: URL(fileURLWithPath: calibrationOptions.classSet)),
                float: model, decoder: calibrationOptions.imageOptions.decoder, interruption)
            return
        }
        guard let bits = try plans().first else { return }
        let variant = Variant(observer: observer ?? .omse, bits: bits)
        let figures = try calibrated.measure([variant], quiet: quiet)[0]
        let tensors = try QuantizedTensors(calibrated.checkpoint, calibrated.calibration, observer: variant.observer, bits: bits)
        try interruption.protecting { try calibrated.write(tensors, variant, figures, to: out) }
        Notices(isQuiet: quiet).note(
            """
            wrote \(self.out): \(bits), \(variant.observer.rawValue), calibrated on \(calibrated.provenance.images) images and \
            \(calibrated.provenance.prompts) prompts
            """)
    }

    private func calibrate(_ url: URL, _ plans: [BitPlan]) throws -> CalibratedModel {
        let folder = CLIPModel.folder(of: url)
        let checkpoint = try Checkpoint.load(url)
        let pool = threading.makePool()
        let preprocessor = try CLIPModel.preprocessorConfiguration(in: folder, side: checkpoint.configuration.imageSide)
        let calibrator = Calibrator(
            image: FloatImageEncoder(checkpoint, normalization: try ImagePreprocessor(preprocessor).normalization),
            text: FloatTextEncoder(checkpoint), activationBits: Set(plans.map(\.activations.rawValue)).sorted(),
            attentionBits: Set(plans.map(\.attention.rawValue)).sorted(), pool: pool)
        let provenance = try calibrationOptions.observe(
            calibrator, checkpoint, preprocessor: preprocessor, tokenizer: Tokenizer.load(folder), pool: pool, quiet: quiet)
        var progress = Progress("points searched", isQuiet: quiet)
        let calibration = calibrator.finish { done, total in progress.update(done, of: total) }
        progress.end()
        return CalibratedModel(
            checkpoint: checkpoint, folder: folder, calibrator: calibrator, calibration: calibration, provenance: provenance, pool: pool)
    }
}

/// One way to quantize.
struct Variant: Equatable {
    let observer: Observer
    let bits: BitPlan
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

    /// Each variant's quantizers at work on the last calibration batch.
    func measure(_ variants: [Variant], quiet: Bool) throws -> [[String: PointFigures]] {
        let sets = try variants.map {
            try QuantizedTensors.quantizers(checkpoint.configuration, calibration, observer: $0.observer, bits: $0.bits)
        }
        var progress = Progress("points measured", isQuiet: quiet)
        defer { progress.end() }
        return calibrator.measure(sets) { done, total in progress.update(done, of: total) }
    }

    /// Writes one variant's folder.
    func write(_ tensors: QuantizedTensors, _ variant: Variant, _ figures: [String: PointFigures], to out: URL) throws {
        try QuantizedFolder.write(
            tensors, checkpoint: checkpoint, bits: variant.bits, observer: variant.observer, source: folder, provenance: provenance,
            figures: figures, to: out)
    }
}
