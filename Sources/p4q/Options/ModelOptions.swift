import ArgumentParser
import BuiltInModel
import CLIP
import Foundation
import Imaging
import Quantization
import Tensors
import Tuning

extension Activation: ExpressibleByArgument {
    public static var allValueStrings: [String] { [Activation.quickGELU.rawValue, Activation.gelu.rawValue] }
}

/// Which model, and on how many threads.
struct ModelOptions: ParsableArguments {
    @Option(
        name: .long,
        help: """
            A CLIP as it is published (a Hugging Face folder, or OpenAI's or open_clip's file), or a folder of p4q quantize; builtin-8 or \
            builtin for the model that comes with the program, in 8 bits (the default) or float16.
            """, completion: .directory)
    var model: String?

    @Option(name: .long, help: "The folder of the tokenizer's files, where they don't lie beside the weights.", completion: .directory)
    var tokenizer: String?

    @Option(name: .long, help: "The activation, instead of what the configuration says: quick_gelu or gelu.")
    var activation: Activation?

    @Option(name: .long, help: "What p4q tune has learned for this model: a prompt and an adapter.", completion: .file())
    var tuning: String?

    @OptionGroup var threading: ThreadOptions

    /// Loads the model, with the tuning in it.
    func load() throws -> CLIPModel {
        let set = try ProcessorOptions.instructionSet()
        let loader = ModelLoader(tokenizer: tokenizer.map { URL(fileURLWithPath: $0) }, activation: activation, instructionSet: set)
        return try loader.load(model, tuning: tuning)
    }
}

/// What is taught, and by what.
struct LearnerOptions: ParsableArguments {
    @Option(
        name: .long,
        help: "The model to learn for: a folder of p4q quantize, or a float model; the built-in one in 8 bits if not given.",
        completion: .directory)
    var model: String?

    @Option(
        name: .long, help: "The float model that teaches; the built-in one in float16 if it is the built-in one that learns.",
        completion: .directory)
    var teacher: String?

    var isBuiltIn: Bool { ModelLocation.builtIn(model) != nil }

    /// - Parameter hasClassSet: whether a class set was named.
    func check(hasClassSet: Bool) throws {
        if isBuiltIn { return }
        if teacher == nil { throw ValidationError("--teacher: name the float model that \(model ?? "") was made from") }
        if !hasClassSet { throw ValidationError("--class-set: name the file that says which classes there are") }
    }

    func load() throws -> (student: CLIPModel, teacher: CLIPModel) {
        let loader = ModelLoader(instructionSet: try ProcessorOptions.instructionSet())
        return (try loader.load(model), try loader.load(teacher ?? BuiltInModel.float.rawValue))
    }
}

/// Loads float and quantized models alike.
struct ModelLoader {
    var tokenizer: URL?
    var activation: Activation?
    let instructionSet: InstructionSet

    /// The model, with the tuning in it, if there is one.
    func load(_ path: String?, tuning: String? = nil) throws -> CLIPModel {
        let loaded = try untuned(path)
        guard let tuning else { return loaded }
        let file = URL(fileURLWithPath: tuning)
        return try TuningFile.load(file).applied(to: loaded, name: file.lastPathComponent, instructionSet: instructionSet)
    }

    private func untuned(_ path: String?) throws -> CLIPModel {
        let url = try ModelLocation.url(path)
        if QuantizedFolder.isOne(url) {
            guard activation == nil else { throw ValidationError("--activation goes with a float model; \(url.path) is quantized already") }
            return try QuantizedFolder.load(url, tokenizer: tokenizer, instructionSet: instructionSet)
        }
        return try CLIPModel.load(url, tokenizer: tokenizer, activation: activation, kernels: FloatKernels(instructionSet))
    }
}

/// Where things are kept between runs.
enum CacheFolder {
    /// `option`, or p4q's own folder of this name in the user's cache directory; nil for "none".
    static func url(_ name: String, option: String?) -> URL? {
        if option == "none" { return nil }
        if let option { return URL(fileURLWithPath: option) }
        let environment = ProcessInfo.processInfo.environment
        let base = environment["XDG_CACHE_HOME"] ?? environment["HOME"].map { $0 + "/.cache" }
        return base.map { URL(fileURLWithPath: $0).appendingPathComponent("p4q/\(name)") }
    }
}

/// How many threads compute.
struct ThreadOptions: ParsableArguments {
    @Option(name: .long, help: "Threads that compute; all cores if not given.")
    var threads: Int?

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads must be at least 1") }
    }

    var count: Int { threads ?? ProcessInfo.processInfo.activeProcessorCount }

    /// The pool to compute on.
    func makePool() -> ThreadPool { ThreadPool(threads: count) }
}

/// The instruction set, which only the environment chooses: it is for tests and for finding faults.
enum ProcessorOptions {
    static func instructionSet() throws -> InstructionSet {
        guard let name = ProcessInfo.processInfo.environment["P4Q_ISA"], !name.isEmpty else { return .best }
        guard let set = InstructionSet(rawValue: name) else {
            throw ValidationError("P4Q_ISA is \(name); there are \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard set.isSupported else {
            throw ValidationError(
                "P4Q_ISA is \(name), which this machine cannot run; it can run \(InstructionSet.supported.map(\.rawValue).joined(separator: ", "))"
            )
        }
        return set
    }
}

/// Into what images are classified.
struct ClassOptions: ParsableArguments {
    @Option(name: .long, help: "Class names, separated by commas.")
    var labels: String?

    @Option(name: .long, help: "A class set in YAML or JSON. A worker takes several; the first is the default.", completion: .file())
    var classSet: [String] = []

    @Option(name: .long, help: "A prompt in which {} stands for the class name; repeat it for an ensemble.")
    var template: [String] = []

    @Option(name: .long, help: "Predictions an image; the class set's own number if not given.")
    var topK: Int?

    @Flag(name: .long, help: "Cut prompts that are too long for the model instead of refusing them.")
    var truncatePrompts = false

    @Option(name: .long, help: "The folder where text features are kept between runs; \"none\" keeps none.", completion: .directory)
    var cache: String?

    func validate() throws {
        if let topK, topK < 1 { throw ValidationError("--top-k must be at least 1") }
        if labels != nil && !classSet.isEmpty { throw ValidationError("give either --labels or --class-set, not both") }
        if labels == nil && !template.isEmpty { throw ValidationError("--template goes with --labels; a class set has its own templates") }
    }

    /// The files of `--class-set`.
    var files: [URL] { classSet.map { URL(fileURLWithPath: $0) } }

    /// The set of `--labels`, if that is given.
    func inlineSet() throws -> ClassSet? {
        guard let labels else { return nil }
        let names = labels.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        return try ClassSet(labels: names, templates: template, topK: topK ?? ClassSet.defaultTopK)
    }

    /// Whether nothing says into what.
    var areMissing: Bool { labels == nil && classSet.isEmpty }

    /// Where text features are kept: `--cache`, or p4q's folder in the user's cache directory.
    func textFeatureCache() -> TextFeatureCache? {
        CacheFolder.url("text", option: cache).map { TextFeatureCache(folder: $0) }
    }
}

/// How images are read.
struct ImageOptions: ParsableArguments {
    @Flag(name: .long, help: "Leave images as they are stored, whatever their EXIF orientation says.")
    var ignoreOrientation = false

    @Option(name: .long, help: "The largest image, in pixels.")
    var maxPixels = ImageLimits().maximumPixels

    @Option(name: .long, help: "The largest image file, in bytes.")
    var maxBytes = ImageLimits().maximumBytes

    @Option(name: .long, help: "The greatest ratio of an image's sides.")
    var maxAspect = ImageLimits().maximumAspectRatio

    func validate() throws {
        if maxPixels < 1 || maxBytes < 1 || maxAspect < 1 { throw ValidationError("image limits must be at least 1") }
    }

    var limits: ImageLimits {
        ImageLimits(maximumBytes: maxBytes, maximumPixels: maxPixels, maximumAspectRatio: maxAspect)
    }

    var decoder: ImageDecoder { ImageDecoder(limits: limits, appliesOrientation: !ignoreOrientation) }
}
