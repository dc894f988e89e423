internal import CLIP
internal import Quantization
internal import Tensors

extension PromptPass {
    var heads: Int { tower.configuration.text.heads }
    var headWidth: Int { width / heads }
    var attentionScale: Float { 1 / Float(headWidth).squareRoot() }

    /// A run of queries that see the prefix and some rows behind it.
    struct Span {
        /// Rows among the queries.
        let queries: Range<Int>
        /// Rows behind the prefix that the last of them sees.
        let own: Range<Int>
        /// Keys that the first of them sees.
        let visible: Int
    }

    /// The runs of queries of block `index`: the prefix's own, and each class's.
    func spans(_ index: Int) -> [Span] {
        let prefix = layout.prefix
        if isPooled(index) {
            return layout.own.enumerated().map { Span(queries: $0..<$0 + 1, own: $1, visible: prefix + $1.count) }
        }
        let shared = prefix > 0 ? [Span(queries: 0..<prefix, own: 0..<0, visible: 1)] : []
        return shared + layout.own.map { Span(queries: $0, own: $0, visible: prefix + 1) }
    }

    /// Elements from a query's shares to the next one's; a head's shares are [queries, longest].
    var sharesStride: Int { layout.longest }

    /// Softmax(q k^T / sqrt d) v in every head; softmax's output is kept.
    func attend(
        _ index: Int, query: UnsafePointer<Float>, key: UnsafePointer<Float>, value: UnsafePointer<Float>,
        _ output: UnsafeMutablePointer<Float>
    ) {
        let shares = keep(index, .shares, heads * queries(index) * sharesStride)
        switch tower {
        case .float: attendInFloat(index, query, key, value, shares, output)
        case .quantized(let encoder): attendInIntegers(index, encoder.transformer, query, key, value, shares, output)
        }
    }

    private func attendInFloat(
        _ index: Int, _ query: UnsafePointer<Float>, _ key: UnsafePointer<Float>, _ value: UnsafePointer<Float>,
        _ shares: UnsafeMutablePointer<Float>, _ output: UnsafeMutablePointer<Float>
    ) {
        let (count, prefix, stride, spans) = (queries(index), layout.prefix, sharesStride, spans(index))
        pool.forEach(heads) { head in
            let column = head * headWidth
            let shares = shares + head * count * stride
            BLAS.multiply(
                m: count, n: prefix, k: headWidth, a: query + column, aStride: width, transposedB: key + column, bStride: width, c: shares,
                cStride: stride)
            for span in spans {
                let (rows, own, keys) = (span.queries, span.own, prefix + span.own.count)
                let place = shares + rows.lowerBound * stride
                BLAS.multiply(
                    m: rows.count, n: own.count, k: headWidth, a: query + rows.lowerBound * width + column, aStride: width,
                    transposedB: key + own.lowerBound * width + column, bStride: width, c: place + prefix, cStride: stride)
                kernels.softmax(
                    place, stride: stride, scale: attentionScale, rows: rows.count, width: keys, first: span.visible, step: 1)
            }
            BLAS.multiply(
                m: count, n: headWidth, k: prefix, a: shares, aStride: stride, b: value + column, bStride: width, c: output + column,
                cStride: width)
            for span in spans where !span.own.isEmpty {
                BLAS.multiply(
                    m: span.queries.count, n: headWidth, k: span.own.count, a: shares + span.queries.lowerBound * stride + prefix,
                    aStride: stride, b: value + span.own.lowerBound * width + column, bStride: width,
                    c: output + span.queries.lowerBound * width + column, cStride: width, accumulating: prefix > 0)
            }
        }
    }

    private func attendInIntegers(
        _ index: Int, _ transformer: QuantizedTransformer, _ query: UnsafePointer<Float>, _ key: UnsafePointer<Float>,
        _ value: UnsafePointer<Float>, _ shares: UnsafeMutablePointer<Float>, _ output: UnsafeMutablePointer<Float>
    ) {
        let (block, count, prefix, stride, spans) = (transformer.blocks[index], queries(index), layout.prefix, sharesStride, spans(index))
        let queryCodes = quantize(query, count, width, block.queryCodes, .queryCodes)
        let keyCodes = quantize(key, rows, width, block.keyCodes, .keyCodes)
        let valueCodes = quantize(value, rows, width, block.valueCodes, .valueCodes)
        let longest = spans.reduce(0) { max($0, $1.queries.count) }
        let bytes = transformer.attention.scratchByteCount(queries: longest, keys: layout.longest, width: headWidth)
        let each = (bytes + 63) / 64 * 64
        let total = spans.count * heads
        let parts = max(1, min(pool.threads, total))
        let base = UnsafeMutableRawPointer(scratch.buffer(Slot.head.rawValue, of: UInt8.self, count: parts * each))
        pool.forEach(parts) { part in
            for item in total * part / parts..<total * (part + 1) / parts {
                let (span, head) = (spans[item / heads], item % heads)
                let (first, column) = (span.queries.lowerBound, head * headWidth)
                func operand(_ codes: UnsafePointer<UInt8>, _ meaning: CodeScale) -> (prefix: CodeMatrix?, own: CodeMatrix) {
                    func matrix(_ rows: Range<Int>) -> CodeMatrix {
                        CodeMatrix(
                            codes + rows.lowerBound * width + column, stride: width, rows: rows.count, columns: headWidth, meaning: meaning)
                    }
                    if span.own.isEmpty { return (nil, matrix(0..<prefix)) }
                    return (prefix == 0 ? nil : matrix(0..<prefix), matrix(span.own))
                }
                transformer.attention.attend(
                    IntegerAttention.Head(
                        queries: CodeMatrix(
                            queryCodes + first * width + column, stride: width, rows: span.queries.count, columns: headWidth,
                            meaning: block.queryCodes),
                        keys: operand(keyCodes, block.keyCodes), values: operand(valueCodes, block.valueCodes), isCausal: true),
                    probabilities: block.probabilities, to: output + first * width + column, stride: width,
                    shares: shares + (head * count + first) * stride, sharesStride: stride, scratch: base + part * each)
            }
        }
    }
}
