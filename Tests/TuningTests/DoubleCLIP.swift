import CLIP
import Foundation
import Quantization
import Tuning

/// A whole small CLIP and its contrastive loss in Double, written plainly from the definition: what gradients are checked against.
struct DoubleCLIP {
    let configuration: CLIPConfiguration
    let layout: ParameterLayout
    let normalization: [Float]
    /// Of the image tower's activations; nil in a float tower.
    var rounding: DoubleRounding?

    typealias Matrix = [[Double]]

    /// The loss of `batch` with these parameters, in the layout's order.
    func loss(_ parameters: [Double], _ batch: ContrastiveBatch) -> Double {
        let bytes = configuration.imageSide * configuration.imageSide * 3
        let (count, captions) = (batch.crops.count / bytes, batch.prompts.count)
        let images = (0..<count).map { unit(image(parameters, Array(batch.crops[$0 * bytes..<($0 + 1) * bytes]))) }
        let texts = batch.prompts.map { unit(text(parameters, $0)) }
        let scale = exp(parameters[layout["logit_scale"]])
        let logits = images.map { image in texts.map { zip(image, $0).reduce(0) { $0 + $1.0 * $1.1 } * scale } }
        let matches = (0..<count).map { row in (0..<captions).map { batch.matches[row * captions + $0] } }
        func transposed<T>(_ x: [[T]]) -> [[T]] { (0..<captions).map { column in x.map { $0[column] } } }
        return (crossEntropy(logits, matches) + crossEntropy(transposed(logits), transposed(matches))) / 2
    }

    private func crossEntropy(_ logits: Matrix, _ matches: [[Bool]]) -> Double {
        zip(logits, matches).reduce(0) { sum, row in
            let top = row.0.max() ?? 0
            let logSum = top + log(row.0.reduce(0) { $0 + exp($1 - top) })
            let right = zip(row.0, row.1).filter(\.1).map(\.0)
            return sum + right.reduce(0) { $0 + logSum - $1 } / Double(right.count)
        } / Double(logits.count)
    }

    private func unit(_ x: [Double]) -> [Double] {
        let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return x.map { $0 / length }
    }

    private func vector(_ p: [Double], _ name: String, _ count: Int, row: Int = 0) -> [Double] {
        let start = layout[name] + row * count
        return Array(p[start..<start + count])
    }

    private func rounded(_ p: [Double], _ rows: Matrix, _ point: QuantizationPoint, _ block: Int?, _ model: String) -> Matrix {
        guard let rounding, model == "vision_model" else { return rows }
        return rows.map { rounding.round($0, p, point.name(.vision, block: block)) }
    }

    func image(_ p: [Double], _ crop: [UInt8]) -> [Double] {
        let (side, patch, width) = (configuration.imageSide, configuration.patchSize, configuration.vision.width)
        var rows: Matrix = [vector(p, "vision_model.embeddings.class_embedding", width)]
        for py in 0..<configuration.patchesPerSide {
            for px in 0..<configuration.patchesPerSide {
                var pixels: [Double] = []
                for channel in 0..<3 {
                    for y in 0..<patch {
                        for x in 0..<patch {
                            let value = crop[((py * patch + y) * side + px * patch + x) * 3 + channel]
                            pixels.append(Double(normalization[channel * 256 + Int(value)]))
                        }
                    }
                }
                let taken = rounded(p, [pixels], .patchInput, nil, "vision_model")
                rows.append(dense(p, taken, "vision_model.embeddings.patch_embedding.weight", nil, width)[0])
            }
        }
        for index in rows.indices {
            rows[index] = add(rows[index], vector(p, "vision_model.embeddings.position_embedding.weight", width, row: index))
        }
        rows = norm(p, rows, "vision_model.pre_layrnorm", configuration.vision)
        rows = blocks(p, rows, "vision_model", configuration.vision, isCausal: false)
        let pooled = norm(p, [rows[0]], "vision_model.post_layernorm", configuration.vision)
        return dense(p, pooled, "visual_projection.weight", nil, configuration.projectionWidth)[0]
    }

    private func text(_ p: [Double], _ prompt: [Int32]) -> [Double] {
        let width = configuration.text.width
        var rows = prompt.enumerated().map { position, id in
            add(
                vector(p, "text_model.embeddings.token_embedding.weight", width, row: Int(id)),
                vector(p, "text_model.embeddings.position_embedding.weight", width, row: position))
        }
        rows = blocks(p, rows, "text_model", configuration.text, isCausal: true)
        let pooled = norm(p, [rows[rows.count - 1]], "text_model.final_layer_norm", configuration.text)
        return dense(p, pooled, "text_projection.weight", nil, configuration.projectionWidth)[0]
    }

    private func blocks(_ p: [Double], _ input: Matrix, _ model: String, _ shape: TowerConfiguration, isCausal: Bool) -> Matrix {
        var rows = input
        for index in 0..<shape.depth {
            let block = "\(model).encoder.layers.\(index)."
            func point(_ rows: Matrix, _ point: QuantizationPoint) -> Matrix { rounded(p, rows, point, index, model) }
            let normed = point(norm(p, rows, block + "layer_norm1", shape), .qkvInput)
            func projected(_ name: String, _ place: QuantizationPoint) -> Matrix {
                point(dense(p, normed, block + "self_attn.\(name).weight", block + "self_attn.\(name).bias", shape.width), place)
            }
            let attended = attention(
                projected("q_proj", .query), projected("k_proj", .key), projected("v_proj", .value), heads: shape.heads, isCausal: isCausal
            ) { point([$0], .probabilities)[0] }
            rows = zip(
                rows,
                dense(p, point(attended, .outputInput), block + "self_attn.out_proj.weight", block + "self_attn.out_proj.bias", shape.width)
            ).map(
                add)
            let second = point(norm(p, rows, block + "layer_norm2", shape), .dense1Input)
            let inner = dense(p, second, block + "mlp.fc1.weight", block + "mlp.fc1.bias", shape.mlpWidth).map { row in
                row.map { shape.activation == .quickGELU ? $0 / (1 + exp(-1.702 * $0)) : $0 / 2 * (1 + erf($0 / 2.0.squareRoot())) }
            }
            rows = zip(rows, dense(p, point(inner, .dense2Input), block + "mlp.fc2.weight", block + "mlp.fc2.bias", shape.width)).map(add)
        }
        return rows
    }

    private func attention(_ q: Matrix, _ k: Matrix, _ v: Matrix, heads: Int, isCausal: Bool, _ rounded: ([Double]) -> [Double]) -> Matrix {
        let d = q[0].count / heads
        return q.indices.map { row in
            (0..<heads).flatMap { head -> [Double] in
                let part = head * d..<(head + 1) * d
                let seen = isCausal ? row + 1 : k.count
                let scores = (0..<seen).map { other in
                    zip(q[row][part], k[other][part]).reduce(0) { $0 + $1.0 * $1.1 } / Double(d).squareRoot()
                }
                let top = scores.max() ?? 0
                let shares = scores.map { exp($0 - top) }
                let sum = shares.reduce(0, +)
                let taken = rounded(shares.map { $0 / sum })
                return part.map { column in (0..<seen).reduce(0) { $0 + taken[$1] * v[$1][column] } }
            }
        }
    }

    private func add(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map(+) }

    private func dense(_ p: [Double], _ rows: Matrix, _ weight: String, _ bias: String?, _ outputs: Int) -> Matrix {
        rows.map { row in
            (0..<outputs).map { output in
                let start = layout[weight] + output * row.count
                var sum = bias.map { p[layout[$0] + output] } ?? 0
                for index in row.indices { sum += row[index] * p[start + index] }
                return sum
            }
        }
    }

    private func norm(_ p: [Double], _ rows: Matrix, _ name: String, _ shape: TowerConfiguration) -> Matrix {
        let (gamma, beta) = (vector(p, name + ".weight", shape.width), vector(p, name + ".bias", shape.width))
        return rows.map { row in
            let mean = row.reduce(0, +) / Double(row.count)
            let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
            let scale = 1 / (variance + Double(shape.layerNormEpsilon)).squareRoot()
            return row.indices.map { (row[$0] - mean) * scale * gamma[$0] + beta[$0] }
        }
    }
}
