import ArgumentParser
import CLIP
import Foundation
import Quantization
import Tensors
import Tuning

/// `p4q bench tuning`: one step of learning prompt and adapter through a quantized text tower.
struct BenchTuning: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tuning",
        abstract: "Seconds a step of learning a prompt and an adapter with both losses, through a text tower of made-up weights.")

    @Option(name: .long, help: "The text tower's shape: vit-b-32, vit-b-16 or vit-l-14.")
    var random = KnownShape.vitB32

    @Option(name: .long, help: "Bit widths, weights-activations-attention; 32 is float.")
    var bits = "8-8-8"

    @Option(name: .long, help: "Classes.")
    var classes = 100

    @Option(name: .long, help: "Context vectors.")
    var context = 16

    @Option(name: .long, help: "Tokens of each class's own, before the end token.")
    var ownTokens = 3

    @Option(name: .long, help: "Images in a step.")
    var batch = 128

    @Option(name: .long, help: "Steps that are measured, after one that isn't.")
    var steps = 5

    @Flag(name: .long, help: "Compute every prompt as a whole, as if nothing were shared.")
    var noSharing = false

    @OptionGroup var threading: ThreadOptions

    @Flag(name: .long, help: "Print a JSON object.")
    var json = false

    func validate() throws {
        if classes < 1 || context < 1 || ownTokens < 1 || batch < 1 || steps < 1 {
            throw ValidationError("--classes, --context, --own-tokens, --batch and --steps must be at least 1")
        }
        if bits != "32" && BitPlan(bits) == nil { throw ValidationError("--bits \(bits) is neither 32 (float) nor W-A-T, as 8-8-8") }
        if context + ownTokens + 2 > random.configuration.contextLength { throw ValidationError("such prompts are too long for the tower") }
    }

    func run() async throws {
        let pool = threading.makePool()
        let configuration = random.configuration
        let tower = try makeTower(configuration, pool)
        let tokens = (0..<classes).map { index in
            let name = (0..<ownTokens).map { Int32(1000 + (index * ownTokens + $0) * 37 % 40_000) }
            return ClassTokens([49_406] + name + [49_407], fullStop: nil)
        }
        let pass = PromptPass(tower: tower, classes: tokens, contextLength: context, pool: pool, sharing: !noSharing)
        let objective = TuningObjective(prompt: pass, scale: 100, ratio: 0.2)
        let width = configuration.projectionWidth
        let random = PhiloxRandom(seed: 1)
        var parameters = TuningParameters(
            context: random.stream(0).normals(context * configuration.text.width, deviation: 0.02),
            adapter: AdapterParameters(width: width, random: random.stream(1)))
        var teacher = random.stream(2).normals(batch * classes, deviation: 3)
        FloatKernels().softmax(&teacher, stride: classes, scale: 1, rows: batch, width: classes)
        let data = TuningBatch(
            features: random.stream(3).normals(batch * width, deviation: 1), labels: (0..<batch).map { $0 % classes }, teacher: teacher)
        var adam = AdamW(width: width)
        func step() {
            let result = objective.evaluate(parameters, data)
            for index in parameters.context.indices { parameters.context[index] -= 3.2e-3 * result.gradient.context[index] }
            guard var adapter = parameters.adapter, let gradient = result.gradient.adapter else { return }
            adam.step(&adapter, gradient: gradient, rate: 1e-3)
            parameters.adapter = adapter
        }
        step()
        var watch = Stopwatch()
        watch.repeating(for: 0, least: steps, step)
        try printReport(
            [
                ("seconds_per_step", rounded(watch.median, 4)), ("steps", watch.seconds.map { rounded($0, 4) }),
                ("peak_rss_mib", Self.peakMemory), ("bits", bits), ("classes", classes), ("context", context), ("own_tokens", ownTokens),
                ("batch", batch), ("threads", pool.threads), ("shares_prefix", !noSharing), ("processor", processorName()),
            ], json: json)
    }

    /// The tower; its float checkpoint is gone when this returns.
    private func makeTower(_ configuration: CLIPConfiguration, _ pool: ThreadPool) throws -> PromptTower {
        let set = try ProcessorOptions.instructionSet()
        let checkpoint = Checkpoint.random(
            configuration, name: "random", seed: 1, prefixes: ["text_model.", "text_projection.", "logit_scale"])
        let float = FloatTextEncoder(checkpoint, kernels: FloatKernels(set))
        guard let plan = BitPlan(bits) else { return .float(float) }
        // A few prompts: what the ranges are doesn't change the speed.
        let calibrator = Calibrator(image: nil, text: float, activationBits: [], attentionBits: [], pool: pool)
        try calibrator.observe(prompts: (0..<4).map { [49_406, Int32(2000 + $0), Int32(3000 + $0), 49_407] })
        let tensors = try QuantizedTensors(checkpoint, calibrator.finish(), observer: .minMax, bits: plan, towers: [.text])
        return .quantized(QuantizedTextEncoder(tensors, configuration, instructionSet: set))
    }

    /// The process's largest resident size so far, in MiB.
    static var peakMemory: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") }
        return (line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0) / 1024
    }
}
