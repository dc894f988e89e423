import ArgumentParser
import BuiltInModel
import CLIP
import Foundation
import Tuning

/// `p4q evaluate`: how often a model is right on labelled images.
struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure models on labelled images: accuracy, confusion, calibration error, speed and size.",
        discussion: """
            A label is the name of an image's folder, or what the .cls, .json or .txt file beside it in an archive says. It is looked up among \
            the class set's names, then synonyms, then both without regard to case, _ and -; a number is else the index of a class, from 0.

            The expected calibration error has \(ReliabilityDiagram.binCount) bins of equal width. Images/s is the time in the tower and in \
            scoring, without decoding. The peak resident memory is the process's, so of all models that are compared.
            """)

    @Option(
        name: .long,
        help: "A CLIP as it is published, a folder of p4q quantize, or builtin-8 or builtin; with neither this nor --compare, builtin-8.",
        completion: .directory)
    var model: String?

    @Option(name: .long, parsing: .upToNextOption, help: "Models to print side by side, evaluated on the same decoded images.")
    var compare: [String] = []

    @Option(
        name: .long, parsing: .upToNextOption,
        help: "Labelled images: folders of folders named after classes, and tar archives.", completion: .file())
    var data: [String] = []

    @OptionGroup var paperOptions: PaperOptions

    @Option(
        name: .long, help: "With --paper: the folder where image features are kept between runs; \"none\" keeps none.",
        completion: .directory)
    var featureCache: String?

    @Option(name: .long, help: "The folder of the tokenizer's files, where they don't lie beside the weights.", completion: .directory)
    var tokenizer: String?

    @Option(name: .long, help: "The activation of float models, instead of what the configuration says: quick_gelu or gelu.")
    var activation: Activation?

    @OptionGroup var threading: ThreadOptions
    @OptionGroup var classOptions: ClassOptions
    @OptionGroup var imageOptions: ImageOptions

    @Option(name: .long, help: "What p4q tune has learned for --model: a prompt and an adapter.", completion: .file())
    var tuning: String?

    @Option(name: .long, help: "Images in one pass through the model.")
    var batch = 32

    @Flag(name: .long, help: "Print one JSON object; of several models, one with all of them under \"models\".")
    var json = false

    @Flag(name: .long, help: "Print tables in Markdown.")
    var markdown = false

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    func validate() throws {
        if paperOptions.paper {
            if !data.isEmpty || !compare.isEmpty || tuning != nil || json || markdown {
                throw ValidationError("--paper takes --model, --train, --test, --class-set and --out; it writes every form there is")
            }
            if classOptions.classSet.count != 1 { throw ValidationError("--paper needs one --class-set FILE") }
            return
        }
        if tuning != nil && !compare.isEmpty && model == nil { throw ValidationError("--tuning goes with --model") }
        if data.isEmpty { throw ValidationError("--data needs a folder or an archive of labelled images") }
        if batch < 1 { throw ValidationError("--batch must be at least 1") }
        if json && markdown { throw ValidationError("give either --json or --markdown, not both") }
        if classOptions.topK != nil {
            throw ValidationError("--top-k has no meaning here: the first answer and the first five are counted")
        }
        if classOptions.areMissing && models.allSatisfy({ ModelLocation.builtIn($0) != nil }) { return }
        if classOptions.labels == nil && classOptions.classSet.count != 1 {
            throw ValidationError("say which classes there are: one --class-set FILE, or --labels cat,dog")
        }
    }

    /// What is evaluated, the one with the tuning first.
    private var models: [String] {
        if let model { return [model] + compare }
        return compare.isEmpty ? [ModelLocation.standard.rawValue] : compare
    }

    func run() async throws {
        if paperOptions.paper { return try runPaper() }
        let models = try models.enumerated().map { index, path in
            try EvaluatedModel(path, tokenizer: tokenizer, activation: activation, tuning: index == 0 ? tuning : nil)
        }
        let inline = try classOptions.inlineSet()
        let classSet = try inline ?? classOptions.files.first.map(ClassSet.init(contentsOf:)) ?? ModelLocation.classSet()
        let run = EvaluationRun(
            classSet: classSet, decoder: imageOptions.decoder, pool: threading.makePool(), batch: batch,
            cache: classOptions.textFeatureCache(), truncating: classOptions.truncatePrompts, isQuiet: quiet)
        let reports = try run.evaluate(models, on: data)
        try print(reports)
        if reports.contains(where: { $0.failed > 0 }) { throw CommandFailure.someItemsFailed }
    }

    private func runPaper() throws {
        let run = try PaperRun(
            paperOptions, model: model ?? BuiltInModel.float.rawValue, classSet: classOptions.files[0], imageOptions: imageOptions,
            pool: threading.makePool(), features: CacheFolder.url("features", option: featureCache), quiet: quiet)
        let report = try run.run()
        let out = URL(fileURLWithPath: paperOptions.out ?? "")
        try PaperStore.encoder.encode(report).write(to: out.appendingPathComponent("report.json"), options: .atomic)
        let markdown = PaperTables(report).markdown
        try Data(markdown.utf8).write(to: out.appendingPathComponent("report.md"), options: .atomic)
        try Data(PaperPage(report).text.utf8).write(to: out.appendingPathComponent("report.html"), options: .atomic)
        for line in markdown.split(separator: "\n", omittingEmptySubsequences: false) { try StandardOutput.line(String(line)) }
        try StandardOutput.flush()
    }

    private func print(_ reports: [EvaluationReport]) throws {
        if json {
            try StandardOutput.line(EvaluationReport.json(reports, isComparison: !compare.isEmpty))
        } else {
            let form = markdown ? EvaluationTable.Form.markdown : .plain
            for line in EvaluationTable.lines(reports, form: form) { try StandardOutput.line(line) }
            if reports.count == 1 {
                try StandardOutput.line("")
                for line in EvaluationTable.classLines(reports[0], form: form) { try StandardOutput.line(line) }
            }
            if let first = reports.first {
                let failures = first.failures.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
                try StandardOutput.line("")
                try StandardOutput.line(
                    "\(first.images) images\(first.failed > 0 ? ", \(first.failed) left out (\(failures))" : ""), peak memory \(first.peak_rss_mib) MiB"
                )
            }
        }
        try StandardOutput.flush()
    }
}

extension EvaluationReport {
    /// One object on one line.
    static func json(_ reports: [EvaluationReport], isComparison: Bool) throws -> String {
        struct Comparison: Encodable { let models: [EvaluationReport] }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = isComparison ? try encoder.encode(Comparison(models: reports)) : try encoder.encode(reports[0])
        return String(decoding: bytes, as: UTF8.self)
    }
}
