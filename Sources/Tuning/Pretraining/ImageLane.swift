internal import CLIP
internal import Tensors

/// One lane's share of a batch of pictures on its way through the image tower and back.
final class ImageLane {
    private let configuration: CLIPConfiguration
    private let layout: ParameterLayout
    private let kernels: FloatKernels
    private let tower: TrainingTower
    private let normalization: [Float]
    private let quantizers: PointQuantizers?
    private let workspace = Workspace()
    private var pass = TrainingTower.Pass(rows: 0, sequences: [])

    private enum Slot: Int { case patches = 0, embedded, hidden, embeddedGradient, rounded, patchGradient }

    /// - Parameter quantizers: what the tower's values are rounded by at the quantization points; nil for a float tower.
    init(
        _ configuration: CLIPConfiguration, _ layout: ParameterLayout, normalization: [Float], kernels: FloatKernels,
        quantizers: PointQuantizers? = nil
    ) {
        self.configuration = configuration
        self.layout = layout
        self.kernels = kernels
        self.normalization = normalization
        self.quantizers = quantizers
        tower = TrainingTower(configuration, layout, isText: false, kernels: kernels, quantizers: quantizers)
    }

    private func buffer(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<Float> {
        workspace.buffer(slot.rawValue, of: Float.self, count: count)
    }

    private var patchCount: Int { configuration.patchesPerSide * configuration.patchesPerSide }
    private var patchWeight: Int { layout["vision_model.embeddings.patch_embedding.weight"] }
    private var patchSize: Int { 3 * configuration.patchSize * configuration.patchSize }

    /// Features [count, projectionWidth] of `crops`, [count, side, side, 3].
    func encode(
        _ crops: UnsafePointer<UInt8>, count: Int, _ parameters: UnsafePointer<Float>, features: UnsafeMutablePointer<Float>
    ) {
        let (width, tokens) = (configuration.vision.width, patchCount + 1)
        pass = TrainingTower.Pass(
            rows: count * tokens, sequences: (0..<count).map { TokenSequence(rows: $0 * tokens..<($0 + 1) * tokens, pooled: $0 * tokens) })
        let patches = buffer(.patches, count * patchCount * patchSize)
        for index in 0..<count {
            gather(crops + index * configuration.imageSide * configuration.imageSide * 3, patches + index * patchCount * patchSize)
        }
        let taken = buffer(.rounded, count * patchCount * patchSize)
        taken.update(from: patches, count: count * patchCount * patchSize)
        quantizers?.round(taken, count * patchCount * patchSize, PointPlaces.patches)
        let embedded = buffer(.embedded, count * tokens * width)
        let positions = parameters + layout["vision_model.embeddings.position_embedding.weight"]
        for index in 0..<count {
            let row = embedded + index * tokens * width
            row.update(from: parameters + layout["vision_model.embeddings.class_embedding"], count: width)
            BLAS.multiply(
                m: patchCount, n: width, k: patchSize, a: taken + index * patchCount * patchSize, aStride: patchSize,
                transposedB: parameters + patchWeight, bStride: patchSize, c: row + width, cStride: width)
            kernels.addBias(row, stride: width, bias: positions, rows: 1, width: tokens * width)
        }
        let hidden = buffer(.hidden, count * tokens * width)
        kernels.layerNorm(
            embedded, inputStride: width, gamma: parameters + layout["vision_model.pre_layrnorm.weight"],
            beta: parameters + layout["vision_model.pre_layrnorm.bias"], epsilon: configuration.vision.layerNormEpsilon,
            rows: count * tokens, width: width, output: hidden, outputStride: width)
        tower.forward(hidden, pass, parameters, features: features)
    }

    /// Adds the gradients of everything that `encode` used, from that of its features, to `gradients`, in the layout's order.
    func addGradients(
        _ featureGradient: UnsafePointer<Float>, _ parameters: UnsafePointer<Float>, to gradients: UnsafeMutablePointer<Float>
    ) {
        let (width, tokens, count) = (configuration.vision.width, patchCount + 1, pass.sequences.count)
        let (hidden, embedded) = (buffer(.hidden, pass.rows * width), buffer(.embedded, pass.rows * width))
        let gradient = tower.backward(hidden, pass, parameters, featureGradient: featureGradient, gradients: gradients)
        let embeddedGradient = buffer(.embeddedGradient, pass.rows * width)
        embeddedGradient.update(repeating: 0, count: pass.rows * width)
        kernels.addLayerNormGradient(
            gradient, stride: width, input: embedded, inputStride: width, gamma: parameters + layout["vision_model.pre_layrnorm.weight"],
            epsilon: configuration.vision.layerNormEpsilon, rows: pass.rows, width: width, to: embeddedGradient, inputGradientStride: width,
            gammaGradient: gradients + layout["vision_model.pre_layrnorm.weight"],
            betaGradient: gradients + layout["vision_model.pre_layrnorm.bias"])
        kernels.addColumnSums(
            embeddedGradient, stride: tokens * width, rows: count, width: tokens * width,
            to: gradients + layout["vision_model.embeddings.position_embedding.weight"])
        kernels.addColumnSums(
            embeddedGradient, stride: tokens * width, rows: count, width: width,
            to: gradients + layout["vision_model.embeddings.class_embedding"])
        for index in 0..<count { addPatchGradients(index, embeddedGradient + (index * tokens + 1) * width, parameters, to: gradients) }
    }

    /// Those of the patches' weights, and of the scale of their quantizer, by picture `index`, from that of its embedded patches.
    private func addPatchGradients(
        _ index: Int, _ gradient: UnsafePointer<Float>, _ parameters: UnsafePointer<Float>, to gradients: UnsafeMutablePointer<Float>
    ) {
        let (width, place) = (configuration.vision.width, index * patchCount * patchSize)
        let taken = buffer(.rounded, pass.sequences.count * patchCount * patchSize) + place
        BLAS.multiply(
            m: width, n: patchSize, k: patchCount, transposedA: gradient, aStride: width, b: taken, bStride: patchSize,
            c: gradients + patchWeight, cStride: patchSize, accumulating: true)
        guard let quantizers else { return }
        let patchGradient = buffer(.patchGradient, patchCount * patchSize)
        BLAS.multiply(
            m: patchCount, n: patchSize, k: width, a: gradient, aStride: width, b: parameters + patchWeight, bStride: patchSize,
            c: patchGradient, cStride: patchSize)
        let patches = buffer(.patches, pass.sequences.count * patchCount * patchSize) + place
        quantizers.passGradient(patchGradient, input: patches, patchCount * patchSize, PointPlaces.patches)
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
}
