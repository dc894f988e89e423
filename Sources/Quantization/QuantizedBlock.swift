package import CLIP
package import Tensors

/// A linear map on codes: packed weights, and the product of input and weight scales for each output channel.
package struct QuantizedDense: Sendable {
    package let weight: PackedMatrix
    /// [outputs]: input scale times weight scale.
    let scales: FloatTensor
    /// [outputs]: of the weights alone.
    private let weightScales: FloatTensor
    /// [outputs]
    let bias: FloatTensor?
    package let input: CodeScale

    init(weight: PackedMatrix, weightScales: FloatTensor, bias: FloatTensor?, input: CodeScale) {
        self.weight = weight
        self.bias = bias
        self.input = input
        self.weightScales = weightScales
        scales = FloatTensor(shape: [weight.outputs]) { target in
            weightScales.withUnsafeBufferPointer { source in
                for channel in target.indices { target[channel] = input.scale * source[channel] }
            }
        }
    }

    /// The weights that the codes stand for, [outputs, inputs], for a gradient.
    package func floatWeight() -> FloatTensor {
        let codes = weight.codes()
        return FloatTensor(shape: [weight.outputs, weight.inputs]) { target in
            weightScales.withUnsafeBufferPointer { scales in
                for index in target.indices { target[index] = Float(codes[index]) * scales[index / weight.inputs] }
            }
        }
    }

    /// Lends scales and bias.
    package func withChannels<R>(_ body: (ChannelScales) -> R) -> R? {
        scales.withUnsafeBufferPointer { scales in
            guard let scales = scales.baseAddress else { return nil }
            guard let bias else { return body(.perChannel(scales, bias: nil)) }
            return bias.withUnsafeBufferPointer { body(.perChannel(scales, bias: $0.baseAddress)) }
        }
    }
}

/// A pre-norm transformer block on codes.
package struct QuantizedBlock: Sendable {
    package let norm1: LayerNorm
    package let query: QuantizedDense
    package let key: QuantizedDense
    package let value: QuantizedDense
    package let output: QuantizedDense
    package let norm2: LayerNorm
    package let dense1: QuantizedDense
    package let dense2: QuantizedDense
    package let queryCodes: CodeScale
    package let keyCodes: CodeScale
    package let valueCodes: CodeScale
    package let probabilities: CodeScale
}

extension QuantizedTensors {
    // Names come from `QuantizedLayout`, which whoever filled this value went by.
    func float(_ name: String) -> FloatTensor {
        guard let tensor = floats[name] else { preconditionFailure("there is no tensor \(name)") }
        return tensor
    }

    func matrix(_ name: String) -> PackedMatrix {
        guard let matrix = packed[name] else { preconditionFailure("there is no weight \(name)") }
        return matrix
    }

    func point(_ point: QuantizationPoint, _ tower: Tower, _ block: Int?) -> CodeScale {
        let name = point.name(tower, block: block)
        guard let meaning = points[name] else { preconditionFailure("there is no point \(name)") }
        return meaning
    }

    func norm(_ name: String) -> LayerNorm { LayerNorm(gamma: float(name + ".weight"), beta: float(name + ".bias")) }

    func dense(_ name: String, input: CodeScale, hasBias: Bool = true) -> QuantizedDense {
        QuantizedDense(
            weight: matrix(name + ".weight"), weightScales: float(name + ".weight.scales"), bias: hasBias ? float(name + ".bias") : nil,
            input: input)
    }

    func blocks(_ tower: Tower, depth: Int) -> [QuantizedBlock] {
        (0..<depth).map { index in
            let prefix = "\(tower.rawValue)_model.encoder.layers.\(index)."
            func at(_ place: QuantizationPoint) -> CodeScale { point(place, tower, index) }
            let attention = prefix + "self_attn."
            return QuantizedBlock(
                norm1: norm(prefix + "layer_norm1"), query: dense(attention + "q_proj", input: at(.qkvInput)),
                key: dense(attention + "k_proj", input: at(.qkvInput)), value: dense(attention + "v_proj", input: at(.qkvInput)),
                output: dense(attention + "out_proj", input: at(.outputInput)), norm2: norm(prefix + "layer_norm2"),
                dense1: dense(prefix + "mlp.fc1", input: at(.dense1Input)), dense2: dense(prefix + "mlp.fc2", input: at(.dense2Input)),
                queryCodes: at(.query), keyCodes: at(.key), valueCodes: at(.value), probabilities: at(.probabilities))
        }
    }

    /// The patch embedding, and the code of each 8-bit sample by channel, [3, 256].
    func patchEmbedding(_ normalization: [Float], _ gemm: IntegerGEMM) -> (QuantizedDense, [UInt8]) {
        let name = "vision_model.embeddings.patch_embedding"
        switch recipe {
        case .paper:
            let input = point(.patchInput, .vision, nil)
            var codes = [UInt8](repeating: 0, count: normalization.count)
            gemm.quantize(
                normalization, stride: normalization.count, rows: 1, width: normalization.count, by: input, to: &codes,
                codesStride: normalization.count)
            return (dense(name, input: input, hasBias: false), codes)
        case .reference:
            let input = channels(.patchInput, .vision, nil)
            let codes = normalization.withUnsafeBufferPointer { samples in
                (0..<3).flatMap { input.quantize(UnsafeBufferPointer(rebasing: samples[$0 * 256..<($0 + 1) * 256]), channel: $0) }
            }
            return (foldedDense(name, input), codes)
        }
    }

    /// A tower's blocks.
    func stack(
        _ tower: Tower, _ configuration: CLIPConfiguration, instructionSet: InstructionSet, clock: StageClock? = nil
    ) -> any TransformerStack {
        let shape = tower == .vision ? configuration.vision : configuration.text
        switch recipe {
        case .paper:
            return QuantizedTransformer(
                configuration: shape, blocks: blocks(tower, depth: shape.depth), isCausal: tower == .text, instructionSet: instructionSet,
                clock: clock)
        case .reference:
            return ReferenceTransformer(
                configuration: shape, blocks: referenceBlocks(tower, depth: shape.depth), isCausal: tower == .text,
                instructionSet: instructionSet)
        }
    }

    /// A weight that meets float inputs, [outputs, inputs]: its codes times their scales, or itself where it is float.
    func projection(_ name: String) -> FloatTensor {
        if let projection = floats[name] { return projection }
        let matrix = matrix(name)
        let codes = matrix.codes()
        return FloatTensor(shape: [matrix.outputs, matrix.inputs]) { target in
            float(name + ".scales").withUnsafeBufferPointer { scales in
                for index in target.indices { target[index] = Float(codes[index]) * scales[index / matrix.inputs] }
            }
        }
    }
}
