internal import Tensors

/// One pass of rows through a float transformer: scratch, threads, and the operations of a block.
struct FloatPass {
    let transformer: FloatTransformer
    let sequences: [TokenSequence]
    let workspace: Workspace
    let pool: ThreadPool
    let tap: ActivationTap?

    private enum Slot: Int { case normed = 0, query, key, value, attended, mlp, scores }

    private var width: Int { transformer.configuration.width }
    private var heads: Int { transformer.configuration.heads }
    private var headWidth: Int { width / heads }
    private var kernels: FloatKernels { transformer.kernels }

    private func scratch(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<Float> {
        workspace.buffer(slot.rawValue, of: Float.self, count: count)
    }

    /// Block `index` over all rows.
    func runWhole(_ index: Int, hidden: UnsafeMutablePointer<Float>, rows: Int) {
        let block = transformer.blocks[index]
        let normed = scratch(.normed, rows * width)
        normalize(block.norm1, hidden, rows, normed)
        see(index, .qkvInput, normed, rows * width)
        let query = scratch(.query, rows * width)
        multiply(normed, rows, block.query, query)
        let (key, value) = keysAndValues(block, normed, rows)
        see(index, .query, query, rows * width)
        see(index, .key, key, rows * width)
        see(index, .value, value, rows * width)
        let attended = scratch(.attended, rows * width)
        attend(index, query, key, value, attended)
        see(index, .outputInput, attended, rows * width)
        multiply(attended, rows, block.output, hidden, accumulating: true)
        feedForward(index, hidden, rows)
    }

    /// Block `index` for the pooled rows only; `hidden` stays as it is, `pooled` [sequences, width] receives the block's output.
    func runPooled(_ index: Int, hidden: UnsafeMutablePointer<Float>, rows: Int, pooled: UnsafeMutablePointer<Float>) {
        let block = transformer.blocks[index]
        let normed = scratch(.normed, rows * width)
        normalize(block.norm1, hidden, rows, normed)
        let (key, value) = keysAndValues(block, normed, rows)
        let attended = scratch(.attended, sequences.count * width)
        for (index, sequence) in sequences.enumerated() {
            (attended + index * width).update(from: normed + sequence.pooled * width, count: width)
        }
        let query = scratch(.query, sequences.count * width)
        multiply(attended, sequences.count, block.query, query)
        attendPooled(query, key, value, attended)
        multiply(attended, sequences.count, block.output, pooled, accumulating: true)
        feedForward(index, pooled, sequences.count)
    }

    private func keysAndValues(
        _ block: TransformerBlock, _ normed: UnsafeMutablePointer<Float>, _ rows: Int
    ) -> (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) {
        let key = scratch(.key, rows * width)
        let value = scratch(.value, rows * width)
        multiply(normed, rows, block.key, key)
        multiply(normed, rows, block.value, value)
        return (key, value)
    }

    private func feedForward(_ index: Int, _ hidden: UnsafeMutablePointer<Float>, _ rows: Int) {
        let block = transformer.blocks[index]
        let inner = block.dense1.outputs
        let normed = scratch(.normed, rows * width)
        normalize(block.norm2, hidden, rows, normed)
        see(index, .dense1Input, normed, rows * width)
        let mlp = scratch(.mlp, rows * inner)
        multiply(normed, rows, block.dense1, mlp, activation: transformer.configuration.activation)
        see(index, .dense2Input, mlp, rows * inner)
        multiply(mlp, rows, block.dense2, hidden, accumulating: true)
    }

    private func normalize(_ norm: LayerNorm, _ x: UnsafePointer<Float>, _ rows: Int, _ y: UnsafeMutablePointer<Float>) {
        let width = width
        norm.gamma.withUnsafeBufferPointer { gamma in
            norm.beta.withUnsafeBufferPointer { beta in
                guard let gamma = gamma.baseAddress, let beta = beta.baseAddress else { return }
                pool.forEachRange(rows) { range in
                    kernels.layerNorm(
                        x + range.lowerBound * width, inputStride: width, gamma: gamma, beta: beta,
                        epsilon: transformer.configuration.layerNormEpsilon, rows: range.count, width: width,
                        output: y + range.lowerBound * width, outputStride: width)
                }
            }
        }
    }

    /// `y = activation(x * weight^T + bias)` over `rows`, or `y += x * weight^T + bias`; split over the pool by output channel.
    private func multiply(
        _ x: UnsafePointer<Float>, _ rows: Int, _ layer: Dense, _ y: UnsafeMutablePointer<Float>, accumulating: Bool = false,
        activation: Activation? = nil
    ) {
        let (outputs, inputs) = (layer.outputs, layer.inputs)
        layer.weight.withUnsafeBufferPointer { weight in
            layer.bias.withUnsafeBufferPointer { bias in
                guard let weight = weight.baseAddress, let bias = bias.baseAddress else { return }
                pool.forEachRange(outputs, multiple: 16) { part in
                    let target = y + part.lowerBound
                    BLAS.multiply(
                        m: rows, n: part.count, k: inputs, a: x, aStride: inputs, transposedB: weight + part.lowerBound * inputs,
                        bStride: inputs, c: target, cStride: outputs, accumulating: accumulating)
                    let bias = bias + part.lowerBound
                    switch activation {
                    case .quickGELU?: kernels.biasQuickGELU(target, stride: outputs, bias: bias, rows: rows, width: part.count)
                    case .gelu?: kernels.biasGELU(target, stride: outputs, bias: bias, rows: rows, width: part.count)
                    case nil: kernels.addBias(target, stride: outputs, bias: bias, rows: rows, width: part.count)
                    }
                }
            }
        }
    }

    /// Softmax(q k^T / sqrt d) v for every sequence and head.
    private func attend(
        _ index: Int, _ query: UnsafePointer<Float>, _ key: UnsafePointer<Float>, _ value: UnsafePointer<Float>,
        _ output: UnsafeMutablePointer<Float>
    ) {
        let longest = sequences.reduce(0) { max($0, $1.rows.count) }
        let scores = scratch(.scores, heads * longest * longest)
        let scale = 1 / Float(headWidth).squareRoot()
        for sequence in sequences {
            let length = sequence.rows.count
            let base = sequence.rows.lowerBound * width
            pool.forEach(heads) { head in
                let offset = base + head * headWidth
                let scores = scores + head * longest * longest
                BLAS.multiply(
                    m: length, n: length, k: headWidth, a: query + offset, aStride: width, transposedB: key + offset, bStride: width,
                    c: scores, cStride: length)
                if transformer.isCausal {
                    kernels.softmax(scores, stride: length, scale: scale, rows: length, width: length, first: 1, step: 1)
                } else {
                    kernels.softmax(scores, stride: length, scale: scale, rows: length, width: length)
                }
                BLAS.multiply(
                    m: length, n: headWidth, k: length, a: scores, aStride: length, b: value + offset, bStride: width,
                    c: output + offset, cStride: width)
            }
            seeProbabilities(index, scores, length: length, stride: longest * longest)
        }
    }

    /// The same for the pooled query of each sequence: query and output are [sequences, width].
    private func attendPooled(
        _ query: UnsafePointer<Float>, _ key: UnsafePointer<Float>, _ value: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>
    ) {
        let longest = sequences.reduce(0) { max($0, $1.rows.count) }
        let scores = scratch(.scores, sequences.count * longest)
        let scale = 1 / Float(headWidth).squareRoot()
        pool.forEach(sequences.count) { index in
            let sequence = sequences[index]
            let visible = transformer.isCausal ? sequence.pooled - sequence.rows.lowerBound + 1 : sequence.rows.count
            let scores = scores + index * longest
            for head in 0..<heads {
                let offset = sequence.rows.lowerBound * width + head * headWidth
                let place = index * width + head * headWidth
                kernels.dotRows(query + place, matrix: key + offset, stride: width, rows: visible, width: headWidth, output: scores)
                kernels.softmax(scores, stride: visible, scale: scale, rows: 1, width: visible)
                BLAS.multiply(
                    m: 1, n: headWidth, k: visible, a: scores, aStride: visible, b: value + offset, bStride: width, c: output + place,
                    cStride: width)
            }
        }
    }

    private func see(_ index: Int, _ point: QuantizationPoint, _ x: UnsafePointer<Float>, _ count: Int) {
        tap?(index, point, UnsafeBufferPointer(start: x, count: count))
    }

    /// Only the pairs that a query may attend to are observed.
    private func seeProbabilities(_ index: Int, _ scores: UnsafePointer<Float>, length: Int, stride: Int) {
        guard let tap else { return }
        for head in 0..<heads {
            for row in 0..<length {
                let count = transformer.isCausal ? row + 1 : length
                tap(index, .probabilities, UnsafeBufferPointer(start: scores + head * stride + row * length, count: count))
            }
        }
    }
}
