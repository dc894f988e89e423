internal import CLIP
internal import Tensors

/// A share of a batch on its way through both towers, with gradients of its own: lanes don't touch each other, so threads may take them in
/// any order and the sum over them is the same.
final class TrainingLane {
    private let configuration: CLIPConfiguration
    private let layout: ParameterLayout
    private let kernels: FloatKernels
    private let image: TrainingTower
    private let text: TrainingTower
    private let normalization: [Float]
    private let workspace = Workspace()
    private var imagePass = TrainingTower.Pass(rows: 0, sequences: [])
    private var textPass = TrainingTower.Pass(rows: 0, sequences: [])
    private var prompts: ArraySlice<[Int32]> = []
    /// Of all parameters, in the layout's order.
    private(set) var gradients: [Float]

    private enum Slot: Int { case patches = 0, embedded, hidden, embeddedGradient, textHidden }

    init(_ configuration: CLIPConfiguration, _ layout: ParameterLayout, normalization: [Float], kernels: FloatKernels) {
        self.configuration = configuration
        self.layout = layout
        self.kernels = kernels
        self.normalization = normalization
        image = TrainingTower(configuration, layout, isText: false, kernels: kernels)
        text = TrainingTower(configuration, layout, isText: true, kernels: kernels)
        gradients = [Float](repeating: 0, count: layout.count)
    }

    private func buffer(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<Float> {
        workspace.buffer(slot.rawValue, of: Float.self, count: count)
    }

    // MARK: Images

    private var patchCount: Int { configuration.patchesPerSide * configuration.patchesPerSide }
    private var patchSize: Int { 3 * configuration.patchSize * configuration.patchSize }

    /// Features [count, projectionWidth] of `crops`, [count, side, side, 3].
    func encodeImages(
        _ crops: UnsafePointer<UInt8>, count: Int, _ parameters: UnsafePointer<Float>, features: UnsafeMutablePointer<Float>
    ) {
        let (width, tokens) = (configuration.vision.width, patchCount + 1)
        imagePass = TrainingTower.Pass(
            rows: count * tokens, sequences: (0..<count).map { TokenSequence(rows: $0 * tokens..<($0 + 1) * tokens, pooled: $0 * tokens) })
        let patches = buffer(.patches, count * patchCount * patchSize)
        let embedded = buffer(.embedded, count * tokens * width)
        let positions = parameters + layout["vision_model.embeddings.position_embedding.weight"]
        for index in 0..<count {
            gather(crops + index * configuration.imageSide * configuration.imageSide * 3, patches + index * patchCount * patchSize)
            let row = embedded + index * tokens * width
            row.update(from: parameters + layout["vision_model.embeddings.class_embedding"], count: width)
            BLAS.multiply(
                m: patchCount, n: width, k: patchSize, a: patches + index * patchCount * patchSize, aStride: patchSize,
                transposedB: parameters + layout["vision_model.embeddings.patch_embedding.weight"], bStride: patchSize, c: row + width,
                cStride: width)
            kernels.addBias(row, stride: width, bias: positions, rows: 1, width: tokens * width)
        }
        let hidden = buffer(.hidden, count * tokens * width)
        kernels.layerNorm(
            embedded, inputStride: width, gamma: parameters + layout["vision_model.pre_layrnorm.weight"],
            beta: parameters + layout["vision_model.pre_layrnorm.bias"], epsilon: configuration.vision.layerNormEpsilon,
            rows: count * tokens, width: width, output: hidden, outputStride: width)
        image.forward(hidden, imagePass, parameters, features: features)
    }

    /// Adds the gradients of everything that `encodeImages` used, from that of its features.
    func addImageGradients(_ featureGradient: UnsafePointer<Float>, _ parameters: UnsafePointer<Float>) {
        let (width, tokens, count) = (configuration.vision.width, patchCount + 1, imagePass.sequences.count)
        let (hidden, embedded) = (buffer(.hidden, imagePass.rows * width), buffer(.embedded, imagePass.rows * width))
        let patches = buffer(.patches, count * patchCount * patchSize)
        gradients.withUnsafeMutableBufferPointer { gradients in
            guard let gradients = gradients.baseAddress else { return }
            let gradient = image.backward(hidden, imagePass, parameters, featureGradient: featureGradient, gradients: gradients)
            let embeddedGradient = buffer(.embeddedGradient, imagePass.rows * width)
            embeddedGradient.update(repeating: 0, count: imagePass.rows * width)
            kernels.addLayerNormGradient(
                gradient, stride: width, input: embedded, inputStride: width,
                gamma: parameters + layout["vision_model.pre_layrnorm.weight"], epsilon: configuration.vision.layerNormEpsilon,
                rows: imagePass.rows, width: width, to: embeddedGradient, inputGradientStride: width,
                gammaGradient: gradients + layout["vision_model.pre_layrnorm.weight"],
                betaGradient: gradients + layout["vision_model.pre_layrnorm.bias"])
            kernels.addColumnSums(
                embeddedGradient, stride: tokens * width, rows: count, width: tokens * width,
                to: gradients + layout["vision_model.embeddings.position_embedding.weight"])
            kernels.addColumnSums(
                embeddedGradient, stride: tokens * width, rows: count, width: width,
                to: gradients + layout["vision_model.embeddings.class_embedding"])
            for index in 0..<count {
                BLAS.multiply(
                    m: width, n: patchSize, k: patchCount, transposedA: embeddedGradient + (index * tokens + 1) * width, aStride: width,
                    b: patches + index * patchCount * patchSize, bStride: patchSize,
                    c: gradients + layout["vision_model.embeddings.patch_embedding.weight"], cStride: patchSize, accumulating: true)
            }
        }
    }

    /// A crop [side, side, 3] to its normalised patches [patches, 3, patch, patch].
    private func gather(_ crop: UnsafePointer<UInt8>, _ patches: UnsafeMutablePointer<Float>) {
        let (side, patch) = (configuration.imageSide, configuration.patchSize)
        normalization.withUnsafeBufferPointer { table in
            var target = patches
            for index in 0..<patchCount {
                let corner = (index / configuration.patchesPerSide * side + index % configuration.patchesPerSide) * patch
                for channel in 0..<3 {
                    for y in 0..<patch {
                        for x in 0..<patch {
                            target[y * patch + x] = table[channel << 8 + Int(crop[(corner + y * side + x) * 3 + channel])]
                        }
                    }
                    target += patch * patch
                }
            }
        }
    }

    // MARK: Captions

    /// Features [prompts.count, projectionWidth].
    func encodeTexts(_ prompts: ArraySlice<[Int32]>, _ parameters: UnsafePointer<Float>, features: UnsafeMutablePointer<Float>) {
        self.prompts = prompts
        let width = configuration.text.width
        var rows = 0
        let sequences = prompts.map { prompt in
            defer { rows += prompt.count }
            return TokenSequence(rows: rows..<rows + prompt.count, pooled: rows + prompt.count - 1)
        }
        textPass = TrainingTower.Pass(rows: rows, sequences: sequences)
        let hidden = buffer(.textHidden, rows * width)
        let tokens = parameters + layout["text_model.embeddings.token_embedding.weight"]
        let positions = parameters + layout["text_model.embeddings.position_embedding.weight"]
        for (prompt, sequence) in zip(prompts, sequences) {
            for (position, id) in prompt.enumerated() {
                let row = hidden + (sequence.rows.lowerBound + position) * width
                row.update(from: tokens + Int(id) * width, count: width)
                kernels.addBias(row, stride: width, bias: positions + position * width, rows: 1, width: width)
            }
        }
        text.forward(hidden, textPass, parameters, features: features)
    }

    /// Adds the gradients of everything that `encodeTexts` used, from that of its features.
    func addTextGradients(_ featureGradient: UnsafePointer<Float>, _ parameters: UnsafePointer<Float>) {
        let width = configuration.text.width
        let hidden = buffer(.textHidden, textPass.rows * width)
        gradients.withUnsafeMutableBufferPointer { gradients in
            guard let gradients = gradients.baseAddress else { return }
            let gradient = text.backward(hidden, textPass, parameters, featureGradient: featureGradient, gradients: gradients)
            let tokens = gradients + layout["text_model.embeddings.token_embedding.weight"]
            let positions = gradients + layout["text_model.embeddings.position_embedding.weight"]
            for (prompt, sequence) in zip(prompts, textPass.sequences) {
                for (position, id) in prompt.enumerated() {
                    let row = gradient + (sequence.rows.lowerBound + position) * width
                    kernels.addBias(tokens + Int(id) * width, stride: width, bias: row, rows: 1, width: width)
                    kernels.addBias(positions + position * width, stride: width, bias: row, rows: 1, width: width)
                }
            }
        }
    }

    /// Sets all gradients to 0.
    func clear() {
        gradients.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
    }
}
