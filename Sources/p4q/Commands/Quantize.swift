import ArgumentParser
import CLIP
import Crypto
import Datasets
import Foundation
import Imaging
import Quantization
import Tensors

/// `p4q quantize`: a float model to a quantized folder.
struct Quantize: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Calibrate a float CLIP on images and class prompts, and write it quantized.")

    @OptionGroup var threading: ThreadOptions
    @OptionGroup var imageOptions: ImageOptions

    @Option(name: .long, help: "A float CLIP: a Hugging Face folder, or OpenAI's or open_clip's file.", completion: .directory)
    var model: String

    @Option(name: .long, help: "Images, a folder or a tar archive to calibrate on; may be repeated.", completion: .file())
    var calibration: [String]

    @Option(name: .long, help: "The class set whose prompts the text tower is calibrated on.", completion: .file())
    var classSet: String

    @OptionGroup var planOptions: PlanOptions

    @Option(name: .long, help: "The folder to write.", completion: .directory)
    var out: String

    @Option(name: .long, help: "Images drawn for calibration.")
    var samples = 1000

    @Option(name: .long, help: "Images in a calibration batch.")
    var batch = 100

    @Option(
        name: .long,
        help: "Vectors of a prompt yet to be learned that each class name also gets among the calibration prompts; 0: text prompts only.")
    var calibratePromptTokens = 0

    @Option(name: .long, help: "What the draw of images depends on.")
    var seed: UInt64 = 0

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    func validate() throws {
        if calibratePromptTokens < 0 { throw ValidationError("--calibrate-prompt-tokens must be at least 0") }
        if samples < 1 || batch < 1 { throw ValidationError("--samples and --batch must be at least 1") }
    }

    func run() async throws {
        let url = URL(fileURLWithPath: model)
        if QuantizedFolder.isOne(url) { throw ValidationError("\(model) is quantized already; quantize the float model it came from") }
        let folder = CLIPModel.folder(of: url)
        let checkpoint = try Checkpoint.load(url)
        let plan = try planOptions.plan(for: checkpoint.configuration)
        let classes = try ClassSet(contentsOf: URL(fileURLWithPath: classSet))
        let tokenizer = try Tokenizer.load(folder)
        let prompts = try classes.classes.flatMap { $0.texts(templates: classes.templates) }.map {
            try tokenizer.encode($0, contextLength: checkpoint.configuration.contextLength, truncating: false)
        }
        let preprocessor = try ImagePreprocessor(
            CLIPModel.preprocessorConfiguration(in: folder, side: checkpoint.configuration.imageSide))
        let calibrator = Calibrator(
            image: FloatImageEncoder(checkpoint, normalization: preprocessor.normalization), text: FloatTextEncoder(checkpoint),
            activationBits: plan.widths(checkpoint.configuration, attentionOperands: false),
            attentionBits: plan.widths(checkpoint.configuration, attentionOperands: true), pool: threading.makePool(), recipe: plan.recipe)
        let (count, digest) = try observeImages(calibrator, preprocessor)
        try calibrator.observe(
            embedded: prompts.map { EmbeddedPrompt(ids: $0) } + learnedPrompts(classes, tokenizer, checkpoint.configuration))
        let tensors = try QuantizedTensors(checkpoint, calibrator.finish(), plan)
        try QuantizedFolder.write(
            tensors, checkpoint: checkpoint, plan: plan, source: folder,
            provenance: QuantizedFolder.Provenance(
                source: checkpoint.name, sourceSHA256: checkpoint.sha256, images: count, imagesSHA256: digest, prompts: prompts.count),
            to: URL(fileURLWithPath: out))
        Notices(isQuiet: quiet).note(
            "wrote \(out): \(plan.recipe.rawValue) \(plan.bits), \(plan.observer.rawValue), calibrated on \(count) images and \(prompts.count) prompts"
        )
    }

    /// Each class's name behind vectors as a learned prompt begins with.
    private func learnedPrompts(_ classes: ClassSet, _ tokenizer: Tokenizer, _ configuration: CLIPConfiguration) throws -> [EmbeddedPrompt]
    {
        if calibratePromptTokens == 0 { return [] }
        let length = configuration.contextLength - calibratePromptTokens
        guard length > 2 else {
            throw ValidationError(
                "--calibrate-prompt-tokens \(calibratePromptTokens) leaves no room for a class name in \(configuration.contextLength) positions"
            )
        }
        let context = EmbeddedPrompt.initialContext(tokens: calibratePromptTokens, width: configuration.text.width, seed: seed)
        return try classes.classes.map {
            EmbeddedPrompt(ids: try tokenizer.encode("\($0.name).", contextLength: length, truncating: false), context: context)
        }
    }

    /// How many images were seen, and the SHA-256 of their crops.
    private func observeImages(_ calibrator: Calibrator, _ preprocessor: ImagePreprocessor) throws -> (Int, String) {
        let items = try draw()
        let workspace = ImageWorkspace()
        var progress = Progress("calibrated", total: items.count, isQuiet: quiet)
        var hash = SHA256()
        var count = 0
        for start in stride(from: 0, to: items.count, by: batch) {
            var crops: [UInt8] = []
            for item in items[start..<min(start + batch, items.count)] {
                var crop = [UInt8](repeating: 0, count: preprocessor.sampleCount)
                do {
                    let bytes = try item.load()
                    try bytes.withUnsafeBytes { bytes in
                        try crop.withUnsafeMutableBufferPointer { crop in
                            try preprocessor.crop(bytes, decoder: imageOptions.decoder, into: crop, workspace: workspace)
                        }
                    }
                } catch {
                    Notices(isQuiet: quiet).warn("left out: \((error as? ImagingError)?.message(for: item.id) ?? "\(error)")")
                    continue
                }
                crops += crop
                count += 1
            }
            hash.update(data: crops)
            calibrator.observe(crops: crops)
            progress.update(count)
        }
        progress.finish(count)
        guard count > 0 else { throw ValidationError("none of the calibration images can be used") }
        return (count, hash.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined())
    }

    /// `samples` of the images, each as likely as any other: reservoir sampling.
    private func draw() throws -> [DatasetItem] {
        let source = ImageSource(calibration, limit: imageOptions.maxBytes)
        var random = SplitMix(state: seed)
        var drawn: [DatasetItem] = []
        var seen = 0
        while let item = try source.next() {
            seen += 1
            if drawn.count < samples {
                drawn.append(item)
            } else {
                let place = Int.random(in: 0..<seen, using: &random)
                if place < samples { drawn[place] = item }
            }
        }
        return drawn
    }
}

/// A generator of few lines whose numbers depend on its seed alone.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
