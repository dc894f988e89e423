package import CLIP
package import Tensors

/// Which parts of a model carry how many bits. Source: the method's section 2.
package enum Recipe: String, CaseIterable, Sendable {
    /// Every linear map at the plan's widths, activations with one scale a tensor, attention's products in integers.
    case paper
    /// What the authors' released program does: only the patch embedding at the plan's widths; attention's and the MLPs' weights at 8 bits; the
    /// inputs of the patch embedding, of q/k/v and of both MLP layers with a scale a channel, 8 bits but for the patch embedding's; everything
    /// else in float. The channels' scales are folded into the columns of the weights before these are quantized.
    case reference
}

/// How weights become codes.
package enum Rounding: String, CaseIterable, Sendable {
    /// Each weight for itself, by MinMax a row. Source: the paper's equations 4 to 6.
    case nearest
    /// Beyond the paper: layer after layer, so that what each gives on calibration data is nearest to the float model. See `Reconstruction`.
    case reconstruction
    /// Beyond the paper: the same, and then the image tower is trained through its quantizers to give the float tower's features.
    case distillation
}

/// Bits and observer of every layer and quantization point: a recipe, its widths, and exceptions, of which a later one wins.
///
/// Layers are `vision.patch`, `TOWER.I.qkv`, `.out`, `.fc1` and `.fc2`. A point belongs to the layer that takes it; q, k, v and probs to `qkv`.
package struct QuantizationPlan: Sendable, Equatable {
    package let recipe: Recipe
    package let bits: BitPlan
    package let observer: Observer
    package let overrides: [PlanOverride]
    package let rounding: Rounding

    package init(
        recipe: Recipe = .paper, bits: BitPlan, observer: Observer, overrides: [PlanOverride] = [], rounding: Rounding = .nearest
    ) {
        self.rounding = rounding
        self.recipe = recipe
        self.bits = bits
        self.observer = observer
        self.overrides = overrides
    }

    /// The width of a layer's weights.
    package func weights(_ layer: String) -> BitWidth {
        let plain = recipe == .paper || layer == QuantizedLayout.patchLayer ? bits.weights : .eight
        return overrides.last { $0.weights != nil && $0.matches(layer) }?.weights ?? plain
    }

    /// The width of the codes at a point.
    func width(_ point: QuantizedLayout.Point) -> BitWidth {
        if point.isAttentionOperand {
            return overrides.last { $0.attention != nil && $0.matches(point) }?.attention ?? bits.attention
        }
        let plain = recipe == .paper || point.layer == QuantizedLayout.patchLayer ? bits.activations : .eight
        return overrides.last { $0.activations != nil && $0.matches(point) }?.activations ?? plain
    }

    /// The observer of a point.
    func observer(_ point: QuantizedLayout.Point) -> Observer {
        overrides.last { $0.observer != nil && $0.matches(point) }?.observer ?? observer
    }

    /// Every width that some activation, or some operand of attention, has in a model of this configuration.
    package func widths(_ configuration: CLIPConfiguration, attentionOperands: Bool) -> [Int] {
        let points = QuantizedLayout.points(configuration, Tower.allCases, recipe)
        return Set(points.filter { $0.isAttentionOperand == attentionOperands }.map { width($0).rawValue }).sorted()
    }

    /// Checks that every exception names something and changes something.
    package func validate(for configuration: CLIPConfiguration) throws(QuantizationError) {
        let points = QuantizedLayout.points(configuration, Tower.allCases, recipe)
        let layers = QuantizedLayout.layers(configuration)
        for item in overrides {
            guard layers.contains(where: item.matches) || points.contains(where: { item.matches($0) }) else {
                throw .overridePattern(item.match, nearest: item.nearest(of: layers + points.map(\.name)))
            }
            let affected: [(String, Bool)] = [
                ("weights", item.weights == nil || layers.contains(where: item.matches)),
                ("activations", item.activations == nil || points.contains { !$0.isAttentionOperand && item.matches($0) }),
                ("attention", item.attention == nil || points.contains { $0.isAttentionOperand && item.matches($0) }),
                ("observer", item.observer == nil || points.contains { item.matches($0) }),
            ]
            if let idle = affected.first(where: { !$0.1 }) { throw .overrideEffect(item.match, field: idle.0, recipe: recipe.rawValue) }
        }
        if recipe == .reference, let point = points.first(where: { observer($0) == .percentile }) {
            throw .observerPerChannel(point: point.name)
        }
    }
}
