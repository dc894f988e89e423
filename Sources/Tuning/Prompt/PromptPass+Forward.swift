internal import CLIP
internal import Quantization
internal import Tensors

extension PromptPass {
    /// Whether block `index` is computed for the end tokens alone: the last one, of which nothing else is read.
    func isPooled(_ index: Int) -> Bool { index == tower.depth - 1 }

    /// Rows that block `index` computes but for keys and values.
    func queries(_ index: Int) -> Int { isPooled(index) ? classes : rows }

    func forward(block index: Int) {
        let (rows, queries) = (rows, queries(index))
        let hidden = keep(index, .hidden, rows * width)
        let normed = memory(.normed, rows * width)
        normalize(tower.norm(index, first: true), hidden, rows, normed)
        let key = keep(index, .key, rows * width)
        let value = keep(index, .value, rows * width)
        apply(index, .key, normed, rows, key)
        apply(index, .value, normed, rows, value)
        let middle = keep(index, .middle, queries * width)
        var source = normed
        if isPooled(index) {
            source = memory(.pooledNormed, queries * width)
            gather(normed, layout.pooled, source)
            gather(hidden, layout.pooled, middle)
        } else {
            middle.update(from: hidden, count: rows * width)
        }
        let query = keep(index, .query, queries * width)
        apply(index, .query, source, queries, query)
        let attended = keep(index, .attended, queries * width)
        attend(index, query: query, key: key, value: value, attended)
        apply(index, .output, attended, queries, middle, adding: true)
        feedForward(index, middle, queries)
    }

    private func feedForward(_ index: Int, _ middle: UnsafePointer<Float>, _ count: Int) {
        let inner = tower.configuration.text.mlpWidth
        let normed = memory(.normed, rows * width)
        normalize(tower.norm(index, first: false), middle, count, normed)
        let dense = keep(index, .inner, count * inner)
        apply(index, .dense1, normed, count, dense)
        let activated = memory(.activated, count * inner)
        activate(dense, count, activated)
        let next = keep(index + 1, .hidden, rows * width)
        next.update(from: middle, count: count * width)
        apply(index, .dense2, activated, count, next, adding: true)
    }

    /// `y = LayerNorm(x)`
    func normalize(_ norm: LayerNorm, _ x: UnsafePointer<Float>, _ count: Int, _ y: UnsafeMutablePointer<Float>) {
        norm.gamma.withUnsafeBufferPointer { gamma in
            norm.beta.withUnsafeBufferPointer { beta in
                guard let gamma = gamma.baseAddress, let beta = beta.baseAddress else { return }
                pool.forEachRange(count) { range in
                    let start = range.lowerBound * width
                    kernels.layerNorm(
                        x + start, inputStride: width, gamma: gamma, beta: beta, epsilon: tower.configuration.text.layerNormEpsilon,
                        rows: range.count, width: width, output: y + start, outputStride: width)
                }
            }
        }
    }

    /// `y = activation(x)`, [count, mlpWidth]
    func activate(_ x: UnsafePointer<Float>, _ count: Int, _ y: UnsafeMutablePointer<Float>) {
        let inner = tower.configuration.text.mlpWidth
        // x + -0 is x, for -0 too.
        let nothing = memory(.zeros, inner)
        nothing.update(repeating: -0.0, count: inner)
        pool.forEachRange(count) { range in
            let target = y + range.lowerBound * inner
            target.update(from: x + range.lowerBound * inner, count: range.count * inner)
            switch tower.configuration.text.activation {
            case .quickGELU: kernels.biasQuickGELU(target, stride: inner, bias: nothing, rows: range.count, width: inner)
            case .gelu: kernels.biasGELU(target, stride: inner, bias: nothing, rows: range.count, width: inner)
            }
        }
    }

    // MARK: Linear maps

    /// `y = x * weight^T + bias`, or `+=`; in a quantized tower on the codes of x.
    private func apply(
        _ index: Int, _ map: LinearMap, _ x: UnsafePointer<Float>, _ count: Int, _ y: UnsafeMutablePointer<Float>, adding: Bool = false
    ) {
        switch tower {
        case .float(let encoder): apply(encoder.transformer.blocks[index][map], x, count, y, adding)
        case .quantized(let encoder): apply(encoder.transformer.blocks[index][map], encoder.transformer.gemm, x, count, y, adding)
        }
    }

    /// Columns of a product that are computed together, whatever the number of threads: so its bits don't depend on that.
    static let columns = 256

    private func apply(
        _ dense: Dense, _ x: UnsafePointer<Float>, _ count: Int, _ y: UnsafeMutablePointer<Float>, _ adding: Bool
    ) {
        let (outputs, inputs) = (dense.outputs, dense.inputs)
        dense.weight.withUnsafeBufferPointer { weight in
            dense.bias.withUnsafeBufferPointer { bias in
                guard let weight = weight.baseAddress, let bias = bias.baseAddress else { return }
                pool.forEach((outputs + Self.columns - 1) / Self.columns) { part in
                    let first = part * Self.columns
                    let share = min(Self.columns, outputs - first)
                    BLAS.multiply(
                        m: count, n: share, k: inputs, a: x, aStride: inputs, transposedB: weight + first * inputs, bStride: inputs,
                        c: y + first, cStride: outputs, accumulating: adding)
                    kernels.addBias(y + first, stride: outputs, bias: bias + first, rows: count, width: share)
                }
            }
        }
    }

    private func apply(
        _ dense: QuantizedDense, _ gemm: IntegerGEMM, _ x: UnsafePointer<Float>, _ count: Int, _ y: UnsafeMutablePointer<Float>,
        _ adding: Bool
    ) {
        let (outputs, inputs) = (dense.weight.outputs, dense.weight.inputs)
        let codes = quantize(x, count, inputs, dense.input, .codes)
        let panels = IntegerGEMM.panels(outputs)
        let parts = max(1, min(pool.threads, panels))
        let each = (gemm.scratchByteCount(rows: count, inputs: inputs) + 63) / 64 * 64
        let base = UnsafeMutableRawPointer(scratch.buffer(Slot.integers.rawValue, of: UInt8.self, count: parts * each))
        let matrix = CodeMatrix(codes, stride: inputs, rows: count, columns: inputs, meaning: dense.input)
        _ = dense.withChannels { channels in
            pool.forEach(parts) { part in
                gemm.multiply(
                    matrix, dense.weight, channels: channels, to: adding ? .adding(y) : .floats(y), stride: outputs,
                    panels: panels * part / parts..<panels * (part + 1) / parts, scratch: base + part * each)
            }
        }
    }

    /// Codes of `x` [count, width].
    func quantize(
        _ x: UnsafePointer<Float>, _ count: Int, _ width: Int, _ meaning: CodeScale, _ slot: Slot
    ) -> UnsafeMutablePointer<UInt8> {
        let codes = scratch.buffer(slot.rawValue, of: UInt8.self, count: count * width)
        guard case .quantized(let encoder) = tower else { return codes }
        pool.forEachRange(count) { range in
            let start = range.lowerBound * width
            encoder.transformer.gemm.quantize(
                x + start, stride: width, rows: range.count, width: width, by: meaning, to: codes + start, codesStride: width)
        }
        return codes
    }
}
