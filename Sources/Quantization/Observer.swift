/// How an activation's range is fixed from calibration batches. Source: the paper's section 4.1 and its released program.
package enum Observer: String, CaseIterable, Sendable {
    /// The least and greatest value of all batches.
    case minMax = "minmax"
    /// The first batch's range, moved by 0.01 towards each later one's.
    case ema
    /// The same moving average over each batch's 0.00001 and 0.99999 quantiles.
    case percentile
    /// MinMax's range, shrunk by the step of a hundredth that leaves the least squared error on the last batch.
    case omse

    /// The weight of a later batch in the moving averages.
    static let movingAverageRate: Float = 0.01
    /// Steps of OMSE's search: both ends times 1.00, 0.99, ... 0.11.
    static let omseSteps = 90

    /// The factor of OMSE's step.
    static func omseFactor(_ step: Int) -> Float { Float(1.0 - Double(step) * 0.01) }
}

/// A closed range of values.
package struct ValueRange: Sendable, Equatable {
    package var low: Float
    package var high: Float

    package init(low: Float, high: Float) {
        self.low = low
        self.high = high
    }

    /// Both ends moved towards another range's.
    mutating func move(towards other: ValueRange) {
        low += Observer.movingAverageRate * (other.low - low)
        high += Observer.movingAverageRate * (other.high - high)
    }

    func scaled(_ factor: Float) -> ValueRange { ValueRange(low: low * factor, high: high * factor) }

    func quantizer(bits: Int) -> ActivationQuantizer { ActivationQuantizer(low: low, high: high, bits: bits) }
}
