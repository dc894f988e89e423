internal import CKernels

/// One head's attention in integers: `softmax(q k^T / sqrt(d)) v` with u8 codes for q, k, v and the probabilities; softmax in float.
///
/// Both products are u8 x s8: 128 is taken off the codes of k and v, and off their zero points. L queries, T keys, d width of a head.
package struct IntegerAttention: Sendable {
    private let gemm: IntegerGEMM
    private let kernels: FloatKernels

    package init(_ instructionSet: InstructionSet = .best) {
        gemm = IntegerGEMM(instructionSet)
        kernels = FloatKernels(instructionSet)
    }

    /// A head's operands. Keys and values are `prefix`'s rows, if there is one, and then `own`'s: a prompt's tokens after those that all prompts
    /// share.
    package struct Head {
        package let queries: CodeMatrix
        package let keys: (prefix: CodeMatrix?, own: CodeMatrix)
        package let values: (prefix: CodeMatrix?, own: CodeMatrix)

        /// Query i sees keys 0 ... T - L + i only: the queries are the last L of the T tokens.
        package let isCausal: Bool

        package init(
            queries: CodeMatrix, keys: (prefix: CodeMatrix?, own: CodeMatrix), values: (prefix: CodeMatrix?, own: CodeMatrix),
            isCausal: Bool
        ) {
            self.queries = queries
            self.keys = keys
            self.values = values
            self.isCausal = isCausal
        }

        var tokens: Int { (keys.prefix?.rows ?? 0) + keys.own.rows }
        var width: Int { queries.columns }
        /// Keys that the first query sees.
        var visible: Int? { isCausal ? tokens - queries.rows + 1 : nil }
    }

    /// Bytes of scratch, aligned to 64, for heads of at most so many queries, keys and so much width.
    package func scratchByteCount(queries: Int, keys: Int, width: Int) -> Int {
        Scratch(gemm, queries: queries, keys: keys, width: width).byteCount
    }

    /// Writes the head's result, `codes` [L, d], of `meaning`; `probabilities` says how softmax's output is quantized.
    ///
    /// - Parameter seen: is shown the codes of softmax's output, [L, T].
    /// - Precondition: widths agree, keys and values are as many, and a causal head has no more queries than keys.
    package func attend(
        _ head: Head, probabilities: CodeScale, to codes: UnsafeMutablePointer<UInt8>, stride: Int, meaning: CodeScale,
        scratch: UnsafeMutableRawPointer, seen: ((UnsafeBufferPointer<UInt8>) -> Void)? = nil
    ) {
        attend(head, probabilities: probabilities, to: .codes(codes, meaning), stride: stride, shares: nil, scratch: scratch, seen: seen)
    }

    /// The same in floats, before they become codes, with softmax's output kept for a gradient: `values` [L, d] and `shares` [L, T], whose
    /// unseen elements become 0. Strides are in elements.
    package func attend(
        _ head: Head, probabilities: CodeScale, to values: UnsafeMutablePointer<Float>, stride: Int, shares: UnsafeMutablePointer<Float>,
        sharesStride: Int, scratch: UnsafeMutableRawPointer
    ) {
        attend(
            head, probabilities: probabilities, to: .floats(values), stride: stride, shares: (shares, sharesStride), scratch: scratch)
    }

    private func attend(
        _ head: Head, probabilities: CodeScale, to output: ProductOutput, stride: Int,
        shares kept: (memory: UnsafeMutablePointer<Float>, stride: Int)?, scratch: UnsafeMutableRawPointer,
        seen: ((UnsafeBufferPointer<UInt8>) -> Void)? = nil
    ) {
        let queries = head.queries.rows
        let tokens = head.tokens
        precondition(
            head.keys.own.columns == head.width && tokens == (head.values.prefix?.rows ?? 0) + head.values.own.rows
                && (!head.isCausal || queries <= tokens),
            "\(queries) queries of width \(head.width) meet \(tokens) keys of width \(head.keys.own.columns)")
        guard queries > 0, tokens > 0 else { return }
        let places = Scratch(gemm, queries: queries, keys: tokens, width: max(head.width, head.values.own.columns))
        let scores = (scratch + places.scores).assumingMemoryBound(to: Float.self)
        multiplyByKeys(head, scores: scores, places, scratch)
        kernels.softmax(
            scores, stride: tokens, scale: 1, rows: queries, width: tokens, first: head.visible ?? tokens, step: head.isCausal ? 1 : 0)
        if let kept {
            for row in 0..<queries { (kept.memory + row * kept.stride).update(from: scores + row * tokens, count: tokens) }
        }
        let shares = (scratch + places.shares).assumingMemoryBound(to: UInt8.self)
        let count = queries * tokens
        gemm.quantize(scores, stride: count, rows: 1, width: count, by: probabilities, to: shares, codesStride: count)
        seen?(UnsafeBufferPointer(start: shares, count: count))
        let matrix = CodeMatrix(shares, stride: tokens, rows: queries, columns: tokens, meaning: probabilities)
        multiplyByValues(head, matrix, to: output, stride: stride, places, scratch)
    }

    /// `scores[i, t] = sum * (s_q * s_k * (1 / sqrt d))`, [L, T]; what a causal query doesn't see is left as it was.
    private func multiplyByKeys(_ head: Head, scores: UnsafeMutablePointer<Float>, _ places: Scratch, _ scratch: UnsafeMutableRawPointer) {
        let meaning = head.keys.own.meaning
        var product = p4q_gemm()
        head.queries.describe(in: &product)
        product.n = Int64(head.tokens)
        ChannelScales.common(head.queries.meaning.scale * meaning.scale * (1 / Float(head.width).squareRoot()))
            .describe(in: &product.epilogue)
        ProductOutput.floats(scores).describe(in: &product.epilogue)
        product.epilogue.out_stride = Int64(head.tokens)
        product.epilogue.out_visible = Int64(head.visible ?? -1)
        run(&product, head.keys, zeroPoint: meaning.zeroPoint, places, scratch) { segments, count, packed, sums in
            p4q_pack_keys(gemm.instructionSet.code, segments, count, Int64(head.width), packed, sums)
        }
    }

    private func multiplyByValues(
        _ head: Head, _ shares: CodeMatrix, to output: ProductOutput, stride: Int, _ places: Scratch, _ scratch: UnsafeMutableRawPointer
    ) {
        let meaning = head.values.own.meaning
        let width = Int64(head.values.own.columns)
        var product = p4q_gemm()
        shares.describe(in: &product)
        product.a_visible = Int64(head.visible ?? -1)
        product.n = width
        ChannelScales.common(shares.meaning.scale * meaning.scale).describe(in: &product.epilogue)
        output.describe(in: &product.epilogue)
        product.epilogue.out_stride = Int64(stride)
        product.epilogue.out_visible = -1
        run(&product, head.values, zeroPoint: meaning.zeroPoint, places, scratch) { segments, count, packed, sums in
            p4q_pack_values(gemm.instructionSet.code, segments, count, width, packed, sums)
        }
    }

    /// Packs the second operand and computes the product.
    private func run(
        _ product: inout p4q_gemm, _ rows: (prefix: CodeMatrix?, own: CodeMatrix), zeroPoint: Int, _ places: Scratch,
        _ scratch: UnsafeMutableRawPointer,
        pack: (UnsafePointer<p4q_rows>, Int64, UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<Int32>) -> Void
    ) {
        let packed = (scratch + places.packed).assumingMemoryBound(to: UInt8.self)
        let sums = (scratch + places.sums).assumingMemoryBound(to: Int32.self)
        withUnsafeTemporaryAllocation(of: p4q_rows.self, capacity: 2) { segments in
            guard let first = segments.baseAddress else { return }
            first.initialize(to: rows.prefix?.segment ?? rows.own.segment)
            (first + 1).initialize(to: rows.own.segment)
            pack(first, rows.prefix == nil ? 1 : 2, packed, sums)
        }
        product.w = UnsafePointer(packed)
        product.w_bits = 8
        product.w_zero = Int32(zeroPoint) - 128
        product.w_sums = UnsafePointer(sums)
        product.end_panel = (product.n + Int64(P4Q_PANEL) - 1) / Int64(P4Q_PANEL)
        p4q_gemm_run(gemm.instructionSet.code, &product, scratch + places.product)
    }

    /// Where things lie in scratch.
    private struct Scratch {
        let scores, shares, packed, sums, product, byteCount: Int

        init(_ gemm: IntegerGEMM, queries: Int, keys: Int, width: Int) {
            func aligned(_ bytes: Int) -> Int { (bytes + 63) / 64 * 64 }
            scores = 0
            shares = scores + aligned(queries * keys * MemoryLayout<Float>.stride)
            packed = shares + aligned(queries * keys)
            sums = packed + aligned((keys + 16) * (width + 16))
            product = sums + aligned(max(keys, width) * MemoryLayout<Int32>.stride)
            byteCount = product + gemm.scratchByteCount(rows: queries, inputs: max(keys, width))
        }
    }
}
