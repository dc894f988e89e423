internal import CLIP
internal import Tensors

extension TrainingBlock {
    /// The gradient of the block's input, [R, W], from that of its output, [Q, W], which is changed; adds those of the block's parameters to
    /// `gradients`, at the parameters' places.
    ///
    /// - Precondition: `hidden` is what the last forward pass was given.
    func backward(
        _ hidden: UnsafePointer<Float>, outputGradient: UnsafeMutablePointer<Float>, gradients: UnsafeMutablePointer<Float>,
        to inputGradient: UnsafeMutablePointer<Float>
    ) {
        let w = shape.width
        let q = queries.count(rows: rows)
        feedForwardGradient(outputGradient, gradients)
        // `outputGradient` is now that of the rows between attention and the dense layers.
        let normedGradient = temporary(.normed, rows * w)
        attentionGradient(outputGradient, gradients, to: normedGradient)
        quantizers?.passGradient(normedGradient, input: kept(.normed1, rows * w), rows * w, .qkvInput)
        if queries.isPooled {
            inputGradient.update(repeating: 0, count: rows * w)
            for (index, sequence) in queries.sequences.enumerated() {
                (inputGradient + sequence.pooled * w).update(from: outputGradient + index * w, count: w)
            }
        } else {
            inputGradient.update(from: outputGradient, count: q * w)
        }
        normGradient(normedGradient, rows, input: hidden, places.gamma1, places.beta1, gradients, to: inputGradient)
    }

    /// Adds what flows through the dense layers to `gradient`, [Q, W].
    private func feedForwardGradient(_ gradient: UnsafeMutablePointer<Float>, _ gradients: UnsafeMutablePointer<Float>) {
        let (q, w, m) = (queries.count(rows: rows), shape.width, shape.mlpWidth)
        let innerGradient = temporary(.inner, q * m)
        denseGradient(
            gradient, q, input: taken(.activated, q * m), places.dense2Weight, places.dense2Bias, inputs: m, outputs: w, gradients,
            to: innerGradient)
        quantizers?.passGradient(innerGradient, input: kept(.activated, q * m), q * m, .dense2Input)
        switch shape.activation {
        case .quickGELU: kernels.quickGELUGradient(innerGradient, input: kept(.inner, q * m), count: q * m)
        case .gelu: kernels.geluGradient(innerGradient, input: kept(.inner, q * m), count: q * m)
        }
        let normedGradient = temporary(.middle, q * w)
        denseGradient(
            innerGradient, q, input: taken(.normed2, q * w), places.dense1Weight, places.dense1Bias, inputs: w, outputs: m, gradients,
            to: normedGradient)
        quantizers?.passGradient(normedGradient, input: kept(.normed2, q * w), q * w, .dense1Input)
        normGradient(normedGradient, q, input: kept(.middle, q * w), places.gamma2, places.beta2, gradients, to: gradient)
    }

    /// The gradient of the normalised input, [R, W], from that of the attention's output after its dense layer, [Q, W].
    private func attentionGradient(
        _ gradient: UnsafePointer<Float>, _ gradients: UnsafeMutablePointer<Float>, to normedGradient: UnsafeMutablePointer<Float>
    ) {
        let (q, w) = (queries.count(rows: rows), shape.width)
        let attendedGradient = temporary(.attended, q * w)
        denseGradient(
            gradient, q, input: taken(.attended, q * w), places.outputWeight, places.outputBias, inputs: w, outputs: w, gradients,
            to: attendedGradient)
        quantizers?.passGradient(attendedGradient, input: kept(.attended, q * w), q * w, .outputInput)
        let (queryGradient, keyValueGradient) = (temporary(.query, q * w), temporary(.keyValue, rows * 2 * w))
        headGradients(attendedGradient, query: queryGradient, keyValue: keyValueGradient)
        if let quantizers {
            quantizers.passGradient(queryGradient, input: kept(.query, q * w), q * w, .query)
            let keyValue = kept(.keyValue, rows * 2 * w)
            for row in 0..<rows {
                quantizers.passGradient(keyValueGradient + row * 2 * w, input: keyValue + row * 2 * w, w, .key)
                quantizers.passGradient(keyValueGradient + (row * 2 + 1) * w, input: keyValue + (row * 2 + 1) * w, w, .value)
            }
        }
        denseGradient(
            keyValueGradient, rows, input: taken(.normed1, rows * w), places.keyValueWeight, places.keyValueBias, inputs: w, outputs: 2 * w,
            gradients, to: normedGradient)
        guard queries.isPooled else {
            return denseGradient(
                queryGradient, q, input: taken(.normed1, rows * w), places.queryWeight, places.queryBias, inputs: w, outputs: w, gradients,
                to: normedGradient, accumulating: true)
        }
        let sourceGradient = temporary(.source, q * w)
        denseGradient(
            queryGradient, q, input: kept(.source, q * w), places.queryWeight, places.queryBias, inputs: w, outputs: w, gradients,
            to: sourceGradient)
        for (index, sequence) in queries.sequences.enumerated() {
            kernels.addBias(normedGradient + sequence.pooled * w, stride: w, bias: sourceGradient + index * w, rows: 1, width: w)
        }
    }

    /// Of queries [Q, W], and of keys and values [R, 2 W], from that of what each query took away.
    private func headGradients(
        _ gradient: UnsafePointer<Float>, query queryGradient: UnsafeMutablePointer<Float>,
        keyValue keyValueGradient: UnsafeMutablePointer<Float>
    ) {
        let (w, d) = (shape.width, shape.width / shape.heads)
        let (query, keyValue) = (taken(.query, queries.count(rows: rows) * w), taken(.keyValue, rows * 2 * w))
        var probabilities = kept(.probabilities, queries.probabilityCount(heads: shape.heads))
        var shares = taken(.probabilities, queries.probabilityCount(heads: shape.heads))
        for (index, sequence) in queries.sequences.enumerated() {
            let asking = queries.range(index)
            let (q, length) = (asking.count, sequence.rows.count)
            let visible = queries.visible(index)
            let scores = temporary(.scores, q * length)
            for head in 0..<shape.heads {
                let place = asking.lowerBound * w + head * d
                let keyPlace = sequence.rows.lowerBound * 2 * w + head * d
                let valuePlace = keyPlace + w
                BLAS.multiply(
                    m: q, n: length, k: d, a: gradient + place, aStride: w, transposedB: keyValue + valuePlace, bStride: 2 * w, c: scores,
                    cStride: length)
                BLAS.multiply(
                    m: length, n: d, k: q, transposedA: shares, aStride: length, b: gradient + place, bStride: w,
                    c: keyValueGradient + valuePlace, cStride: 2 * w)
                quantizers?.passGradient(scores, input: probabilities, q * length, .probabilities)
                kernels.softmaxGradient(
                    scores, stride: length, output: probabilities, outputStride: length, scale: 1 / Float(d).squareRoot(), rows: q,
                    width: length, first: visible.first, step: visible.step)
                BLAS.multiply(
                    m: q, n: d, k: length, a: scores, aStride: length, b: keyValue + keyPlace, bStride: 2 * w, c: queryGradient + place,
                    cStride: w)
                BLAS.multiply(
                    m: length, n: d, k: q, transposedA: scores, aStride: length, b: query + place, bStride: w,
                    c: keyValueGradient + keyPlace, cStride: 2 * w)
                probabilities += q * length
                shares += q * length
            }
        }
    }

    private func normGradient(
        _ gradient: UnsafePointer<Float>, _ rows: Int, input: UnsafePointer<Float>, _ gamma: Int, _ beta: Int,
        _ gradients: UnsafeMutablePointer<Float>, to inputGradient: UnsafeMutablePointer<Float>
    ) {
        kernels.addLayerNormGradient(
            gradient, stride: shape.width, input: input, inputStride: shape.width, gamma: parameters + gamma,
            epsilon: shape.layerNormEpsilon, rows: rows, width: shape.width, to: inputGradient, inputGradientStride: shape.width,
            gammaGradient: gradients + gamma, betaGradient: gradients + beta)
    }

    private func denseGradient(
        _ gradient: UnsafePointer<Float>, _ rows: Int, input: UnsafePointer<Float>, _ weight: Int, _ bias: Int, inputs: Int, outputs: Int,
        _ gradients: UnsafeMutablePointer<Float>, to inputGradient: UnsafeMutablePointer<Float>, accumulating: Bool = false
    ) {
        BLAS.multiply(
            m: outputs, n: inputs, k: rows, transposedA: gradient, aStride: outputs, b: input, bStride: inputs, c: gradients + weight,
            cStride: inputs, accumulating: true)
        kernels.addColumnSums(gradient, stride: outputs, rows: rows, width: outputs, to: gradients + bias)
        BLAS.multiply(
            m: rows, n: inputs, k: outputs, a: gradient, aStride: outputs, b: parameters + weight, bStride: inputs, c: inputGradient,
            cStride: inputs, accumulating: accumulating)
    }
}
