import CLIP
import Quantization
import Tensors

/// What an integer tower showed while it ran.
final class Recording {
    private(set) var codes: [String: [UInt8]] = [:]
    private(set) var residuals: [Int: [[Float]]] = [:]
    private(set) var probabilities: [String: [UInt8]] = [:]

    func see(_ block: Int?, _ view: CodeView) {
        switch view {
        case .residual(let values): residuals[block ?? -1, default: []].append(Array(values))
        case .codes(let point, let values): codes["\(block ?? -1).\(point.rawValue)"] = Array(values)
        case .probabilities(let sequence, let head, let values): probabilities["\(block ?? -1).\(sequence).\(head)"] = Array(values)
        }
    }
}

/// How many codes were compared, and which differ.
struct Agreement {
    private(set) var compared = 0
    private(set) var differing = 0
    /// Differences that a rounding tie does not explain, as text.
    private(set) var faults: [String] = []

    /// A value counts as a tie where it lies within so much of one, relative to the numbers it was added up from: the rounding errors of a few
    /// float32 operations, and of the polynomials of exp and erf.
    private static let tieWidth = 0x1p-19

    mutating func compare(_ point: String, _ codes: ArraySlice<UInt8>, _ values: Simulation.Values, _ quantizer: Simulation.Quantizer) {
        compare(point, codes, values) { _ in quantizer }
    }

    mutating func compare(
        _ point: String, _ codes: ArraySlice<UInt8>, _ values: Simulation.Values, quantizer: (_ index: Int) -> Simulation.Quantizer
    ) {
        guard codes.count == values.values.count else {
            return faults.append("\(point): \(codes.count) codes, \(values.values.count) values")
        }
        for (index, code) in codes.enumerated() {
            compared += 1
            let quantizer = quantizer(index)
            let expected = quantizer.code(values.values[index])
            guard Int(code) != expected else { continue }
            differing += 1
            let place = quantizer.place(values.values[index])
            let distance = abs(place - place.rounded(.down) - 0.5)
            let width = Self.tieWidth * (values.magnitudes[index] / quantizer.scale + abs(place) + 1)
            if abs(Int(code) - expected) > 1 || distance > width { faults.append("\(point)[\(index)]: \(code) for \(place)") }
        }
    }

    /// Floats within `tieWidth` of what they were added up from.
    mutating func compare(_ point: String, _ found: [Float], _ values: Simulation.Values) {
        guard found.count == values.values.count else { return faults.append("\(point): \(found.count) and \(values.values.count) floats") }
        for (index, value) in found.enumerated()
        where !(abs(Double(value) - values.values[index]) <= Self.tieWidth * (values.magnitudes[index] + 1e-3)) {
            faults.append("\(point)[\(index)]: \(value) for \(values.values[index])")
        }
    }

    mutating func fault(_ text: String) { faults.append(text) }
}

/// A tower's layers, each simulated from the codes and floats that the integer tower had before it.
struct LayerSimulation {
    let checkpoint: Checkpoint
    let tower: Tower
    let recording: Recording
    let sequences: [Range<Int>]
    /// Bits of a linear map's weights, by the end of its name.
    let weightBits: (_ tower: Tower, _ block: Int, _ map: String) -> Int
    let quantizers: [String: CodeScale]

    private var configuration: TowerConfiguration { tower == .vision ? checkpoint.configuration.vision : checkpoint.configuration.text }

    func floats(_ name: String) -> [Float] { checkpoint[name].withUnsafeBufferPointer(Array.init) }

    func quantizer(_ block: Int, _ point: String) -> Simulation.Quantizer {
        let name = block < 0 ? "\(tower.rawValue).\(point)" : "\(tower.rawValue).\(block).\(point)"
        guard let meaning = quantizers[name] else { return Simulation.Quantizer(scale: .nan, zero: 0, top: 0) }
        return Simulation.Quantizer(scale: Double(meaning.scale), zero: Double(meaning.zeroPoint), top: Double(meaning.top))
    }

    private func values(_ block: Int, _ point: String) -> [Double] {
        let quantizer = quantizer(block, point)
        return (recording.codes["\(block).\(point)"] ?? []).map(quantizer.value)
    }

    /// Compares every block.
    func compare(_ agreement: inout Agreement) {
        for block in 0..<configuration.depth { compare(block, &agreement) }
    }

    private func compare(_ block: Int, _ agreement: inout Agreement) {
        let prefix = "\(tower.rawValue)_model.encoder.layers.\(block)."
        let width = configuration.width
        guard let stream = recording.residuals[block], stream.count == 2, let after = recording.residuals[block + 1]?.first else {
            return agreement.fault("block \(block) showed no residual stream")
        }
        func check(_ point: String, _ values: Simulation.Values) {
            agreement.compare(
                "\(tower.rawValue).\(block).\(point)", recording.codes["\(block).\(point)", default: []][...], values,
                quantizer(block, point))
        }
        func norm(_ name: String, _ x: [Float]) -> Simulation.Values {
            Simulation.layerNorm(
                x.map(Double.init), floats(prefix + name + ".weight"), floats(prefix + name + ".bias"),
                epsilon: Double(configuration.layerNormEpsilon))
        }
        func linear(_ name: String, _ x: [Double]) -> Simulation.Values {
            let weights = floats(prefix + name + ".weight")
            let bias = floats(prefix + name + ".bias")
            return Simulation.linear(
                x, inputs: weights.count / bias.count,
                Simulation.quantizedWeights(weights, rows: bias.count, bits: weightBits(tower, block, name)), bias: bias)
        }
        func sum(_ x: [Float], _ y: Simulation.Values) -> Simulation.Values {
            Simulation.Values(
                values: zip(x, y.values).map { Double($0) + $1 }, magnitudes: zip(x, y.magnitudes).map { Double(abs($0)) + $1 })
        }
        check("qkv.in", norm("layer_norm1", stream[0]))
        let input = values(block, "qkv.in")
        for name in ["q", "k", "v"] { check(name, linear("self_attn.\(name)_proj", input)) }
        compareAttention(block, &agreement)
        agreement.compare(
            "\(tower.rawValue).\(block) attention", stream[1], sum(stream[0], linear("self_attn.out_proj", values(block, "out.in"))))
        check("fc1.in", norm("layer_norm2", stream[1]))
        check("fc2.in", Simulation.activation(linear("mlp.fc1", values(block, "fc1.in")), configuration.activation))
        agreement.compare("\(tower.rawValue).\(block) MLP", after, sum(stream[1], linear("mlp.fc2", values(block, "fc2.in"))))
        if after.count % width != 0 { agreement.fault("\(after.count) floats are no rows of \(width)") }
    }

    private func compareAttention(_ block: Int, _ agreement: inout Agreement) {
        let (width, heads) = (configuration.width, configuration.heads)
        let size = width / heads
        let (q, k, v) = (values(block, "q"), values(block, "k"), values(block, "v"))
        let shares = quantizer(block, "probs")
        let output = quantizer(block, "out.in")
        let codes = recording.codes["\(block).out.in", default: []]
        for (index, rows) in sequences.enumerated() {
            for head in 0..<heads {
                func part<Element>(_ x: [Element]) -> [Element] {
                    var part: [Element] = []
                    for row in rows {
                        let start = row * width + head * size
                        part += x[start..<start + size]
                    }
                    return part
                }
                let name = "\(tower.rawValue).\(block), sequence \(index), head \(head): "
                let found = recording.probabilities["\(block).\(index).\(head)", default: []]
                agreement.compare(
                    name + "probs", found[...],
                    Simulation.probabilities(part(q), part(k), width: size, isCausal: tower == .text), shares)
                let values = part(v)
                var transposed = [Double](repeating: 0, count: values.count)
                for row in 0..<rows.count {
                    for column in 0..<size { transposed[column * rows.count + row] = values[row * size + column] }
                }
                let result = Simulation.linear(found.map(shares.value), inputs: rows.count, transposed, bias: nil)
                agreement.compare(name + "out.in", part(codes)[...], result, output)
            }
        }
    }
}
