import Foundation
import Quantization
import Tensors

/// Quantizers in Double as the straight-through rule sees them: the first pass notes what rounding added, in steps, and where it clipped; in
/// later passes `x^ = x + added * s`, or the end of the range times `s` where it was clipped. That is smooth, and its derivatives are the rule's.
final class DoubleRounding {
    struct Quantizer {
        let zero: Double
        let range: ClosedRange<Double>
        /// Of the scale's logarithm among the parameters.
        let place: Int
    }

    private enum Effect { case rounded(Double), clipped(Double) }

    private let quantizers: [String: Quantizer]
    private var effects: [Effect] = []
    private var next = 0
    private var isNoting = true

    init(_ quantizers: [String: Quantizer]) { self.quantizers = quantizers }

    /// Before each pass.
    func restart() {
        if !effects.isEmpty { isNoting = false }
        next = 0
    }

    func round(_ x: [Double], _ parameters: [Double], _ name: String) -> [Double] {
        guard let quantizer = quantizers[name] else { return x }
        let scale = exp(parameters[quantizer.place])
        return x.map { value in
            if isNoting { effects.append(Self.effect(value / scale + quantizer.zero, quantizer)) }
            defer { next += 1 }
            switch effects[next] {
            case .rounded(let added): return value + added * scale
            case .clipped(let end): return (end - quantizer.zero) * scale
            }
        }
    }

    private static func effect(_ value: Double, _ quantizer: Quantizer) -> Effect {
        let code = value.rounded(.toNearestOrEven)
        if quantizer.range.contains(code) { return .rounded(code - value) }
        return .clipped(min(max(code, quantizer.range.lowerBound), quantizer.range.upperBound))
    }
}
