internal import CLIP
internal import Tensors

/// Follows the channels of a tower's points that have a scale a channel: each channel's range, and one search over all of a point's channels.
struct ChannelObservation {
    let tower: Tower
    let bits: [Int]
    private let kernels: FloatKernels
    private let patch: Int
    private var points: [String: ChannelTracker] = [:]

    /// - Parameter patch: elements of a patch's channel.
    init(_ tower: Tower, patch: Int, widths: (width: Int, mlp: Int), depth: Int, bits: [Int], kernels: FloatKernels) {
        self.tower = tower
        self.bits = bits
        self.patch = patch
        self.kernels = kernels
        if tower == .vision { points[QuantizationPoint.patchInput.name(tower, block: nil)] = ChannelTracker(channels: 3) }
        for block in 0..<depth {
            for point in QuantizationPoint.allCases where point != .patchInput && point.isPerChannelInReference {
                points[point.name(tower, block: block)] = ChannelTracker(channels: point == .dense2Input ? widths.mlp : widths.width)
            }
        }
    }

    mutating func observe(_ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
        guard point.isPerChannelInReference else { return }
        points[point.name(tower, block: block)]?.observe(values, run: point == .patchInput ? patch : 1, kernels)
    }

    /// - Throws: `notFinite`, with the name of such a point.
    mutating func endBatch() throws(QuantizationError) {
        for name in points.keys.sorted() {
            if let bad = points[name]?.endBatch() { throw .notFinite(name: name, what: "\(bad)") }
        }
    }

    /// One piece of the last batch again.
    mutating func search(_ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
        guard point.isPerChannelInReference else { return }
        points[point.name(tower, block: block)]?.search(values, run: point == .patchInput ? patch : 1, bits: bits, kernels)
    }

    /// From here on the last batch passes once more, to see what these quantizers, by point, do to it.
    mutating func beginMeasuring(_ sets: [[String: ChannelQuantizer]]) {
        for name in points.keys {
            let quantizers = sets.compactMap { $0[name] }
            points[name]?.meters = quantizers.count == sets.count ? quantizers.map { SignalMeter($0, kernels: kernels) } : []
        }
    }

    mutating func measure(_ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
        guard point.isPerChannelInReference else { return }
        points[point.name(tower, block: block)]?.measure(values, run: point == .patchInput ? patch : 1)
    }

    /// What the quantizers of set `index` did, by point.
    func figures(_ index: Int) -> [String: PointFigures] {
        points.compactMapValues { $0.meters.indices.contains(index) ? $0.meters[index].figures(0) : nil }
    }

    var results: [String: Calibration.ChannelPoint] { points.compactMapValues(\.result) }
}

/// One point's channels.
private struct ChannelTracker {
    private var minMax: [ValueRange] = []
    private var ema: [ValueRange] = []
    private var batch: [ValueRange]
    private var notFinite: Float?
    /// By bits, [steps]
    private var errors: [Int: [Double]] = [:]
    private let empty: [ValueRange]
    /// One a set of quantizers.
    var meters: [SignalMeter] = []

    init(channels: Int) {
        empty = [ValueRange](repeating: ValueRange(low: .infinity, high: -.infinity), count: channels)
        batch = empty
    }

    /// Calls `body` with each channel's values: elements come in runs of one channel, channel after channel.
    private func forEachChannel(_ values: UnsafeBufferPointer<Float>, run: Int, _ body: (Int, UnsafeBufferPointer<Float>) -> Void) {
        let (channels, rows) = (empty.count, values.count / (empty.count * run))
        var column = [Float](repeating: 0, count: rows * run)
        for channel in 0..<channels {
            for row in 0..<rows {
                let start = (row * channels + channel) * run
                for i in 0..<run { column[row * run + i] = values[start + i] }
            }
            column.withUnsafeBufferPointer { body(channel, $0) }
        }
    }

    mutating func observe(_ values: UnsafeBufferPointer<Float>, run: Int, _ kernels: FloatKernels) {
        if let bad = values.first(where: { !$0.isFinite }) { notFinite = bad }
        var batch = batch
        forEachChannel(values, run: run) { channel, column in
            var range = batch[channel]
            kernels.range(column, low: &range.low, high: &range.high)
            batch[channel] = range
        }
        self.batch = batch
    }

    /// - Returns: a value that is NaN or infinite, if there was one; then the batch counts for nothing.
    mutating func endBatch() -> Float? {
        defer { (batch, notFinite) = (empty, nil) }
        if let notFinite { return notFinite }
        guard let first = batch.first, first.low <= first.high else { return nil }
        if minMax.isEmpty {
            (minMax, ema) = (batch, batch)
        } else {
            for (index, range) in batch.enumerated() {
                minMax[index] = ValueRange(low: min(minMax[index].low, range.low), high: max(minMax[index].high, range.high))
                ema[index].move(towards: range)
            }
        }
        return nil
    }

    mutating func search(_ values: UnsafeBufferPointer<Float>, run: Int, bits: [Int], _ kernels: FloatKernels) {
        guard !minMax.isEmpty else { return }
        var errors = errors
        for bits in bits where errors[bits] == nil { errors[bits] = [Double](repeating: 0, count: Observer.omseSteps) }
        forEachChannel(values, run: run) { channel, column in
            for bits in bits {
                for step in 0..<Observer.omseSteps {
                    let quantizer = minMax[channel].scaled(Observer.omseFactor(step)).quantizer(bits: bits)
                    errors[bits]?[step] += kernels.quantizationError(
                        column, scale: quantizer.scale, zeroPoint: Float(quantizer.zeroPoint), top: Float(quantizer.top))
                }
            }
        }
        self.errors = errors
    }

    mutating func measure(_ values: UnsafeBufferPointer<Float>, run: Int) {
        if meters.isEmpty { return }
        var meters = meters
        forEachChannel(values, run: run) { channel, column in
            for index in meters.indices { meters[index].observe(column, quantizer: channel) }
        }
        self.meters = meters
    }

    /// Nil before the first batch.
    var result: Calibration.ChannelPoint? {
        if minMax.isEmpty { return nil }
        let steps = errors.mapValues { errors in errors.indices.reduce(0) { errors[$1] < errors[$0] ? $1 : $0 } }
        return Calibration.ChannelPoint(minMax: minMax, ema: ema, omseSteps: steps)
    }
}
