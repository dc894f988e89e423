package import Tensors

/// Follows one quantization point's values through the calibration batches, piece by piece, for all observers at once.
package struct RangeTracker {
    /// Over all batches so far; nil before the first.
    package private(set) var minMax: ValueRange?
    private var ema: ValueRange?
    private var percentile: ValueRange?
    private var batch = BatchStatistics()
    private let kernels: FloatKernels

    package init(kernels: FloatKernels) { self.kernels = kernels }

    /// Takes a piece of the present batch.
    package mutating func observe(_ values: UnsafeBufferPointer<Float>) { batch.add(values, kernels) }

    /// Ends the present batch. One without values counts for nothing.
    package mutating func endBatch() {
        defer { batch.reset() }
        guard batch.count > 0 else { return }
        let range = batch.range
        let quantiles = batch.quantiles()
        guard let previous = minMax else {
            minMax = range
            ema = range
            percentile = quantiles
            return
        }
        minMax = ValueRange(low: min(previous.low, range.low), high: max(previous.high, range.high))
        ema?.move(towards: range)
        percentile?.move(towards: quantiles)
    }

    /// The range that `observer` gives, nil before the first batch. OMSE starts from MinMax's; `OMSESearch` shrinks it.
    package func range(_ observer: Observer) -> ValueRange? {
        switch observer {
        case .minMax, .omse: minMax
        case .ema: ema
        case .percentile: percentile
        }
    }
}

/// Range and tails of one batch's values.
struct BatchStatistics {
    private(set) var count = 0
    private(set) var range = ValueRange(low: .infinity, high: -.infinity)
    private var lowest = Tail()
    private var highest = Tail()

    mutating func add(_ values: UnsafeBufferPointer<Float>, _ kernels: FloatKernels) {
        count += values.count
        kernels.range(values, low: &range.low, high: &range.high)
        for value in values {
            if value > highest.threshold { highest.insert(value) }
            if -value > lowest.threshold { lowest.insert(-value) }
        }
    }

    mutating func reset() {
        count = 0
        range = ValueRange(low: .infinity, high: -.infinity)
        lowest.reset()
        highest.reset()
    }

    /// The 0.00001 and 0.99999 quantiles, linear between neighbours.
    mutating func quantiles() -> ValueRange {
        let low = lowest.sorted()
        let high = highest.sorted()
        func ascending(_ rank: Int) -> Float { rank < low.count ? -low[rank] : high[min(max(count - 1 - rank, 0), high.count - 1)] }
        func quantile(_ probability: Double) -> Float {
            let (below, weight) = Self.position(probability, count: count)
            let (a, b) = (ascending(below), ascending(min(below + 1, count - 1)))
            return weight < 0.5 ? a + weight * (b - a) : b - (b - a) * (1 - weight)
        }
        return ValueRange(low: quantile(1 - 0.99999), high: quantile(0.99999))
    }

    /// The rank below a quantile and the weight of the rank above it.
    ///
    /// The method's released program computes the rank in float32 (`torch.quantile`), which is followed as long as float32 tells places a
    /// thousandth of a rank apart; for longer tensors it would pick another element, and the rank is computed in double.
    private static func position(_ probability: Double, count: Int) -> (below: Int, weight: Float) {
        if count <= 1 << 14 {
            let rank = Float(probability) * Float(count - 1)
            let below = rank.rounded(.down)
            return (Int(below), rank - below)
        }
        let rank = probability * Double(count - 1)
        let below = rank.rounded(.down)
        return (Int(below), Float(rank - below))
    }
}

/// The largest values of a stream, enough for the quantiles of 400 million.
struct Tail {
    private static let capacity = 4096
    private var values: [Float] = []
    /// Values up to this one are no longer wanted.
    private(set) var threshold = -Float.infinity

    mutating func insert(_ value: Float) {
        values.append(value)
        if values.count == 2 * Self.capacity { compact() }
    }

    mutating func reset() {
        values.removeAll(keepingCapacity: true)
        threshold = -.infinity
    }

    /// Largest first.
    mutating func sorted() -> [Float] {
        compact()
        return values
    }

    private mutating func compact() {
        values.sort(by: >)
        if values.count > Self.capacity {
            values.removeLast(values.count - Self.capacity)
            threshold = values[Self.capacity - 1]
        }
    }
}
