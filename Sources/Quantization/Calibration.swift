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

    /// The channels of a point that has a scale a channel.
    package struct ChannelPoint: Sendable {
        package let minMax: [ValueRange]
        package let ema: [ValueRange]
        /// The step of OMSE's search by bits: one for all channels, as the error is one.
        package let omseSteps: [Int: Int]
    }

    /// By name, as "vision.0.probs".
    package let points: [String: Point]
    /// The same for points with a scale a channel, in recipes that have them.
    package let channels: [String: ChannelPoint]

    init(points: [String: Point], channels: [String: ChannelPoint]) {
        self.points = points
        self.channels = channels
    }

    /// A point's quantizers, one a channel; nil if it was not observed so, for Percentile, or if OMSE was not searched at this width.
    package func channelQuantizer(_ point: String, _ observer: Observer, bits: Int) -> ChannelQuantizer? {
        guard let point = channels[point] else { return nil }
        func quantizers(_ ranges: [ValueRange], _ factor: Float = 1) -> ChannelQuantizer {
            ChannelQuantizer(ranges.map { $0.scaled(factor).quantizer(bits: bits) }, bits: bits)
        }
        switch observer {
        case .minMax: return quantizers(point.minMax)
        case .ema: return quantizers(point.ema)
        case .percentile: return nil
        case .omse: return point.omseSteps[bits].map { quantizers(point.minMax, Observer.omseFactor($0)) }
        }
    }

    package init(points: [String: Point]) { self.init(points: points, channels: [:]) }

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
