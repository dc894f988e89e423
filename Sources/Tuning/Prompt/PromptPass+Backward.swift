internal import CLIP
internal import Tensors

extension PromptPass {
    /// Turns `gradient`, by the output of block `index`, into that by its input, in place: [queries, width] becomes [rows, width]. Of the
    /// first block, only the rows up to the last context vector's are wanted, and others are left undefined.
    func backward(block index: Int, _ gradient: UnsafeMutablePointer<Float>) {
        let (rows, queries) = (rows, queries(index))
        let wanted = index == 0 ? layout.contextRows : rows
        feedForwardGradient(index, gradient, queries)
        let attended = memory(.attended, queries * width)
        propagate(index, .output, gradient, queries, attended)
        clip(attended, keep(index, .attended, queries * width), queries * width, index, .outputInput)
        let query = memory(.query, queries * width)
        let (key, value) = (memory(.key, rows * width), memory(.value, rows * width))
        attentionGradient(index, attended, query: query, key: key, value: value)
        let input = memory(.input, rows * width)
        clip(key, keep(index, .key, rows * width), wanted * width, index, .key)
        clip(value, keep(index, .value, rows * width), wanted * width, index, .value)
        clip(query, keep(index, .query, queries * width), queries * width, index, .query)
        propagate(index, .key, key, wanted, input)
        propagate(index, .value, value, wanted, input, adding: true)
        if isPooled(index) {
            propagate(index, .query, query, queries, attended)
            scatter(attended, adding: true, input)
            let copy = memory(.pooled, queries * width)
            copy.update(from: gradient, count: queries * width)
            gradient.update(repeating: 0, count: rows * width)
            scatter(copy, adding: false, gradient)
        } else {
            propagate(index, .query, query, wanted, input, adding: true)
        }
        addNormGradient(index, first: true, input, keep(index, .hidden, rows * width), wanted, .qkvInput, gradient)
    }

    /// Adds to `gradient` what comes through the dense layers.
    private func feedForwardGradient(_ index: Int, _ gradient: UnsafeMutablePointer<Float>, _ count: Int) {
        let inner = tower.configuration.text.mlpWidth
        let byInner = memory(.inner, count * inner)
        propagate(index, .dense2, gradient, count, byInner)
        let dense = keep(index, .inner, count * inner)
        if tower.quantizer(index, .dense2Input) != nil {
            let activated = memory(.activated, count * inner)
            activate(dense, count, activated)
            clip(byInner, activated, count * inner, index, .dense2Input)
        }
        pool.forEachRange(count) { range in
            let start = range.lowerBound * inner
            switch tower.configuration.text.activation {
            case .quickGELU: kernels.quickGELUGradient(byInner + start, input: dense + start, count: range.count * inner)
            case .gelu: kernels.geluGradient(byInner + start, input: dense + start, count: range.count * inner)
            }
        }
        let input = memory(.input, rows * width)
        propagate(index, .dense1, byInner, count, input)
        addNormGradient(index, first: false, input, keep(index, .middle, count * width), count, .dense1Input, gradient)
    }

    /// `gradient += ` the gradient by LayerNorm's input `x`, from that by what the quantizer behind it gives.
    private func addNormGradient(
        _ index: Int, first: Bool, _ outer: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ count: Int,
        _ point: QuantizationPoint, _ gradient: UnsafeMutablePointer<Float>
    ) {
        let norm = tower.norm(index, first: first)
        if tower.quantizer(index, point) != nil {
            let normed = memory(.normed, rows * width)
            normalize(norm, x, count, normed)
            clip(outer, normed, count * width, index, point)
        }
        norm.gamma.withUnsafeBufferPointer { gamma in
            guard let gamma = gamma.baseAddress else { return }
            pool.forEachRange(count) { range in
                let start = range.lowerBound * width
                kernels.addLayerNormGradient(
                    outer + start, stride: width, input: x + start, inputStride: width, gamma: gamma,
                    epsilon: tower.configuration.text.layerNormEpsilon, rows: range.count, width: width, to: gradient + start,
                    inputGradientStride: width)
            }
        }
    }

    /// The straight-through rule at a quantization point; nothing in float.
    private func clip(
        _ gradient: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ count: Int, _ index: Int, _ point: QuantizationPoint
    ) {
        guard let meaning = tower.quantizer(index, point) else { return }
        switch rule {
        case .clipped:
            pool.forEachRange(count, multiple: 4096) { range in
                kernels.clipGradient(gradient + range.lowerBound, input: x + range.lowerBound, count: range.count, meaning: meaning)
            }
        case .identity: break
        case .none: gradient.update(repeating: 0, count: count)
        }
    }

    /// `input = output * weight`, or `+=`: the gradient by a linear map's input.
    private func propagate(
        _ index: Int, _ map: LinearMap, _ output: UnsafePointer<Float>, _ count: Int, _ input: UnsafeMutablePointer<Float>,
        adding: Bool = false
    ) {
        let weight = weight(index, map)
        let (outputs, inputs) = (weight.shape[0], weight.shape[1])
        weight.withUnsafeBufferPointer { weight in
            guard let weight = weight.baseAddress else { return }
            pool.forEach((inputs + Self.columns - 1) / Self.columns) { part in
                let first = part * Self.columns
                BLAS.multiply(
                    m: count, n: min(Self.columns, inputs - first), k: outputs, a: output, aStride: outputs, b: weight + first,
                    bStride: inputs, c: input + first, cStride: inputs, accumulating: adding)
            }
        }
    }

    /// Rows of [classes, width] to their places among the rows of the pass.
    private func scatter(_ source: UnsafePointer<Float>, adding: Bool, _ target: UnsafeMutablePointer<Float>) {
        for (index, row) in layout.pooled.enumerated() {
            let place = target + row * width
            if adding {
                kernels.addBias(place, stride: width, bias: source + index * width, rows: 1, width: width)
            } else {
                place.update(from: source + index * width, count: width)
            }
        }
    }
}
