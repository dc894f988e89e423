internal import CLIP
internal import Tensors

/// Follows all quantization points of one tower.
struct TowerObservation {
    let tower: Tower
    let activationBits: [Int]
    let attentionBits: [Int]
    private let kernels: FloatKernels
    private var trackers: [RangeTracker]
    private var searches: [OMSESearch?]
    private var meters: [SignalMeter?]
    private static let points = QuantizationPoint.allCases

    init(_ tower: Tower, depth: Int, activationBits: [Int], attentionBits: [Int], kernels: FloatKernels) {
        self.tower = tower
        self.activationBits = activationBits
        self.attentionBits = attentionBits
        self.kernels = kernels
        trackers = (0..<(depth + 1) * Self.points.count).map { _ in RangeTracker(kernels: kernels) }
        searches = []
        meters = []
    }

    /// Slots come block by block, those before the blocks first.
    private func slot(_ block: Int?, _ point: QuantizationPoint) -> Int {
        (block.map { $0 + 1 } ?? 0) * Self.points.count + (Self.points.firstIndex(of: point) ?? 0)
    }

    mutating func observe(_ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
        trackers[slot(block, point)].observe(values)
    }

    /// - Parameter most: values that a point of the batch may have.
    mutating func beginBatch(atMost most: Int) {
        for index in trackers.indices { trackers[index].beginBatch(atMost: most) }
    }

    /// - Throws: `notFinite`, with the name of the first such point.
    mutating func endBatch() throws(QuantizationError) {
        for index in trackers.indices {
            do { try trackers[index].endBatch() } catch { throw .notFinite(name: name(index), what: "\(error.value)") }
        }
    }

    /// Ranges are known now; what is searched from here on is the last batch again.
    mutating func beginSearch() {
        searches = trackers.indices.map { index in
            let point = Self.points[index % Self.points.count]
            return trackers[index].minMax.map {
                OMSESearch(range: $0, bits: point.isAttentionOperand ? attentionBits : activationBits, kernels: kernels)
            }
        }
    }

    mutating func search(_ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
        searches[slot(block, point)]?.observe(values)
    }

    /// From here on the last batch passes once more, to see what these quantizers, by point, do to it.
    mutating func beginMeasuring(_ sets: [[String: CodeScale]]) {
        meters = trackers.indices.map { slot in
            let quantizers = sets.compactMap { $0[name(slot)] }
            return quantizers.count == sets.count ? SignalMeter(quantizers, kernels: kernels) : nil
        }
    }

    mutating func measure(_ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
        meters[slot(block, point)]?.observe(values)
    }

    /// What the quantizers of set `index` did, by point.
    func figures(_ index: Int) -> [String: PointFigures] {
        var figures: [String: PointFigures] = [:]
        for slot in meters.indices { figures[name(slot)] = meters[slot]?.figures(index) }
        return figures
    }

    /// The name of the point that `slot` belongs to.
    private func name(_ slot: Int) -> String {
        let block = slot / Self.points.count
        return Self.points[slot % Self.points.count].name(tower, block: block == 0 ? nil : block - 1)
    }

    /// Every point that was observed.
    var results: [String: Calibration.Point] {
        var results: [String: Calibration.Point] = [:]
        for (index, tracker) in trackers.enumerated() {
            guard let minMax = tracker.range(.minMax), let ema = tracker.range(.ema), let percentile = tracker.range(.percentile) else {
                continue
            }
            let point = Self.points[index % Self.points.count]
            var omse: [Int: ActivationQuantizer] = [:]
            for bits in point.isAttentionOperand ? attentionBits : activationBits {
                omse[bits] = searches.isEmpty ? nil : searches[index]?.quantizer(bits: bits)
            }
            results[name(index)] = Calibration.Point(
                minMax: minMax, ema: ema, percentile: percentile, omse: omse)
        }
        return results
    }
}
