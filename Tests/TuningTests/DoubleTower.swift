import CLIP
import Foundation
import Tensors

/// The sum of the products of two vectors' elements.
func product(_ a: some Sequence<Double>, _ b: some Sequence<Double>) -> Double {
    var sum = 0.0
    for (a, b) in zip(a, b) { sum += a * b }
    return sum
}

/// A causal text tower in double precision, as plain as it can be written: what gradients are compared with.
struct DoubleTower {
    let checkpoint: Checkpoint
    let configuration: CLIPConfiguration

    init(_ tower: TinyTower) {
        checkpoint = tower.checkpoint
        configuration = tower.configuration
    }

    private func values(_ name: String) -> [Double] { checkpoint[name].withUnsafeBufferPointer { $0.map(Double.init) } }

    private func linear(_ x: [[Double]], _ name: String, hasBias: Bool = true) -> [[Double]] {
        let weight = values(name + ".weight")
        let inputs = x[0].count
        let outputs = weight.count / inputs
        let bias = hasBias ? values(name + ".bias") : [Double](repeating: 0, count: outputs)
        return x.map { row in
            (0..<outputs).map { output in bias[output] + product(row, weight[output * inputs..<(output + 1) * inputs]) }
        }
    }

    private func norm(_ x: [[Double]], _ name: String) -> [[Double]] {
        let (gamma, beta) = (values(name + ".weight"), values(name + ".bias"))
        return x.map { row in
            let mean = row.reduce(0, +) / Double(row.count)
            let centred = row.map { $0 - mean }
            let deviation = (product(centred, centred) / Double(row.count) + Double(configuration.text.layerNormEpsilon)).squareRoot()
            return row.indices.map { centred[$0] / deviation * gamma[$0] + beta[$0] }
        }
    }

    private func attend(_ q: [[Double]], _ k: [[Double]], _ v: [[Double]]) -> [[Double]] {
        let d = configuration.text.width / configuration.text.heads
        return q.indices.map { row in
            (0..<configuration.text.heads).flatMap { head -> [Double] in
                let columns = head * d..<(head + 1) * d
                let e = (0...row).map { key in exp(product(q[row][columns], k[key][columns]) / Double(d).squareRoot()) }
                let sum: Double = e.reduce(0, +)
                return columns.map { column in product(e, (0...row).map { v[$0][column] }) / sum }
            }
        }
    }

    /// The feature of one prompt, given its vectors without positions.
    func feature(_ vectors: [[Double]]) -> [Double] {
        let positions = values("text_model.embeddings.position_embedding.weight")
        let width = configuration.text.width
        var h = vectors.enumerated().map { position, row in row.indices.map { row[$0] + positions[position * width + $0] } }
        func add(_ x: [[Double]]) { h = zip(h, x).map { zip($0, $1).map { $0 + $1 } } }
        for index in 0..<configuration.text.depth {
            let block = "text_model.encoder.layers.\(index)."
            let x = norm(h, block + "layer_norm1")
            let (q, k, v) = (
                linear(x, block + "self_attn.q_proj"), linear(x, block + "self_attn.k_proj"), linear(x, block + "self_attn.v_proj")
            )
            add(linear(attend(q, k, v), block + "self_attn.out_proj"))
            let inner = linear(norm(h, block + "layer_norm2"), block + "mlp.fc1").map { row in
                row.map(activation)
            }
            add(linear(inner, block + "mlp.fc2"))
        }
        return linear(norm([h[h.count - 1]], "text_model.final_layer_norm"), "text_projection", hasBias: false)[0]
    }

    private func activation(_ v: Double) -> Double {
        switch configuration.text.activation {
        case .gelu: v / 2 * (1 + erf(v / 2.0.squareRoot()))
        case .quickGELU: v / (1 + exp(-1.702 * v))
        }
    }

    func embedding(_ id: Int32) -> [Double] {
        let width = configuration.text.width
        return Array(values("text_model.embeddings.token_embedding.weight")[Int(id) * width..<(Int(id) + 1) * width])
    }
}
