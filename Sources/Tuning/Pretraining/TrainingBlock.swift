internal import CLIP
internal import Tensors

/// Which rows ask in a block: all of them, or (in the last block, from which nothing else leaves) each sequence's pooled row.
struct QueryRows {
    let sequences: [TokenSequence]
    let isPooled: Bool
    let isCausal: Bool

    func count(rows: Int) -> Int { isPooled ? sequences.count : rows }

    /// Of sequence `index`, in the rows of the queries.
    func range(_ index: Int) -> Range<Int> { isPooled ? index..<index + 1 : sequences[index].rows }

    /// How many keys the first query sees, and how many more each next one.
    func visible(_ index: Int) -> (first: Int, step: Int) {
        let sequence = sequences[index]
        if !isCausal { return (sequence.rows.count, 0) }
        return isPooled ? (sequence.pooled - sequence.rows.lowerBound + 1, 0) : (1, 1)
    }

    /// Floats of all attention matrices.
    func probabilityCount(heads: Int) -> Int { sequences.indices.reduce(0) { $0 + heads * range($1).count * sequences[$1].rows.count } }
}

/// One transformer block for training: what the forward pass keeps is what the backward pass needs.
///
/// R rows of width W come in, Q rows go out (`QueryRows`); M is the width between the dense layers. Pointers into the parameters and into
/// their gradients use the same places.
struct TrainingBlock {
    enum Slot: Int {
        case normed1 = 0, source, query, keyValue, probabilities, attended, middle, normed2, inner, activated, output
    }

    /// What the backward pass needs for a moment only; shared by all blocks of a lane.
    enum Scratch: Int {
        case inner = 0, normed, middle, attended, query, keyValue, scores, source
    }

    let shape: TowerConfiguration
    let places: BlockPlaces
    let kernels: FloatKernels
    let parameters: UnsafePointer<Float>
    let queries: QueryRows
    let rows: Int
    /// The forward pass's own, one a block.
    let saved: Workspace
    let scratch: Workspace
    /// Nil in a float tower.
    let quantizers: BlockQuantizers?

    private var width: Int { shape.width }
    private var headWidth: Int { shape.width / shape.heads }
    private var queryCount: Int { queries.count(rows: rows) }

    func kept(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<Float> { saved.buffer(slot.rawValue, of: Float.self, count: count) }

    /// What the next operation takes in place of a kept tensor: in a quantized tower, what its codes stand for.
    func taken(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<Float> {
        quantizers?.rounded.buffer(slot.rawValue, of: Float.self, count: count) ?? kept(slot, count)
    }

    /// A kept tensor, rounded at `point`.
    private func rounded(_ slot: Slot, _ count: Int, _ point: QuantizationPoint) -> UnsafeMutablePointer<Float> {
        let target = taken(slot, count)
        guard let quantizers else { return target }
        target.update(from: kept(slot, count), count: count)
        quantizers.round(target, count, point)
        return target
    }

    private func roundedKeyValue() -> UnsafeMutablePointer<Float> {
        let target = taken(.keyValue, rows * 2 * width)
        guard let quantizers else { return target }
        target.update(from: kept(.keyValue, rows * 2 * width), count: rows * 2 * width)
        for row in 0..<rows {
            quantizers.round(target + row * 2 * width, width, .key)
            quantizers.round(target + (row * 2 + 1) * width, width, .value)
        }
        return target
    }

    func temporary(_ slot: Scratch, _ count: Int) -> UnsafeMutablePointer<Float> {
        scratch.buffer(slot.rawValue, of: Float.self, count: count)
    }

    /// [R, W] to [Q, W], which stays valid until the next forward pass.
    func forward(_ hidden: UnsafePointer<Float>) -> UnsafeMutablePointer<Float> {
        let (q, w, m) = (queryCount, width, shape.mlpWidth)
        let normed1 = kept(.normed1, rows * w)
        norm(hidden, rows, places.gamma1, places.beta1, normed1)
        let input = rounded(.normed1, rows * w, .qkvInput)
        let source = queries.isPooled ? gather(input, into: kept(.source, q * w)) : input
        let query = kept(.query, q * w)
        let keyValue = kept(.keyValue, rows * 2 * w)
        dense(source, q, places.queryWeight, places.queryBias, inputs: w, outputs: w, query)
        dense(input, rows, places.keyValueWeight, places.keyValueBias, inputs: w, outputs: 2 * w, keyValue)
        let attended = kept(.attended, q * w)
        attend(rounded(.query, q * w, .query), roundedKeyValue(), attended)

        let middle = kept(.middle, q * w)
        if queries.isPooled { _ = gather(hidden, into: middle) } else { middle.update(from: hidden, count: q * w) }
        dense(
            rounded(.attended, q * w, .outputInput), q, places.outputWeight, places.outputBias, inputs: w, outputs: w, middle,
            accumulating: true)
        let normed2 = kept(.normed2, q * w)
        norm(middle, q, places.gamma2, places.beta2, normed2)
        let (inner, activated) = (kept(.inner, q * m), kept(.activated, q * m))
        dense(rounded(.normed2, q * w, .dense1Input), q, places.dense1Weight, nil, inputs: w, outputs: m, inner)
        activated.update(from: inner, count: q * m)
        kernels.addBias(inner, stride: m, bias: parameters + places.dense1Bias, rows: q, width: m)
        switch shape.activation {
        case .quickGELU: kernels.biasQuickGELU(activated, stride: m, bias: parameters + places.dense1Bias, rows: q, width: m)
        case .gelu: kernels.biasGELU(activated, stride: m, bias: parameters + places.dense1Bias, rows: q, width: m)
        }
        let output = kept(.output, q * w)
        output.update(from: middle, count: q * w)
        let spread = rounded(.activated, q * m, .dense2Input)
        dense(spread, q, places.dense2Weight, places.dense2Bias, inputs: m, outputs: w, output, accumulating: true)
        return output
    }

    private func attend(_ query: UnsafePointer<Float>, _ keyValue: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>) {
        let (w, d) = (width, headWidth)
        var scores = kept(.probabilities, queries.probabilityCount(heads: shape.heads))
        var shares = taken(.probabilities, queries.probabilityCount(heads: shape.heads))
        for (index, sequence) in queries.sequences.enumerated() {
            let asking = queries.range(index)
            let (q, length) = (asking.count, sequence.rows.count)
            let visible = queries.visible(index)
            for head in 0..<shape.heads {
                let key = keyValue + sequence.rows.lowerBound * 2 * w + head * d
                let place = asking.lowerBound * w + head * d
                BLAS.multiply(
                    m: q, n: length, k: d, a: query + place, aStride: w, transposedB: key, bStride: 2 * w, c: scores, cStride: length)
                kernels.softmax(
                    scores, stride: length, scale: 1 / Float(d).squareRoot(), rows: q, width: length, first: visible.first,
                    step: visible.step)
                if let quantizers {
                    shares.update(from: scores, count: q * length)
                    quantizers.round(shares, q * length, .probabilities)
                }
                BLAS.multiply(
                    m: q, n: d, k: length, a: shares, aStride: length, b: key + w, bStride: 2 * w, c: output + place, cStride: w)
                scores += q * length
                shares += q * length
            }
        }
    }

    /// Each sequence's pooled row of [R, W] into [sequences, W].
    private func gather(_ x: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Float> {
        for (index, sequence) in queries.sequences.enumerated() {
            (target + index * width).update(from: x + sequence.pooled * width, count: width)
        }
        return target
    }

    private func norm(
        _ x: UnsafePointer<Float>, _ rows: Int, _ gamma: Int, _ beta: Int, _ y: UnsafeMutablePointer<Float>
    ) {
        kernels.layerNorm(
            x, inputStride: width, gamma: parameters + gamma, beta: parameters + beta, epsilon: shape.layerNormEpsilon, rows: rows,
            width: width, output: y, outputStride: width)
    }

    private func dense(
        _ x: UnsafePointer<Float>, _ rows: Int, _ weight: Int, _ bias: Int?, inputs: Int, outputs: Int,
        _ y: UnsafeMutablePointer<Float>, accumulating: Bool = false
    ) {
        BLAS.multiply(
            m: rows, n: outputs, k: inputs, a: x, aStride: inputs, transposedB: parameters + weight, bStride: inputs, c: y,
            cStride: outputs, accumulating: accumulating)
        if let bias { kernels.addBias(y, stride: outputs, bias: parameters + bias, rows: rows, width: outputs) }
    }
}
