internal import CLIP
internal import Tensors

/// Makes of a float model another one that computes the same, and whose channels are alike where one scale a tensor has to serve them all:
/// mean zero and variance one on calibration data.
///
/// What LayerNorm gives is moved and scaled by its own parameters, what attention gives by the values' layer; the layers that take it undo
/// both in their weights and biases. fc2's input stays: the activation between is not linear. Source: Wei et al., Outlier Suppression+ (2023),
/// sections 4.1 and 4.2; the scales here are the channels' standard deviations, which is where a quantizer of few levels loses least of each.
struct Equalization {
    /// Of a channel's standard deviation beside the largest of its point: channels that hardly vary are not blown up.
    private static let leastSpread = 1e-3

    private struct Moments {
        var rows = 0
        var sums: [Double]
        var squares: [Double]

        init(width: Int) {
            sums = [Double](repeating: 0, count: width)
            squares = sums
        }

        mutating func add(_ values: UnsafeBufferPointer<Float>) {
            let width = sums.count
            rows += values.count / width
            for (index, value) in values.enumerated() {
                sums[index % width] += Double(value)
                squares[index % width] += Double(value) * Double(value)
            }
        }

        /// Of each channel.
        var meansAndDeviations: (means: [Double], deviations: [Double]) {
            let scale = 1 / Double(max(rows, 1))
            let means = sums.map { $0 * scale }
            let deviations = zip(squares, means).map { max($0 * scale - $1 * $1, 0).squareRoot() }
            let largest = deviations.max() ?? 0
            guard largest > 0 else { return (means, deviations.map { _ in 1 }) }
            return (means, deviations.map { max($0, largest * Equalization.leastSpread) })
        }
    }

    private let configuration: CLIPConfiguration
    /// By point's name.
    private var moments: [String: Moments] = [:]

    private static let points: [QuantizationPoint] = [.qkvInput, .outputInput, .dense1Input]

    init(_ configuration: CLIPConfiguration) {
        self.configuration = configuration
        for tower in Tower.allCases {
            let shape = tower == .vision ? configuration.vision : configuration.text
            for block in 0..<shape.depth {
                for point in Self.points { moments[point.name(tower, block: block)] = Moments(width: shape.width) }
            }
        }
    }

    /// Takes whole rows of what a quantizer at `point` would meet.
    mutating func observe(_ tower: Tower, _ block: Int?, _ point: QuantizationPoint, _ values: UnsafeBufferPointer<Float>) {
        guard Self.points.contains(point) else { return }
        moments[point.name(tower, block: block)]?.add(values)
    }

    /// The model that computes the same.
    func run(_ checkpoint: Checkpoint) -> Checkpoint {
        var tensors: [String: FloatTensor] = [:]
        for name in configuration.tensorShapes.keys { tensors[name] = checkpoint[name] }
        for tower in Tower.allCases {
            let depth = tower == .vision ? configuration.vision.depth : configuration.text.depth
            for block in 0..<depth {
                let prefix = "\(tower.rawValue)_model.encoder.layers.\(block)."
                func change(_ point: QuantizationPoint, source: String, takers: [String]) {
                    guard let seen = moments[point.name(tower, block: block)], seen.rows > 0 else { return }
                    let (means, deviations) = seen.meansAndDeviations
                    let (weight, bias) = (prefix + source + ".weight", prefix + source + ".bias")
                    tensors[weight] = tensors[weight]?.mapRows { row, value in value / deviations[row] }
                    tensors[bias] = tensors[bias]?.mapRows { row, value in (value - means[row]) / deviations[row] }
                    for taker in takers {
                        let (weight, bias) = (prefix + taker + ".weight", prefix + taker + ".bias")
                        guard let old = tensors[weight] else { continue }
                        let moved = old.product(means)
                        tensors[bias] = tensors[bias]?.mapRows { row, value in value + moved[row] }
                        tensors[weight] = old.mapColumns { column, value in value * deviations[column] }
                    }
                }
                change(.qkvInput, source: "layer_norm1", takers: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"])
                change(.outputInput, source: "self_attn.v_proj", takers: ["self_attn.out_proj"])
                change(.dense1Input, source: "layer_norm2", takers: ["mlp.fc1"])
            }
        }
        return Checkpoint(configuration: configuration, name: checkpoint.name, tensors: tensors)
    }
}

extension FloatTensor {
    /// Each element changed, told the index of its outermost row.
    fileprivate func mapRows(_ body: (_ row: Int, _ value: Double) -> Double) -> FloatTensor {
        let width = count / max(shape.first ?? 1, 1)
        return map { body($0 / max(width, 1), $1) }
    }

    /// Each element of a matrix changed, told its column.
    fileprivate func mapColumns(_ body: (_ column: Int, _ value: Double) -> Double) -> FloatTensor {
        let width = shape.last ?? 1
        return map { body($0 % max(width, 1), $1) }
    }

    /// This matrix times a vector.
    fileprivate func product(_ vector: [Double]) -> [Double] {
        withUnsafeBufferPointer { own in
            stride(from: 0, to: own.count, by: vector.count).map { start in
                var sum = 0.0
                for (column, value) in vector.enumerated() { sum += Double(own[start + column]) * value }
                return sum
            }
        }
    }

    private func map(_ body: (_ index: Int, _ value: Double) -> Double) -> FloatTensor {
        FloatTensor(shape: shape) { elements in
            withUnsafeBufferPointer { own in
                for index in own.indices { elements.initializeElement(at: index, to: Float(body(index, Double(own[index])))) }
            }
        }
    }
}
