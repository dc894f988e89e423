import ArgumentParser
import CLIP
import Datasets
import Foundation
import Imaging
import Quantization
import Tensors
import Tuning

extension ClassPosition: ExpressibleByArgument {}
extension StraightThrough: ExpressibleByArgument {}
extension TuningSettings.Parts: ExpressibleByArgument {}
extension TuningSettings.AdapterQuantization: ExpressibleByArgument {}

/// `p4q tune`: labelled images to a learned prompt and a QAdapter.
struct Tune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Learn a prompt and an adapter for a quantized model from labelled images.",
        discussion: """
            Images are labelled by their folder (cat/1.jpg), in folders and tar archives, or by what a WebDataset sample says. The file that \
            is written goes with --tuning to classify and worker.
            """)

    @OptionGroup var learner: LearnerOptions

    @Option(name: .long, help: "Labelled images: a folder or a tar archive; may be repeated.", completion: .file())
    var train: [String]

    @Option(
        name: .long, help: "The class set; its templates are the teacher's. The built-in model's own if that is tuned and none is given.",
        completion: .file())
    var classSet: String?

    @Option(name: .long, help: "The file to write.", completion: .file())
    var out: String

    @Option(name: .long, help: "A file that keeps the state after each epoch; a run that finds it there goes on from it.")
    var checkpoint: String?

    @Flag(
        name: .long,
        help: """
            Beyond the paper's recipe: find the adapter's share, the prompt's learning rate and its length on a held-out tenth of the images \
            first.
            """)
    var search = false

    @OptionGroup var tuning: TuningOptions
    @OptionGroup var threading: ThreadOptions
    @OptionGroup var imageOptions: ImageOptions

    @Option(name: .long, help: "The folder where image features are kept between runs; \"none\" keeps none.", completion: .directory)
    var featureCache: String?

    @Flag(name: .long, help: "Print a JSON object about the result.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    func validate() throws { try learner.check(hasClassSet: classSet != nil) }

    func run() async throws {
        let set = try ProcessorOptions.instructionSet()
        let pool = threading.makePool()
        let (student, teacher) = try learner.load()
        var run = TuningRun(
            tuning.settings(isBuiltIn: learner.isBuiltIn), student: student, teacher: teacher,
            classSet: try classSet.map { try ClassSet(contentsOf: URL(fileURLWithPath: $0)) } ?? ModelLocation.classSet(), pool: pool,
            kernels: FloatKernels(set))
        let start = ContinuousClock.now
        let collector = try run.collector(cache: CacheFolder.url("features", option: featureCache), decoder: imageOptions.decoder)
        let left = try collect(collector, run.classSet)
        let data = try run.data(collector)
        if search { run = run.with(try find(run, data)) }
        let (trainer, state) = try run.trainer(data, checkpoint: checkpoint.map { URL(fileURLWithPath: $0) })
        try train(trainer, state)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let file = try run.file(trainer, data)
        try file.write(to: URL(fileURLWithPath: out))
        Notices(isQuiet: quiet).note("wrote \(out): \(data.count) images, \(trainer.state.epoch) epochs, \(rounded(seconds, 1)) s")
        if json {
            try printReport(
                [
                    ("out", out), ("bits", file.origin.bits), ("images", data.count), ("left_out", left),
                    ("epochs", file.metrics.epochs), ("adapt_ratio", file.settings.adaptRatio), ("prompt_rate", file.settings.promptRate),
                    ("classification_loss", rounded(file.metrics.classificationLoss, 4)),
                    ("distillation_loss", rounded(file.metrics.distillationLoss, 4)), ("held_out_accuracy", file.metrics.heldOutAccuracy),
                    ("seconds", rounded(seconds, 1)),
                ], json: true)
        }
    }

    /// How many images could not be used.
    private func collect(_ collector: FeatureCollector, _ classSet: ClassSet) throws -> Int {
        var progress = Progress("looked at", isQuiet: quiet)
        var left = 0
        var items: [FeatureCollector.Item] = []
        func flush() {
            for failure in collector.add(items) {
                left += 1
                Notices(isQuiet: quiet).warn("left out: \(failure.error.message(for: failure.id))")
            }
            items = []
            progress.update(collector.labels.count)
        }
        let source = ImageSource(train, limit: imageOptions.maxBytes)
        while let item = try source.next() {
            let label = item.label ?? ""
            guard let index = classSet.index(ofLabel: label) else { throw TuningError.unknownLabel(image: item.id, label: label) }
            items.append(.init(id: item.id, bytes: try item.load(), label: index))
            if items.count == FeatureCollector.batch { flush() }
        }
        flush()
        progress.finish(collector.labels.count)
        return left
    }

    private func find(_ run: TuningRun, _ data: TrainingData) throws -> TuningSettings {
        let found = try TuningSearch().run(run, data) { trial, done, total in
            let what =
                "\(trial.settings.contextLength) vectors, adapter's share \(trial.settings.adaptRatio), prompt rate \(trial.settings.promptRate)"
            Notices(isQuiet: quiet).note("trial \(done) of \(total): \(what): held out \(rounded(trial.accuracy * 100)) %")
        }
        Notices(isQuiet: quiet).note(
            "found: \(found.contextLength) vectors, adapter's share \(found.adaptRatio), prompt rate \(found.promptRate)")
        return found
    }

    private func train(_ trainer: Trainer, _ state: TrainingCheckpoint?) throws {
        let done = trainer.state.epoch
        if done > 0 { Notices(isQuiet: quiet).note("going on behind epoch \(done)") }
        var progress = Progress("tuned, steps", total: trainer.steps * (trainer.settings.epochs - done), isQuiet: quiet)
        while !trainer.isFinished {
            let before = (trainer.state.epoch - done) * trainer.steps
            let report = try trainer.runEpoch { progress.update(before + $0) }
            try state?.write(trainer.state)
            if report.epoch % max(1, trainer.settings.epochs / 10) == 0 { note(report, of: trainer.settings.epochs) }
        }
        progress.finish((trainer.state.epoch - done) * trainer.steps)
    }

    private func note(_ report: EpochReport, of epochs: Int) {
        let held = report.heldOutAccuracy.map { ", held out \(rounded($0 * 100)) %" } ?? ""
        let losses = "class loss \(rounded(report.losses.classification, 4)), distillation \(rounded(report.losses.distillation, 4))"
        Notices(isQuiet: quiet).note("epoch \(report.epoch) of \(epochs): \(losses)\(held)")
    }
}

/// How tuning is done; the defaults are the paper's.
struct TuningOptions: ParsableArguments {
    private static let defaults = TuningSettings()

    @Option(name: .long, help: "What is learned: both, prompt or adapter.")
    var parts = Self.defaults.parts

    /// Captions of drawn pictures are short: the built-in text tower has not learned to read a class's name behind 16 vectors.
    static let builtInContext = 4

    @Option(name: .long, help: "Context vectors of the prompt: 16, or 4 for the built-in model, if not given.")
    var context: Int?

    @Option(name: .long, help: "Where the class name stands: end, middle or front.")
    var classPosition = Self.defaults.classPosition

    @Option(name: .long, help: "The adapter's share of a feature.")
    var adaptRatio = Self.defaults.adaptRatio

    @Option(name: .long, help: "The weight of the class loss.")
    var classWeight = Self.defaults.classWeight

    @Option(name: .customLong("lambda"), help: "The weight of the distillation loss.")
    var distillationWeight = Self.defaults.distillationWeight

    @Option(name: .long, help: "Passes over the images.")
    var epochs = Self.defaults.epochs

    @Option(name: .long, help: "Images in a step.")
    var batch = Self.defaults.batch

    @Option(name: .long, help: "The prompt's learning rate for 20 images a step; it grows with the batch.")
    var promptRate = Self.defaults.promptRate

    @Option(name: .long, help: "The adapter's learning rate.")
    var adapterRate = Self.defaults.adapterRate

    @Option(name: .long, help: "The furthest that a step moves the prompt, as a share of its length at the start; 0 sets no limit.")
    var stepLimit = Self.defaults.stepLimit

    @Flag(name: .long, help: "Don't mirror images.")
    var noFlips = false

    @Option(name: .long, help: "What all that is random depends on.")
    var seed = Self.defaults.seed

    @Option(name: .long, help: "The share of the images that is held out to choose the best epoch.")
    var heldOut = Self.defaults.heldOut

    @Option(name: .long, help: "Epochs without a better held-out accuracy after which tuning ends; 0 never ends early.")
    var patience = Self.defaults.patience

    @Option(name: .long, help: "How gradients pass quantizers: clipped, identity or none.")
    var straightThrough = Self.defaults.straightThrough

    @Option(name: .long, help: "How the adapter comes to 8 bits: after-training or straight-through.")
    var adapterQuantization = Self.defaults.adapterQuantization

    func validate() throws {
        if context ?? 1 < 1 || epochs < 1 || batch < 1 { throw ValidationError("--context, --epochs and --batch must be at least 1") }
        if !(0...1).contains(adaptRatio) { throw ValidationError("--adapt-ratio lies between 0 and 1") }
        if !(0..<1).contains(heldOut) { throw ValidationError("--held-out lies between 0 and 1") }
        if classWeight < 0 || distillationWeight < 0 { throw ValidationError("weights of losses can't be negative") }
        if !(stepLimit >= 0) { throw ValidationError("--step-limit can't be negative") }
        if !(promptRate >= 0) || !(adapterRate >= 0) { throw ValidationError("learning rates can't be negative") }
        if patience > 0 && heldOut == 0 { throw ValidationError("--patience needs --held-out") }
    }

    /// - Parameter isBuiltIn: whether the built-in model is tuned.
    func settings(isBuiltIn: Bool) -> TuningSettings {
        var settings = TuningSettings()
        settings.parts = parts
        settings.contextLength = context ?? (isBuiltIn ? Self.builtInContext : Self.defaults.contextLength)
        settings.classPosition = classPosition
        settings.adaptRatio = adaptRatio
        settings.classWeight = classWeight
        settings.distillationWeight = distillationWeight
        settings.epochs = epochs
        settings.batch = batch
        settings.promptRate = promptRate
        settings.adapterRate = adapterRate
        settings.stepLimit = stepLimit
        settings.flips = !noFlips
        settings.seed = seed
        settings.heldOut = heldOut
        settings.patience = patience
        settings.straightThrough = straightThrough
        settings.adapterQuantization = adapterQuantization
        return settings
    }
}
