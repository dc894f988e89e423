internal import CLIP
internal import Tensors

/// One pass of rows through a quantized transformer: scratch, threads, and the operations of a block.
struct IntegerPass {
    let transformer: QuantizedTransformer
    let sequences: [TokenSequence]
    let workspace: Workspace
    let pool: ThreadPool
    let tap: CodeTap?

    private enum Slot: Int { case input = 0, query, key, value, attended, mlp, scratch }

    private var width: Int { transformer.configuration.width }
    private var heads: Int { transformer.configuration.heads }
    private var headWidth: Int { width / heads }
    private var gemm: IntegerGEMM { transformer.gemm }

    private func codes(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<UInt8> {
        workspace.buffer(slot.rawValue, of: UInt8.self, count: count)
    }

    /// Block `index` over all rows.
    func runWhole(_ block: QuantizedBlock, _ index: Int, hidden: UnsafeMutablePointer<Float>, rows: Int) {
        tap?(index, .residual(UnsafeBufferPointer(start: hidden, count: rows * width)))
        let input = codes(.input, rows * width)
        normalize(block.norm1, hidden, rows, block.query.input, input)
        see(index, .qkvInput, input, rows * width)
        let (query, key, value) = (codes(.query, rows * width), codes(.key, rows * width), codes(.value, rows * width))
        multiply(
            input, rows,
            [
                (block.query, .codes(query, block.queryCodes)), (block.key, .codes(key, block.keyCodes)),
                (block.value, .codes(value, block.valueCodes)),
            ])
        see(index, .query, query, rows * width)
        see(index, .key, key, rows * width)
        see(index, .value, value, rows * width)
        let attended = codes(.attended, rows * width)
        attend(block, index, query: query, key: key, value: value, attended)
        see(index, .outputInput, attended, rows * width)
        multiply(attended, rows, [(block.output, .adding(hidden))])
        tap?(index, .residual(UnsafeBufferPointer(start: hidden, count: rows * width)))
        feedForward(block, index, hidden, rows)
    }

    /// One block for the pooled rows only; `hidden` stays as it is, `pooled` [sequences, width] receives the block's output.
    func runPooled(_ block: QuantizedBlock, hidden: UnsafeMutablePointer<Float>, rows: Int, pooled: UnsafeMutablePointer<Float>) {
        let count = sequences.count
        let input = codes(.input, rows * width)
        normalize(block.norm1, hidden, rows, block.query.input, input)
        let (query, key, value) = (codes(.query, count * width), codes(.key, rows * width), codes(.value, rows * width))
        multiply(input, rows, [(block.key, .codes(key, block.keyCodes)), (block.value, .codes(value, block.valueCodes))])
        let attended = codes(.attended, count * width)
        for (index, sequence) in sequences.enumerated() {
            (attended + index * width).update(from: input + sequence.pooled * width, count: width)
        }
        multiply(attended, count, [(block.query, .codes(query, block.queryCodes))])
        attendPooled(block, query: query, key: key, value: value, attended)
        multiply(attended, count, [(block.output, .adding(pooled))])
        feedForward(block, nil, pooled, count)
    }

    private func see(_ index: Int?, _ point: QuantizationPoint, _ codes: UnsafePointer<UInt8>, _ count: Int) {
        tap?(index, .codes(point, UnsafeBufferPointer(start: codes, count: count)))
    }

    private func feedForward(_ block: QuantizedBlock, _ index: Int?, _ hidden: UnsafeMutablePointer<Float>, _ rows: Int) {
        let input = codes(.input, rows * width)
        normalize(block.norm2, hidden, rows, block.dense1.input, input)
        see(index, .dense1Input, input, rows * width)
        let mlp = codes(.mlp, rows * transformer.configuration.mlpWidth)
        let activation: ProductOutput.Activation = transformer.configuration.activation == .gelu ? .gelu : .quickGELU
        multiply(input, rows, [(block.dense1, .codes(mlp, block.dense2.input, activation: activation))])
        see(index, .dense2Input, mlp, rows * transformer.configuration.mlpWidth)
        multiply(mlp, rows, [(block.dense2, .adding(hidden))])
    }

    /// Rows that are normalized, and become codes, while they are near.
    private static let normedRows = 4

    /// Codes of LayerNorm's output.
    private func normalize(
        _ norm: LayerNorm, _ x: UnsafePointer<Float>, _ rows: Int, _ meaning: CodeScale, _ codes: UnsafeMutablePointer<UInt8>
    ) {
        let width = width
        norm.gamma.withUnsafeBufferPointer { gamma in
            norm.beta.withUnsafeBufferPointer { beta in
                guard let gamma = gamma.baseAddress, let beta = beta.baseAddress else { return }
                inParts(rows, scratch: Self.normedRows * width * MemoryLayout<Float>.stride) { part, scratch in
                    let normed = scratch.assumingMemoryBound(to: Float.self)
                    transformer.clock.measure(.layerNorm) { _ in
                        for row in stride(from: part.lowerBound, to: part.upperBound, by: Self.normedRows) {
                            let count = min(Self.normedRows, part.upperBound - row)
                            transformer.kernels.layerNorm(
                                x + row * width, inputStride: width, gamma: gamma, beta: beta,
                                epsilon: transformer.configuration.layerNormEpsilon, rows: count, width: width, output: normed,
                                outputStride: width)
                            gemm.quantize(
                                normed, stride: width, rows: count, width: width, by: meaning, to: codes + row * width, codesStride: width)
                        }
                    }
                }
            }
        }
    }

    /// From so many rows of each thread on, threads share a product by rows: each copies its own only, and reads all weights, as often as
    /// it would half of them for twice the rows. Fewer rows are shared by panels: then every weight is read once. So are products with
    /// narrow weights, which whoever reads them unpacks.
    private static let leastRowsOfThread = 128

    /// Products of the same rows with several weights; rows, or all their panels together, are spread over the pool.
    private func multiply(_ input: UnsafePointer<UInt8>, _ rows: Int, _ products: [(layer: QuantizedDense, output: ProductOutput)]) {
        let panels = products.map { IntegerGEMM.panels($0.layer.weight.outputs) }
        let total = panels.reduce(0, +)
        let inputs = products.map(\.layer.weight.inputs).max() ?? 0
        let scratch = gemm.scratchByteCount(rows: rows, inputs: inputs)
        let isUnpacked = products.allSatisfy { $0.layer.weight.bits.rawValue == 8 }
        if isUnpacked, pool.threads > 1, rows >= pool.threads * Self.leastRowsOfThread {
            return inParts(rows, scratch: scratch) { part, scratch in
                for product in products { multiply(input, rows, product, part: part, panels: nil, scratch) }
            }
        }
        inParts(total, scratch: scratch) { part, scratch in
            var first = 0
            for (index, product) in products.enumerated() {
                let own = part.clamped(to: first..<first + panels[index])
                if !own.isEmpty {
                    multiply(input, rows, product, part: nil, panels: own.lowerBound - first..<own.upperBound - first, scratch)
                }
                first += panels[index]
            }
        }
    }

    /// One of them: the rows of `part` and the channels of `panels`, all where nil.
    private func multiply(
        _ input: UnsafePointer<UInt8>, _ rows: Int, _ product: (layer: QuantizedDense, output: ProductOutput), part: Range<Int>?,
        panels: Range<Int>?, _ scratch: UnsafeMutableRawPointer
    ) {
        let weight = product.layer.weight
        let matrix = CodeMatrix(input, stride: weight.inputs, rows: rows, columns: weight.inputs, meaning: product.layer.input)
        transformer.clock.measure(.products) { epilogues in
            _ = product.layer.withChannels {
                gemm.multiply(
                    matrix, weight, channels: $0, to: product.output, stride: weight.outputs, rows: part, panels: panels, scratch: scratch,
                    epilogueTicks: epilogues)
            }
        }
    }

    /// Splits `0..<count` over the pool, a scratch of so many bytes for each part.
    private func inParts(_ count: Int, scratch bytes: Int, _ body: (Range<Int>, UnsafeMutableRawPointer) -> Void) {
        let parts = max(1, min(pool.threads, count))
        let each = (bytes + 63) / 64 * 64
        let base = UnsafeMutableRawPointer(codes(.scratch, parts * each))
        pool.forEach(parts) { part in
            let range = count * part / parts..<count * (part + 1) / parts
            if !range.isEmpty { body(range, base + part * each) }
        }
    }

    private func attend(
        _ block: QuantizedBlock, _ number: Int, query: UnsafePointer<UInt8>, key: UnsafePointer<UInt8>, value: UnsafePointer<UInt8>,
        _ output: UnsafeMutablePointer<UInt8>
    ) {
        let longest = sequences.reduce(0) { max($0, $1.rows.count) }
        let bytes = transformer.attention.scratchByteCount(queries: longest, keys: longest, width: headWidth)
        inParts(sequences.count * heads, scratch: bytes) { part, scratch in
            for index in part {
                let rows = sequences[index / heads].rows
                let offset = rows.lowerBound * width + index % heads * headWidth
                let head = IntegerAttention.Head(
                    queries: matrix(query + offset, rows.count, block.queryCodes),
                    keys: (nil, matrix(key + offset, rows.count, block.keyCodes)),
                    values: (nil, matrix(value + offset, rows.count, block.valueCodes)), isCausal: transformer.isCausal)
                transformer.clock.measure(.attention) { _ in
                    transformer.attention.attend(
                        head, probabilities: block.probabilities, to: output + offset, stride: width, meaning: block.output.input,
                        scratch: scratch,
                        seen: tap.map { tap in
                            { tap(number, .probabilities(sequence: index / heads, head: index % heads, $0)) }
                        })
                }
            }
        }
    }

    /// The same for the pooled query of each sequence: query and output are [sequences, width].
    private func attendPooled(
        _ block: QuantizedBlock, query: UnsafePointer<UInt8>, key: UnsafePointer<UInt8>, value: UnsafePointer<UInt8>,
        _ output: UnsafeMutablePointer<UInt8>
    ) {
        let longest = sequences.reduce(0) { max($0, $1.rows.count) }
        let bytes = transformer.attention.scratchByteCount(queries: 1, keys: longest, width: headWidth)
        inParts(sequences.count * heads, scratch: bytes) { part, scratch in
            for index in part {
                let sequence = sequences[index / heads]
                let visible = transformer.isCausal ? sequence.pooled - sequence.rows.lowerBound + 1 : sequence.rows.count
                let column = index % heads * headWidth
                let offset = sequence.rows.lowerBound * width + column
                let place = index / heads * width + column
                let head = IntegerAttention.Head(
                    queries: matrix(query + place, 1, block.queryCodes), keys: (nil, matrix(key + offset, visible, block.keyCodes)),
                    values: (nil, matrix(value + offset, visible, block.valueCodes)), isCausal: false)
                transformer.clock.measure(.attention) { _ in
                    transformer.attention.attend(
                        head, probabilities: block.probabilities, to: output + place, stride: width, meaning: block.output.input,
                        scratch: scratch)
                }
            }
        }
    }

    private func matrix(_ codes: UnsafePointer<UInt8>, _ rows: Int, _ meaning: CodeScale) -> CodeMatrix {
        CodeMatrix(codes, stride: width, rows: rows, columns: headWidth, meaning: meaning)
    }
}
