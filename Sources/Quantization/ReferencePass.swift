internal import CLIP
internal import Tensors

/// One pass of rows through a transformer of the recipe `reference`.
struct ReferencePass {
    let transformer: ReferenceTransformer
    let sequences: [TokenSequence]
    let workspace: Workspace
    let pool: ThreadPool
    let tap: CodeTap?

    /// A row whose state is wanted, and the sequence it stands in.
    struct Query {
        let row: Int
        let sequence: TokenSequence
    }

    private enum Slot: Int { case normed = 0, input, query, key, value, attended, mlp, mlpCodes, columns = 12, scratch }

    private var width: Int { transformer.configuration.width }
    private var heads: Int { transformer.configuration.heads }
    private var headWidth: Int { width / heads }
    private var kernels: FloatKernels { transformer.kernels }

    private func floats(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<Float> {
        workspace.buffer(slot.rawValue, of: Float.self, count: count)
    }

    private func codes(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<UInt8> {
        workspace.buffer(slot.rawValue, of: UInt8.self, count: count)
    }

    /// Block `index`: `output` [queries, width] holds the residual stream of the queries' rows and receives the block's output. It may be
    /// `hidden` [rows, width] where all rows are queries, in order.
    func run(
        _ block: ReferenceBlock, _ index: Int, hidden: UnsafeMutablePointer<Float>, rows: Int, queries: [Query],
        output: UnsafeMutablePointer<Float>
    ) {
        tap?(index, .residual(UnsafeBufferPointer(start: hidden, count: rows * width)))
        let input = normalize(block.norm1, hidden, rows, block.qkvInput)
        tap?(index, .codes(.qkvInput, UnsafeBufferPointer(start: input, count: rows * width)))
        let (query, key, value) = (floats(.query, queries.count * width), floats(.key, rows * width), floats(.value, rows * width))
        multiply(input, rows, [(block.key, .floats(key)), (block.value, .floats(value))])
        // A row of the stream's input and its query keep their order, so gathering may overwrite.
        for (place, query) in queries.enumerated() where place != query.row {
            (input + place * width).update(from: input + query.row * width, count: width)
        }
        multiply(input, queries.count, [(block.query, .floats(query))])
        let attended = floats(.attended, queries.count * width)
        attend(queries, query, key, value, attended)
        addProjection(attended, queries.count, block.output, bias: block.outputBias, to: output)
        tap?(index, .residual(UnsafeBufferPointer(start: output, count: queries.count * width)))
        feedForward(block, index, output, queries.count)
    }

    private func feedForward(_ block: ReferenceBlock, _ index: Int, _ hidden: UnsafeMutablePointer<Float>, _ rows: Int) {
        let inner = transformer.configuration.mlpWidth
        let input = normalize(block.norm2, hidden, rows, block.dense1Input)
        tap?(index, .codes(.dense1Input, UnsafeBufferPointer(start: input, count: rows * width)))
        let mlp = floats(.mlp, rows * inner)
        multiply(input, rows, [(block.dense1, .floats(mlp))])
        let codes = codes(.mlpCodes, rows * inner)
        let nothing = [Float](repeating: -0, count: inner)  // x + -0 is x
        pool.forEachRange(rows) { range in
            let start = mlp + range.lowerBound * inner
            switch transformer.configuration.activation {
            case .quickGELU: kernels.biasQuickGELU(start, stride: inner, bias: nothing, rows: range.count, width: inner)
            case .gelu: kernels.biasGELU(start, stride: inner, bias: nothing, rows: range.count, width: inner)
            }
            block.dense2Input.quantize(start, rows: range.count, to: codes + range.lowerBound * inner)
        }
        tap?(index, .codes(.dense2Input, UnsafeBufferPointer(start: codes, count: rows * inner)))
        multiply(codes, rows, [(block.dense2, .adding(hidden))])
    }

    /// Codes of LayerNorm's output.
    private func normalize(
        _ norm: LayerNorm, _ x: UnsafePointer<Float>, _ rows: Int, _ quantizer: ChannelQuantizer
    ) -> UnsafeMutablePointer<UInt8> {
        let width = width
        let (normed, codes) = (floats(.normed, rows * width), codes(.input, rows * width))
        norm.gamma.withUnsafeBufferPointer { gamma in
            norm.beta.withUnsafeBufferPointer { beta in
                guard let gamma = gamma.baseAddress, let beta = beta.baseAddress else { return }
                pool.forEachRange(rows) { range in
                    let start = range.lowerBound * width
                    kernels.layerNorm(
                        x + start, inputStride: width, gamma: gamma, beta: beta, epsilon: transformer.configuration.layerNormEpsilon,
                        rows: range.count, width: width, output: normed + start, outputStride: width)
                    quantizer.quantize(normed + start, rows: range.count, to: codes + start)
                }
            }
        }
        return codes
    }

    private func multiply(_ input: UnsafePointer<UInt8>, _ rows: Int, _ products: [(layer: QuantizedDense, output: ProductOutput)]) {
        let gemm = transformer.gemm
        for (layer, output) in products {
            let panels = IntegerGEMM.panels(layer.weight.outputs)
            let parts = max(1, min(pool.threads, panels))
            let each = (gemm.scratchByteCount(rows: rows, inputs: layer.weight.inputs) + 63) / 64 * 64
            let scratch = UnsafeMutableRawPointer(codes(.scratch, parts * each))
            let matrix = CodeMatrix(
                input, stride: layer.weight.inputs, rows: rows, columns: layer.weight.inputs, meaning: layer.input)
            _ = layer.withChannels { channels in
                pool.forEach(parts) { part in
                    gemm.multiply(
                        matrix, layer.weight, channels: channels, to: output, stride: layer.weight.outputs,
                        panels: panels * part / parts..<panels * (part + 1) / parts, scratch: scratch + part * each)
                }
            }
        }
    }

    /// Softmax(q k^T / sqrt d) v in float: query and output are [queries, width].
    private func attend(
        _ queries: [Query], _ query: UnsafePointer<Float>, _ key: UnsafePointer<Float>, _ value: UnsafePointer<Float>,
        _ output: UnsafeMutablePointer<Float>
    ) {
        let longest = sequences.reduce(0) { max($0, $1.rows.count) }
        let size = longest * (headWidth + 1)
        let memory = floats(.columns, heads * size)
        let bySequence = Dictionary(grouping: queries.indices) { queries[$0].sequence.rows.lowerBound }
        for sequence in sequences {
            let places = bySequence[sequence.rows.lowerBound] ?? []
            let tokens = sequence.rows.count
            pool.forEach(heads) { head in
                let columns = memory + head * size
                let scores = columns + longest * headWidth
                let offset = sequence.rows.lowerBound * width + head * headWidth
                for column in 0..<headWidth {
                    for token in 0..<tokens { columns[column * tokens + token] = value[offset + token * width + column] }
                }
                for place in places {
                    let visible = transformer.isCausal ? queries[place].row - sequence.rows.lowerBound + 1 : tokens
                    let at = place * width + head * headWidth
                    kernels.dotRows(query + at, matrix: key + offset, stride: width, rows: visible, width: headWidth, output: scores)
                    kernels.softmax(
                        scores, stride: visible, scale: 1 / Float(headWidth).squareRoot(), rows: 1, width: visible)
                    kernels.dotRows(scores, matrix: columns, stride: tokens, rows: headWidth, width: visible, output: output + at)
                }
            }
        }
    }

    /// `hidden += x * weight^T + bias`, in the float kernels' order.
    private func addProjection(
        _ x: UnsafePointer<Float>, _ rows: Int, _ weight: FloatTensor, bias: FloatTensor, to hidden: UnsafeMutablePointer<Float>
    ) {
        let width = width
        let result = floats(.normed, rows * width)
        weight.withUnsafeBufferPointer { weight in
            bias.withUnsafeBufferPointer { bias in
                guard let weight = weight.baseAddress, let bias = bias.baseAddress else { return }
                // A few outputs' weights stay in the first-level cache while the rows pass.
                pool.forEachRange(width, multiple: 8) { outputs in
                    for start in stride(from: outputs.lowerBound, to: outputs.upperBound, by: 8) {
                        let count = min(8, outputs.upperBound - start)
                        for row in 0..<rows {
                            kernels.dotRows(
                                x + row * width, matrix: weight + start * width, stride: width, rows: count, width: width,
                                output: result + row * width + start)
                        }
                    }
                }
                kernels.addBias(result, stride: width, bias: bias, rows: rows, width: width)
            }
        }
        kernels.addBias(hidden, stride: 0, bias: result, rows: 1, width: rows * width)
    }
}
