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

    /// Before a batch of more values than the 400 million that are taken without it.
    ///
    /// - Parameter most: values that the batch may have.
    package mutating func beginBatch(atMost most: Int) { batch.reserve(most) }

    /// Ends the present batch. One without values counts for nothing.
    ///
    /// - Throws: NaN or infinity among the values; then the batch counts for nothing.
    package mutating func endBatch() throws(NotFinite) {
        defer { batch.reset() }
        guard batch.count > 0 else { return }
        if let bad = batch.notFinite { throw NotFinite(value: bad) }
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

/// A value that no range can take in.
package struct NotFinite: Error, Equatable {
    package let value: Float
}

/// Range and tails of one batch's values.
struct BatchStatistics {
    private(set) var count = 0
    private(set) var range = ValueRange(low: .infinity, high: -.infinity)
    /// A value that is NaN or infinite, if there is one.
    private(set) var notFinite: Float?
    private var lowest = Tail()
    private var highest = Tail()

    mutating func add(_ values: UnsafeBufferPointer<Float>, _ kernels: FloatKernels) {
        count += values.count
        kernels.range(values, low: &range.low, high: &range.high)
        for value in values {
            if !value.isFinite { notFinite = value }
            if value > highest.threshold { highest.insert(value) }
            if -value > lowest.threshold { lowest.insert(-value) }
        }
    }

    /// Before the first values: the quantiles of so many are to be had.
    mutating func reserve(_ most: Int) {
        lowest.reserve(most)
        highest.reserve(most)
    }

    mutating func reset() {
        count = 0
        notFinite = nil
        range = ValueRange(low: .infinity, high: -.infinity)
        lowest.reset()
        highest.reset()
    }

    /// The 0.00001 and 0.99999 quantiles, linear between neighbours.
    ///
    /// - Precondition: no more values than were reserved.
    mutating func quantiles() -> ValueRange {
        precondition(highest.suffices(for: count), "the tails are too short for \(count) values: beginBatch(atMost:)")
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

/// The largest values of a stream, as many as its 0.99999 quantile can lie between.
struct Tail {
    /// Of 400 million values and fewer.
    private static let leastCapacity = 4096

    private var capacity = leastCapacity
    private var values: [Float] = []
    /// Values up to this one are no longer wanted.
    private(set) var threshold = -Float.infinity

    /// Before the first value: enough are kept for a stream of `most`.
    mutating func reserve(_ most: Int) { capacity = max(Self.leastCapacity, Self.rank(most) + 2) }

    /// Whether the quantile of `count` values can be told.
    func suffices(for count: Int) -> Bool { count <= capacity || Self.rank(count) + 2 <= capacity }

    /// How many values may lie above the quantile of `count`.
    private static func rank(_ count: Int) -> Int { Int((Double(count) * 1e-5).rounded(.up)) }

    mutating func insert(_ value: Float) {
        values.append(value)
        if values.count == 2 * capacity { compact() }
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
        if values.count > capacity {
            values.removeLast(values.count - capacity)
            threshold = values[capacity - 1]
        }
    }
}
