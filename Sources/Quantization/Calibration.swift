package import CLIP

/// One of a CLIP's two towers; the first part of a quantization point's name.
package enum Tower: String, Sendable, CaseIterable {
    case vision
    case text
}

extension QuantizationPoint {
    /// As "vision.patch.in" or "text.3.qkv.in".
    package func name(_ tower: Tower, block: Int?) -> String {
        "\(tower.rawValue).\(block.map { "\($0)." } ?? "")\(rawValue)"
    }

    /// Whether it takes the attention width: the operands of attention's two products.
    package var isAttentionOperand: Bool {
        switch self {
        case .query, .key, .value, .probabilities: true
        default: false
        }
    }
}

/// What calibration found out: the range of every quantization point for every observer, and OMSE's choice at the widths asked for.
package struct Calibration: Sendable {
    /// One quantization point.
    package struct Point: Sendable {
        package let minMax: ValueRange
        package let ema: ValueRange
        package let percentile: ValueRange
        /// By bits.
        package let omse: [Int: ActivationQuantizer]

        package init(minMax: ValueRange, ema: ValueRange, percentile: ValueRange, omse: [Int: ActivationQuantizer]) {
            self.minMax = minMax
            self.ema = ema
            self.percentile = percentile
            self.omse = omse
        }
    }

    /// By name, as "vision.0.probs".
    package let points: [String: Point]

    package init(points: [String: Point]) { self.points = points }

    /// A point's quantizer; nil if the point was not observed, or OMSE not searched at this width.
    package func quantizer(_ point: String, _ observer: Observer, bits: Int) -> ActivationQuantizer? {
        guard let point = points[point] else { return nil }
        switch observer {
        case .minMax: return point.minMax.quantizer(bits: bits)
        case .ema: return point.ema.quantizer(bits: bits)
        case .percentile: return point.percentile.quantizer(bits: bits)
        case .omse: return point.omse[bits]
        }
    }
}
