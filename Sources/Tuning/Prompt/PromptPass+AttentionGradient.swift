internal import CLIP
internal import Tensors

extension PromptPass {
    /// What attention's operands are to its gradient: in a quantized tower, what their codes stand for.
    private struct Operands {
        let query, key, value: UnsafePointer<Float>
        /// [heads, queries, longest]
        let shares: UnsafePointer<Float>
    }

    /// Gradients by queries [queries, width], keys and values [rows, width], from that by attention's result; the prefix's keys and values
    /// gather those of all classes.
    func attentionGradient(
        _ index: Int, _ attended: UnsafePointer<Float>, query: UnsafeMutablePointer<Float>, key: UnsafeMutablePointer<Float>,
        value: UnsafeMutablePointer<Float>
    ) {
        let count = queries(index)
        let size = heads * count * sharesStride
        let kept = keep(index, .shares, size)
        let operands = Operands(
            query: rounded(keep(index, .query, count * width), count * width, index, .query, .roundQuery),
            key: rounded(keep(index, .key, rows * width), rows * width, index, .key, .roundKey),
            value: rounded(keep(index, .value, rows * width), rows * width, index, .value, .roundValue),
            shares: rounded(kept, size, index, .probabilities, .roundShares))
        let gradients = memory(.shares, size)
        let spans = spans(index)
        pool.forEach(heads) { head in
            let offset = head * count * sharesStride
            sharesGradient(index, head, spans, attended, operands, kept + offset, gradients + offset)
            let column = head * headWidth
            for part in [query, key, value] {
                let rows = part == query ? count : rows
                for row in 0..<rows { (part + row * width + column).update(repeating: 0, count: headWidth) }
            }
            gatherGradients(
                head, spans, count, attended: attended, operands, shares: operands.shares + offset, scores: gradients + offset,
                query: query + column, key: key + column, value: value + column)
        }
    }

    /// What the codes of `x` stand for; `x` itself in float.
    private func rounded(
        _ x: UnsafePointer<Float>, _ count: Int, _ index: Int, _ point: QuantizationPoint, _ slot: Slot
    ) -> UnsafePointer<Float> {
        guard let meaning = tower.quantizer(index, point) else { return x }
        let target = memory(slot, count)
        pool.forEachRange(count, multiple: 4096) { range in
            kernels.requantize(x + range.lowerBound, count: range.count, meaning: meaning, output: target + range.lowerBound)
        }
        return UnsafePointer(target)
    }

    /// One head's gradient by its scores, q k^T, into `gradient` [queries, longest]; zero where a query doesn't see.
    private func sharesGradient(
        _ index: Int, _ head: Int, _ spans: [Span], _ attended: UnsafePointer<Float>, _ operands: Operands, _ shares: UnsafePointer<Float>,
        _ gradient: UnsafeMutablePointer<Float>
    ) {
        let (count, prefix, stride, column) = (queries(index), layout.prefix, sharesStride, head * headWidth)
        BLAS.multiply(
            m: count, n: prefix, k: headWidth, a: attended + column, aStride: width, transposedB: operands.value + column, bStride: width,
            c: gradient, cStride: stride)
        for span in spans {
            let (rows, own, keys) = (span.queries, span.own, prefix + span.own.count)
            let place = gradient + rows.lowerBound * stride
            BLAS.multiply(
                m: rows.count, n: own.count, k: headWidth, a: attended + rows.lowerBound * width + column, aStride: width,
                transposedB: operands.value + own.lowerBound * width + column, bStride: width, c: place + prefix, cStride: stride)
            let kept = shares + rows.lowerBound * stride
            if let meaning = tower.quantizer(index, .probabilities), rule != .identity {
                for row in 0..<rows.count {
                    let target = place + row * stride
                    if rule == .none { target.update(repeating: 0, count: keys) }
                    kernels.clipGradient(target, input: kept + row * stride, count: keys, meaning: meaning)
                }
            }
            kernels.softmaxGradient(
                place, stride: stride, output: kept, outputStride: stride, scale: attentionScale, rows: rows.count, width: keys,
                first: span.visible, step: 1)
        }
    }

    /// Adds one head's gradients; the pointers are at the head's column.
    private func gatherGradients(
        _ head: Int, _ spans: [Span], _ count: Int, attended: UnsafePointer<Float>, _ operands: Operands, shares: UnsafePointer<Float>,
        scores: UnsafePointer<Float>, query: UnsafeMutablePointer<Float>, key: UnsafeMutablePointer<Float>,
        value: UnsafeMutablePointer<Float>
    ) {
        let (prefix, stride, column, d) = (layout.prefix, sharesStride, head * headWidth, headWidth)
        // All queries see the prefix: one product for all classes.
        BLAS.multiply(
            m: count, n: d, k: prefix, a: scores, aStride: stride, b: operands.key + column, bStride: width, c: query, cStride: width)
        BLAS.multiply(
            m: prefix, n: d, k: count, transposedA: scores, aStride: stride, b: operands.query + column, bStride: width, c: key,
            cStride: width)
        BLAS.multiply(
            m: prefix, n: d, k: count, transposedA: shares, aStride: stride, b: attended + column, bStride: width, c: value,
            cStride: width)
        for span in spans where !span.own.isEmpty {
            let (rows, own) = (span.queries, span.own)
            let (start, ownStart) = (rows.lowerBound * width, own.lowerBound * width)
            let place = rows.lowerBound * stride + prefix
            BLAS.multiply(
                m: rows.count, n: d, k: own.count, a: scores + place, aStride: stride, b: operands.key + ownStart + column, bStride: width,
                c: query + start, cStride: width, accumulating: true)
            BLAS.multiply(
                m: own.count, n: d, k: rows.count, transposedA: scores + place, aStride: stride, b: operands.query + start + column,
                bStride: width, c: key + ownStart, cStride: width, accumulating: true)
            BLAS.multiply(
                m: own.count, n: d, k: rows.count, transposedA: shares + place, aStride: stride, b: attended + start + column,
                bStride: width, c: value + ownStart, cStride: width, accumulating: true)
        }
    }
}
