import ArgumentParser
import CLIP
import Datasets
import Foundation
import Imaging
import Messages
import Quantization
import Services
import Tensors
import Tuning

/// All the comparisons of the paper on one model and one training set. Source: the method's section 7.
final class PaperRun {
    private let options: PaperOptions
    private let model: String
    private let classSetFile: URL
    private let classSet: ClassSet
    private let tests: [PaperTest]
    private let imageOptions: ImageOptions
    private let pool: ThreadPool
    private let notices: Notices
    private let out: URL
    private let float: CLIPModel
    private let features: URL?

    private var store: PaperStore?
    private var cells: [PaperCell] = []
    /// The model that was used last, by the key of its rows, with the training images as its tower sees them once somebody learns on them.
    private var student: (key: String, model: PaperModel, data: TrainingData?)?

    init(
        _ options: PaperOptions, model: String, classSet: URL, imageOptions: ImageOptions, pool: ThreadPool, features: URL?, quiet: Bool
    ) throws {
        self.options = options
        self.model = model
        classSetFile = classSet
        let own = try ClassSet(contentsOf: classSet)
        self.classSet = own
        tests = try options.tests.map { test in
            PaperTest(data: test.data, classSet: try test.classSet.map { try ClassSet(contentsOf: URL(fileURLWithPath: $0)) } ?? own)
        }
        self.imageOptions = imageOptions
        self.pool = pool
        self.features = features
        notices = Notices(isQuiet: quiet)
        out = URL(fileURLWithPath: options.out ?? "")
        let url = try ModelLocation.url(model)
        if QuantizedFolder.isOne(url) { throw ValidationError("\(model) is quantized; --paper begins with the float model") }
        float = try ModelLoader(instructionSet: ProcessorOptions.instructionSet()).load(model)
    }

    /// Runs what is not done yet.
    func run() throws -> PaperReport {
        try FileManager.default.createDirectory(at: out, withIntermediateDirectories: true)
        let plans = try options.plans()
        let (base, training) = (try open("float"), try trainingData("float"))
        store = try PaperStore(
            out,
            PaperStore.Identity(
                model: float.name, model_sha256: float.sha256, class_set_sha256: classSet.sha256, train: options.train,
                train_sha256: training.sha256, tests: tests.map(\.data), tests_sha256: base.data.map(\.sha256), epochs: options.epochs,
                context: contextLength))
        try calibrate(plans)
        try fullPrecision()
        for plan in plans { try quantized(plan.description) }
        for plan in plans { try searched(plan.description) }
        for plan in plans { try reconstructed(plan.description) }
        if !options.noAblations {
            let plan = (plans.first { $0.description == "4-4-8" } ?? plans[0]).description
            try ablations(plan)
        }
        return PaperReport(
            model: float.name, classSet: classSet, tests: tests.map(\.data), images: training.count, epochs: options.epochs,
            context: contextLength,
            seeds: options.seeds, bits: plans.map(\.description), promptOperations: Self.promptOperations(float), cells: cells)
    }

    private var contextLength: Int {
        options.context ?? (ModelLocation.builtIn(model) != nil ? TuningOptions.builtInContext : TuningSettings().contextLength)
    }

    private static func promptOperations(_ model: CLIPModel) -> Int {
        model.text.flatMap { PromptTower($0.encoder) }?.configuration.operationsPerPrompt ?? 0
    }

    // MARK: Rows

    private func fullPrecision() throws {
        try add("float/zero-shot") { try $0.cell($1, pictures: true) }
        try probe("float", quantized: nil)
        for seed in 0..<options.seeds {
            var settings = settings(seed)
            settings.parts = .prompt
            try tune("float/prompt/seed \(seed)", settings)
            try tune("float/both/seed \(seed)", self.settings(seed))
        }
    }

    private func quantized(_ bits: String) throws {
        for observer in Observer.allCases {
            try add("\(bits)/\(observer.rawValue)") { try $0.cell($1, pictures: observer == .omse) }
        }
        try probe(bits, quantized: BitPlan(bits)?.weights)
        for seed in 0..<options.seeds {
            try tune("\(bits)/p4q/seed \(seed)", settings(seed), pictures: seed == 0)
        }
    }

    /// Beyond the paper: what its recipe fixes is found on held-out images.
    private func searched(_ bits: String) throws {
        for seed in 0..<options.seeds { try tune("\(bits)/search/seed \(seed)", settings(seed), searching: true) }
    }

    /// Beyond the paper: the same on weights that were chosen for what their layers give.
    private func reconstructed(_ bits: String) throws {
        try add("\(bits)/\(Rounding.reconstruction.rawValue)") { try $0.cell($1) }
        for seed in 0..<options.seeds { try tune("\(bits)/reconstructed/seed \(seed)", settings(seed), searching: true) }
    }

    private func ablations(_ bits: String) throws {
        func trial(_ name: String, epochs: Int, _ change: (inout TuningSettings) -> Void) throws {
            var settings = settings(0)
            settings.epochs = epochs
            change(&settings)
            do {
                try tune("\(bits)/ablation/\(name)", settings)
            } catch TuningError.promptTooLong { notices.note("\(name): the text tower has no room for it") }
        }
        let (full, some) = (options.epochs, max(1, options.epochs * 2 / 5))
        try trial("parts/prompt", epochs: full) { $0.parts = .prompt }
        try trial("parts/adapter", epochs: full) { $0.parts = .adapter }
        try trial("parts/both", epochs: full) { _ in }
        try trial("losses/distillation", epochs: some) { $0.classWeight = 0 }
        try trial("losses/class", epochs: some) { $0.distillationWeight = 0 }
        for lambda in [0.5, 1, 1.5] as [Float] { try trial("losses/lambda \(lambda)", epochs: some) { $0.distillationWeight = lambda } }
        for length in [4, 8, 16, 32] {
            for ratio in [0, 0.2, 0.4, 0.6, 0.8, 1] as [Float] {
                try trial("size/\(length) x \(ratio)", epochs: some) {
                    $0.contextLength = length
                    if ratio == 0 { $0.parts = .prompt } else { $0.adaptRatio = ratio }
                }
            }
        }
        for rule in StraightThrough.allCases { try trial("rounding/\(rule.rawValue)", epochs: some) { $0.straightThrough = rule } }
        try trial("adapter/straight-through", epochs: full) { $0.adapterQuantization = .straightThrough }
        for epochs in [10, 20, 50] { try trial("epochs/\(epochs)", epochs: epochs) { _ in } }
    }

    private func settings(_ seed: Int) -> TuningSettings {
        var settings = TuningSettings()
        settings.epochs = options.epochs
        settings.contextLength = contextLength
        settings.seed = UInt64(seed)
        return settings
    }

    // MARK: Cells

    private func add(_ key: String, _ make: (PaperModel, String) throws -> PaperCell) throws {
        guard let store else { return }
        let cell = try store.cell(key) { try make(open(key), key) }
        cells.append(cell)
        notices.note("\(key): \(fixed(cell.top1 * 100, 2)) %")
    }

    private func probe(_ base: String, quantized bits: BitWidth?) throws {
        try add("\(base)/probe") { model, key in
            let data = try trainingData(key)
            let start = ContinuousClock.now
            let width = data.featureWidth
            let rows = data.labels.indices.flatMap { image in
                data.features[image * data.views * width..<image * data.views * width + width]
            }
            var probe = try LinearProbe(features: rows, labels: data.labels, classes: data.classes, pool: pool)
            if let bits { probe = probe.quantized(bits) }
            return try model.cell(key, probe: probe, weightBits: bits?.rawValue ?? 32, seconds: (.now - start) / .seconds(1))
        }
    }

    private func tune(
        _ key: String, _ settings: TuningSettings, searching: Bool = false, pictures: Bool = false
    ) throws {
        try add(key) { model, key in
            let data = try trainingData(key)
            let start = ContinuousClock.now
            var run = run(settings, student: model.model)
            if searching { run = run.with(try TuningSearch().run(run, data) { _, _, _ in }) }
            let folder = out.appendingPathComponent("tunings")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let file = folder.appendingPathComponent(PaperStore.fileName(key) + ".safetensors")
            let state = file.appendingPathExtension("state")
            let (trainer, checkpoint) = try run.trainer(data, checkpoint: state)
            var progress = Progress(key, total: trainer.steps * run.settings.epochs, isQuiet: notices.isQuiet)
            while !trainer.isFinished {
                let before = trainer.state.epoch * trainer.steps
                _ = try trainer.runEpoch { progress.update(before + $0) }
                try checkpoint?.write(trainer.state)
            }
            progress.end()
            let tuning = try run.file(trainer, data)
            try tuning.write(to: file)
            try? FileManager.default.removeItem(at: state)
            let bytes = (try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int) ?? 0
            return try model.cell(key, tuning: tuning, bytes: bytes, seconds: (.now - start) / .seconds(1), pictures: pictures)
        }
    }

    private func run(_ settings: TuningSettings, student: CLIPModel) -> TuningRun {
        TuningRun(settings, student: student, teacher: float, classSet: classSet, pool: pool)
    }

    // MARK: Models and data

    /// The model of a row, with its data sets' features: what is no observer's own row builds on OMSE's.
    private func open(_ key: String) throws -> PaperModel {
        let parts = key.split(separator: "/").map(String.init)
        let row = parts.dropFirst().first ?? ""
        let made = row.hasPrefix("reconstruct") ? Rounding.reconstruction.rawValue : (Observer(rawValue: row) ?? .omse).rawValue
        let name = parts[0] == "float" ? "float" : "\(parts[0])/\(made)"
        if let student, student.key == name { return student.model }
        let model: CLIPModel
        let size: Double
        if name == "float" {
            model = float
            size = EvaluatedModel.sizeMiB(of: try Checkpoint.load(ModelLocation.url(self.model)).files)
        } else {
            let folder = folder(name)
            model = try ModelLoader(instructionSet: ProcessorOptions.instructionSet()).load(folder.path)
            size = EvaluatedModel.sizeMiB(of: [folder.appendingPathComponent("model.safetensors")])
        }
        var sets: [LabelledFeatures] = []
        for test in tests {
            let collector = try FeatureCollector(models: [model], cache: features, views: 1, decoder: imageOptions.decoder, pool: pool)
            try collect([test.data], test.classSet, into: collector, "\(name): \(test.data)")
            guard !collector.labels.isEmpty else { throw ValidationError("\(test.data): none of the test images can be used") }
            sets.append(LabelledFeatures(features: collector.features()[0], labels: collector.labels, sha256: collector.sha256))
        }
        let opened = PaperModel(
            model: model, sizeMiB: size,
            operations: model.text.flatMap { PromptTower($0.encoder) }?.configuration.operationsPerImage ?? 0, tests: tests, data: sets,
            pool: pool)
        student = (name, opened, nil)
        return opened
    }

    /// The training images as the model of a row sees them.
    private func trainingData(_ key: String) throws -> TrainingData {
        let model = try open(key).model
        if let data = student?.data { return data }
        let run = run(settings(0), student: model)
        let collector = try run.collector(cache: features, decoder: imageOptions.decoder)
        try collect(options.train, classSet, into: collector, "\(model.name): training images")
        guard collector.labels.count > 1 else { throw ValidationError("none of the training images can be used") }
        let data = try run.data(collector)
        student?.data = data
        return data
    }

    private func collect(_ inputs: [String], _ classSet: ClassSet, into collector: FeatureCollector, _ title: String) throws {
        var images = LabelledImages(inputs, classSet: classSet, maxBytes: imageOptions.maxBytes, quiet: notices.isQuiet)
        var progress = Progress(title, isQuiet: notices.isQuiet)
        while let piece = images.next() {
            let items = piece.map { job, label in
                FeatureCollector.Item(id: job.job.id, bytes: job.payload.withUnsafeBytes(Array.init), label: label)
            }
            for start in stride(from: 0, to: items.count, by: FeatureCollector.batch) {
                for failure in collector.add(Array(items[start..<min(start + FeatureCollector.batch, items.count)])) {
                    images.fail(failure.id, failure.error.code, failure.error.message(for: failure.id))
                }
            }
            progress.update(collector.labels.count)
        }
        progress.end()
    }

    /// The folder of a quantized model, of its row's key as "4-4-8/omse".
    private func folder(_ name: String) -> URL {
        let parts = name.split(separator: "/")
        return out.appendingPathComponent("models/\(parts[1])-\(parts[0])")
    }

    private func calibrate(_ bits: [BitPlan]) throws {
        let plans = bits.flatMap { bits in
            Observer.allCases.map { QuantizationPlan(bits: bits, observer: $0) }
                + [QuantizationPlan(bits: bits, observer: .omse, rounding: .reconstruction)]
        }
        let models = out.appendingPathComponent("models")
        let missing = plans.filter { !QuantizedFolder.isOne(models.appendingPathComponent(Sweep.folderName($0))) }
        if missing.isEmpty { return }
        let url = try ModelLocation.url(model)
        let arguments = options.train.flatMap { ["--calibration", $0] } + ["--class-set", classSetFile.path]
        let calibrated = try CalibratedModel(
            try Checkpoint.load(url), folder: CLIPModel.folder(of: url), tokenizer: CLIPModel.folder(of: url), plans: missing,
            recipe: .paper,
            data: CalibrationOptions.parse(arguments), instructionSet: try ProcessorOptions.instructionSet(), pool: pool,
            quiet: notices.isQuiet)
        _ = try Sweep(calibrated: calibrated, out: models, quiet: notices.isQuiet)
            .write(missing, Interruption())
    }
}
