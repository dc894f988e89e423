import ArgumentParser
import CLIP
import Foundation
import Quantization
import Tensors

extension Observer: ExpressibleByArgument {}
extension Recipe: ExpressibleByArgument {}
extension Rounding: ExpressibleByArgument {}

/// How many bits each part of a model gets, and how ranges are fixed.
struct PlanOptions: ParsableArguments {
    @Option(
        name: .long,
        help: """
            paper: every linear map at the widths of --bits, in integers. reference: as the authors' released program, only the patch \
            embedding at those widths, 8 bits elsewhere with a scale a channel (folded into the weights' columns before these are \
            quantized), attention in float.
            """)
    var recipe = Recipe.paper

    @Option(
        name: .long,
        help: """
            Bit widths, weights-activations-attention, each 8, 4, 3 or 2: 8-8-8 if not given. With --sweep several, separated by commas: \
            8-8-8,4-8-8,4-4-8,3-3-8,2-2-8 if not given.
            """)
    var bits: String?

    @Option(name: .long, help: "Bits of the weights, in place of --bits's first.")
    var weights: Int?

    @Option(name: .long, help: "Bits of the activations, in place of --bits's second.")
    var activations: Int?

    @Option(name: .long, help: "Bits of q, k, v and softmax's output, in place of --bits's third.")
    var attention: Int?

    @Option(
        name: .long,
        help: """
            A YAML or JSON list of exceptions, the later one wins: - {match: vision.0.*, weights: 8, activations: 8}. Names are those of \
            layers (vision.patch, text.3.qkv, .out, .fc1, .fc2) and of quantization points (vision.0.probs, text.3.fc2.in).
            """, completion: .file())
    var overrides: String?

    @Option(name: .long, help: "How ranges are fixed: minmax, ema, percentile or omse (if not given). A sweep takes all.")
    var observer: Observer?

    @Option(
        name: .long,
        help: """
            nearest: each weight for itself, as in the paper. reconstruction: beyond it, layer after layer, so that what each gives on the \
            calibration images and prompts is nearest to the float model; worth its time at 4 bits and below. distillation: then \
            the image tower is also trained through its quantizers to give the float tower's features, without labels; minutes for a \
            small model. Measured with 5,500 --samples.
            """)
    var rounding = Rounding.nearest

    /// What can be checked without a model.
    func check(sweep: Bool) throws {
        if !sweep, try widths(sweep: false).count > 1 { throw ValidationError("several bit widths go with --sweep") }
        if sweep {
            _ = try widths(sweep: true)
            if observer != nil { throw ValidationError("--sweep takes all observers; --observer goes without it") }
        }
        if sweep && rounding != .nearest {
            throw ValidationError("--rounding \(rounding.rawValue) goes without --sweep, which takes a minute for each model")
        }
        if recipe == .reference && rounding != .nearest {
            throw ValidationError("--rounding \(rounding.rawValue) goes with the recipe paper")
        }
        if recipe == .reference && attention != nil { throw ValidationError("--attention: the recipe reference keeps attention in float") }
    }

    /// In their order, each once.
    private func widths(sweep: Bool) throws -> [BitPlan] {
        let all = try (bits ?? (sweep ? Sweep.defaultBits : "8-8-8")).split(separator: ",", omittingEmptySubsequences: false).map {
            guard var plan = BitPlan(String($0)) else {
                throw ValidationError("--bits \($0) is not W-A-T with widths of 8, 4, 3 or 2, as 4-4-8")
            }
            plan.weights = try width("--weights", weights) ?? plan.weights
            plan.activations = try width("--activations", activations) ?? plan.activations
            plan.attention = try width("--attention", attention) ?? plan.attention
            return plan
        }
        return all.enumerated().filter { !all[..<$0.offset].contains($0.element) }.map(\.element)
    }

    private func width(_ option: String, _ bits: Int?) throws -> BitWidth? {
        guard let bits else { return nil }
        guard let width = BitWidth(rawValue: bits) else { throw ValidationError("\(option) \(bits): there are 8, 4, 3 and 2 bits") }
        return width
    }

    /// The plan, or those of a sweep, with their exceptions checked against the model.
    func plans(for configuration: CLIPConfiguration, sweep: Bool) throws -> [QuantizationPlan] {
        let exceptions = try overrides.map { try PlanOverride.list(contentsOf: URL(fileURLWithPath: $0)) } ?? []
        // Percentile is not defined for a scale a channel.
        let all = Observer.allCases.filter { recipe == .paper || $0 != .percentile }
        let plans = try widths(sweep: sweep).flatMap { bits in
            (sweep ? all : [observer ?? .omse]).map {
                QuantizationPlan(recipe: recipe, bits: bits, observer: $0, overrides: exceptions, rounding: rounding)
            }
        }
        for plan in plans { try plan.validate(for: configuration) }
        return plans
    }
}
