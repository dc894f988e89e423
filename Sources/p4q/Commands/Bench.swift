import ArgumentParser
import CLIP
import Foundation
import Imaging
import Quantization
import Tensors

extension KnownShape: ExpressibleByArgument {}

/// `p4q bench ...`: how fast this machine is.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure speed.",
        subcommands: [BenchEncoder.self, BenchPipeline.self, BenchPreprocess.self, BenchTuning.self, BenchJournal.self, BenchQueue.self])
}

/// The model to measure: made up at the start, or loaded.
struct BenchModelOptions: ParsableArguments {
    @Option(name: .long, help: "Weights made up at start: vit-b-32, vit-b-16 or vit-l-14.")
    var random: KnownShape?

    @Option(name: .long, help: "A model to load instead, float or quantized.", completion: .directory)
    var model: String?

    @Option(name: .long, help: "Bit widths, weights-activations-attention; 32 is float. A quantized model has its own.")
    var bits: String?

    static let largestBatch = 4096

    func validate() throws {
        if (random == nil) == (model == nil) { throw ValidationError("give either --random SHAPE or --model DIR") }
        if let bits, bits != "32", BitPlan(bits) == nil {
            throw ValidationError("--bits \(bits) is neither 32 (float) nor W-A-T, as 8-8-8")
        }
    }

    /// The model's image tower; `clock` is told what its parts take, if it is quantized.
    func subject(pool: ThreadPool, clock: StageClock? = nil) throws -> BenchSubject {
        if let model {
            let url = try ModelLocation.url(model)
            if QuantizedFolder.isOne(url) { return try quantizedFolder(url, clock) }
        }
        let checkpoint = try checkpoint()
        let set = try ProcessorOptions.instructionSet()
        let float = try CLIPModel.forImages(checkpoint, kernels: FloatKernels(set))
        guard let plan = bits.flatMap(BitPlan.init) else {
            return BenchSubject(model: float, configuration: checkpoint.configuration, bits: nil)
        }
        let normalization = try ImagePreprocessor(float.preprocessor).normalization
        let tower = FloatImageEncoder(checkpoint, normalization: normalization, kernels: FloatKernels(set))
        // Quantized by the ranges of a few made-up pictures: what they are doesn't change the speed.
        let calibrator = Calibrator(image: tower, text: nil, activationBits: [], attentionBits: [], pool: pool)
        let samples = 2 * tower.imageSide * tower.imageSide * 3
        try calibrator.observe(crops: (0..<samples).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) })
        let tensors = try QuantizedTensors(checkpoint, calibrator.finish(), observer: .minMax, bits: plan, towers: [.vision])
        let encoder = QuantizedImageEncoder(
            tensors, checkpoint.configuration, normalization: normalization, instructionSet: set, clock: clock)
        let model = CLIPModel(
            name: float.name, sha256: float.sha256, preprocessor: float.preprocessor, imageEncoder: encoder, text: nil, scale: float.scale)
        return BenchSubject(model: model, configuration: checkpoint.configuration, bits: plan, recipe: .paper)
    }

    private func quantizedFolder(_ folder: URL, _ clock: StageClock?) throws -> BenchSubject {
        let configuration = folder.appendingPathComponent("config.json")
        let plan = try QuantizationDescription.read(configuration: configuration)?.plan(file: configuration)
        if let bits, bits != plan?.bits.description {
            throw ValidationError("\(folder.path) is quantized at \(plan?.bits.description ?? "?"); leave --bits \(bits) out")
        }
        return BenchSubject(
            model: try QuantizedFolder.load(folder, instructionSet: try ProcessorOptions.instructionSet(), clock: clock),
            configuration: try CLIPConfiguration(contentsOf: configuration), bits: plan?.bits, recipe: plan?.recipe)
    }

    private func checkpoint() throws -> Checkpoint {
        if let model { return try Checkpoint.load(ModelLocation.url(model)) }
        guard let random else { throw ValidationError("give either --random SHAPE or --model DIR") }
        return Checkpoint.random(
            random.configuration, name: "random \(random.rawValue)", seed: 1,
            prefixes: ["vision_model.", "visual_projection.", "logit_scale"])
    }
}

/// A model under measurement.
struct BenchSubject {
    let model: CLIPModel
    let configuration: CLIPConfiguration

    /// nil: float.
    let bits: BitPlan?
    var recipe: Recipe?

    /// The widths that nearly all of the integer products have: the recipe `reference` has others in the patch embedding only.
    var productBits: BitPlan? {
        recipe == .reference ? BitPlan(weights: .eight, activations: .eight, attention: .eight) : bits
    }

    /// Whether the tower tells what its parts take.
    var isClocked: Bool { recipe == .paper }

    var bitsText: String { bits?.description ?? "32" }
}

/// Seconds that calls take, repeated for a stated time.
struct Stopwatch {
    private(set) var seconds: [Double] = []

    /// Calls `body` until `duration` seconds have passed, at least `least` times.
    mutating func repeating(for duration: Double, least: Int = 2, _ body: () -> Void) {
        let end = ContinuousClock.now + .seconds(duration)
        var count = 0
        while count < least || ContinuousClock.now < end {
            seconds.append(Self.time(body))
            count += 1
        }
    }

    static func time(_ body: () -> Void) -> Double {
        let elapsed = ContinuousClock().measure(body)
        return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
    }

    var median: Double { Self.median(seconds) }

    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}

/// Prints a report as one JSON object on one line, or as a name and a value a line.
func printReport(_ fields: [(name: String, value: any Encodable)], json: Bool) throws {
    if json {
        try StandardOutput.line(jsonObject(fields))
    } else {
        let width = max(28, (fields.map(\.name.count).max() ?? 0) + 2)
        for field in fields {
            try StandardOutput.line(field.name.padding(toLength: width, withPad: " ", startingAt: 0) + text(field.value))
        }
    }
    try StandardOutput.flush()
}

/// For people: parts of a whole by their size.
private func text(_ value: any Encodable) -> String {
    guard let parts = value as? [String: Double] else { return "\(value)" }
    return parts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
}

/// One line of JSON with the fields in their order; names are plain identifiers.
func jsonObject(_ fields: [(name: String, value: any Encodable)]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.withoutEscapingSlashes]
    let members = try fields.map { field in
        "\"\(field.name)\":\(String(decoding: try encoder.encode(field.value), as: UTF8.self))"
    }
    return "{\(members.joined(separator: ","))}"
}

/// A figure with as many digits as mean something.
func rounded(_ value: Double, _ digits: Int = 2) -> Double {
    let unit = pow(10, Double(digits))
    return (value * unit).rounded(.toNearestOrEven) / unit
}

/// What the processor calls itself.
func processorName() -> String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    func field(_ name: String) -> String {
        text.split(separator: "\n").first { $0.hasPrefix(name) }?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "?"
    }
    return "\(field("model name")), family \(field("cpu family")) model \(field("model\t"))"
}
