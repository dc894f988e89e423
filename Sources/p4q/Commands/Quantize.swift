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

    @Option(name: .long, help: "A float CLIP: a Hugging Face folder, OpenAI's or open_clip's file, or builtin.", completion: .directory)
    var model: String

    @Option(name: .long, help: "The folder of the tokenizer's files, where they don't lie beside the weights.", completion: .directory)
    var tokenizer: String?

    @Option(name: .long, help: "The activation, instead of what the configuration says: quick_gelu or gelu.")
    var activation: Activation?

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
        let set = try ProcessorOptions.instructionSet()
        let url = try ModelLocation.url(model)
        if QuantizedFolder.isOne(url) { throw ValidationError("\(model) is quantized already; quantize the float model it came from") }
        let interruption = Interruption()
        let checkpoint = try Checkpoint.load(url, activation: activation)
        let plans = try planOptions.plans(for: checkpoint.configuration, sweep: sweep)
        let out = URL(fileURLWithPath: out)
        // Before all the work: what can't be written then can't be written now.
        for folder in sweep ? plans.map({ out.appendingPathComponent(Sweep.folderName($0)) }) : [out] {
            try QuantizedFolder.checkTarget(folder)
        }
        let folder = CLIPModel.folder(of: url)
        let calibrated = try CalibratedModel(
            checkpoint, folder: folder, tokenizer: tokenizer.map { URL(fileURLWithPath: $0) } ?? folder, plans: plans,
            recipe: planOptions.recipe, data: calibrationOptions, instructionSet: set, pool: threading.makePool(), quiet: quiet)
        if sweep {
            try Sweep(calibrated: calibrated, out: out, quiet: quiet).run(
                plans, data: data, classSet: ClassSet(contentsOf: URL(fileURLWithPath: calibrationOptions.classSet)),
                float: model, decoder: calibrationOptions.imageOptions.decoder, interruption)
            return
        }
        guard let plan = plans.first else { return }
        let figures = try calibrated.measure([plan], quiet: quiet)[0]
        let tensors = try calibrated.tensors(plan, quiet: quiet)
        try interruption.protecting { try calibrated.write(tensors, plan, figures, to: out) }
        Notices(isQuiet: quiet).note(
            """
            wrote \(self.out): \(plan.recipe.rawValue) \(plan.bits), \(plan.observer.rawValue), calibrated on \(calibrated.provenance.images) images and \
            \(calibrated.provenance.prompts) prompts
            """)
    }
}
