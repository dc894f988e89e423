import ArgumentParser
import CLIP
import Foundation
import Quantization
import Tensors

extension Observer: ExpressibleByArgument {}
extension Recipe: ExpressibleByArgument {}

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

    @Option(name: .long, help: "Bit widths, weights-activations-attention, each 8, 4, 3 or 2.")
    var bits = "8-8-8"

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

    @Option(name: .long, help: "How ranges are fixed: minmax, ema, percentile or omse.")
    var observer = Observer.omse

    func validate() throws { _ = try plan }

    /// The widths alone.
    private var plan: BitPlan {
        get throws {
            guard var plan = BitPlan(bits) else {
                throw ValidationError("--bits \(bits) is not W-A-T with widths of 8, 4, 3 or 2, as 4-4-8")
            }
            plan.weights = try width("--weights", weights) ?? plan.weights
            plan.activations = try width("--activations", activations) ?? plan.activations
            plan.attention = try width("--attention", attention) ?? plan.attention
            if recipe == .reference && attention != nil {
                throw ValidationError("--attention: the recipe reference keeps attention in float")
            }
            return plan
        }
    }

    private func width(_ option: String, _ bits: Int?) throws -> BitWidth? {
        guard let bits else { return nil }
        guard let width = BitWidth(rawValue: bits) else { throw ValidationError("\(option) \(bits): there are 8, 4, 3 and 2 bits") }
        return width
    }

    /// The plan, with its exceptions checked against the model.
    func plan(for configuration: CLIPConfiguration) throws -> QuantizationPlan {
        let exceptions = try overrides.map { try PlanOverride.list(contentsOf: URL(fileURLWithPath: $0)) } ?? []
        let plan = QuantizationPlan(recipe: recipe, bits: try plan, observer: observer, overrides: exceptions)
        try plan.validate(for: configuration)
        return plan
    }
}
