package import CLIP
package import Tensors

/// CLIP's image tower in integers.
package struct QuantizedImageEncoder: ImageEncoder {
    package let configuration: CLIPConfiguration
    private let transformer: any TransformerStack
    private let gemm: IntegerGEMM
    private let clock: StageClock?
    private let patch: QuantizedDense
    /// Code of each 8-bit sample, by channel: [3, 256]
    private let pixelCodes: [UInt8]
    private let classEmbedding: FloatTensor
    private let positions: FloatTensor
    private let preNorm: LayerNorm
    private let postNorm: LayerNorm
    private let projection: FloatTensor
    private let kernels: FloatKernels
    private let workspaces = WorkspaceCache()

    package var imageSide: Int { configuration.imageSide }
    package var featureWidth: Int { configuration.projectionWidth }

    /// - Parameter normalization: the float value of each 8-bit sample, by channel: [3, 256].
    /// - Parameter clock: is told what each part of a pass takes.
    /// - Precondition: `tensors` has the image tower of this configuration.
    package init(
        _ tensors: QuantizedTensors, _ configuration: CLIPConfiguration, normalization: [Float], instructionSet: InstructionSet = .best,
        clock: StageClock? = nil
    ) {
        self.configuration = configuration
        kernels = FloatKernels(instructionSet)
        gemm = IntegerGEMM(instructionSet)
        (patch, pixelCodes) = tensors.patchEmbedding(normalization, gemm)
        classEmbedding = tensors.float("vision_model.embeddings.class_embedding")
        positions = tensors.float("vision_model.embeddings.position_embedding.weight")
        preNorm = tensors.norm("vision_model.pre_layrnorm")
        postNorm = tensors.norm("vision_model.post_layernorm")
        projection = tensors.projection("visual_projection.weight")
        self.clock = clock
        transformer = tensors.stack(.vision, configuration, instructionSet: instructionSet, clock: clock)
    }

    package func encode(
        crops: UnsafeBufferPointer<UInt8>, count: Int, features: UnsafeMutableBufferPointer<Float>, pool: ThreadPool
    ) {
        let bytes = imageSide * imageSide * 3
        precondition(crops.count >= count * bytes, "\(crops.count) bytes do not hold \(count) crops of side \(imageSide)")
        precondition(features.count >= count * featureWidth, "\(features.count) floats do not hold \(count) features")
        guard count > 0, let crops = crops.baseAddress, let features = features.baseAddress else { return }
        BatchPlan.forItems(count, threads: pool.threads, limit: 8).run(on: pool) { run, pool in
            workspaces.withWorkspace { workspace in
                encode(
                    crops + run.lowerBound * bytes, run.count, features + run.lowerBound * featureWidth, workspace, pool)
            }
        }
    }

    /// Features of `count` crops, [count, featureWidth], on one thread, while `tap` looks on. The bits are those of the other `encode`.
    package func encode(crops: UnsafeBufferPointer<UInt8>, count: Int, tap: @escaping CodeTap) -> [Float] {
        precondition(
            crops.count >= count * imageSide * imageSide * 3, "\(crops.count) bytes do not hold \(count) crops of side \(imageSide)")
        var features = [Float](repeating: 0, count: count * featureWidth)
        guard let crops = crops.baseAddress else { return features }
        features.withUnsafeMutableBufferPointer { features in
            guard let features = features.baseAddress else { return }
            encode(crops, count, features, Workspace(), .serial, tap)
        }
        return features
    }

    private func encode(
        _ crops: UnsafePointer<UInt8>, _ count: Int, _ features: UnsafeMutablePointer<Float>, _ workspace: Workspace, _ pool: ThreadPool,
        _ tap: CodeTap? = nil
    ) {
        let width = configuration.vision.width
        let tokens = configuration.visionPositions
        let size = (tokens - 1) * patch.weight.inputs
        let patches = workspace.buffer(8, of: UInt8.self, count: count * size)
        pool.forEach(count) { image in
            clock.measure(.patches) { _ in gather(crops + image * imageSide * imageSide * 3, patches + image * size) }
        }
        tap?(nil, .codes(.patchInput, UnsafeBufferPointer(start: patches, count: count * size)))
        let hidden = workspace.buffer(9, of: Float.self, count: count * tokens * width)
        embed(patches, count, hidden, workspace, pool)
        let pooled = workspace.buffer(10, of: Float.self, count: count * width)
        let sequences = (0..<count).map { TokenSequence(rows: $0 * tokens..<($0 + 1) * tokens, pooled: $0 * tokens) }
        transformer.forward(
            hidden: hidden, rows: count * tokens, sequences: sequences, pooled: pooled, workspace: workspace, pool: pool, tap: tap)
        clock.measure(.projection) { _ in
            project(pooled, rows: count, norm: postNorm, projection, epsilon: configuration.vision.layerNormEpsilon, kernels, features)
        }
    }

    /// The residual stream that the blocks begin with, [count * positions, width].
    func embeddings(crops: UnsafeBufferPointer<UInt8>, count: Int) -> [Float] {
        let size = (configuration.visionPositions - 1) * patch.weight.inputs
        var patches = [UInt8](repeating: 0, count: count * size)
        var hidden = [Float](repeating: 0, count: count * configuration.visionPositions * configuration.vision.width)
        patches.withUnsafeMutableBufferPointer { patches in
            hidden.withUnsafeMutableBufferPointer { hidden in
                guard let crops = crops.baseAddress, let patches = patches.baseAddress, let hidden = hidden.baseAddress else { return }
                for image in 0..<count { gather(crops + image * imageSide * imageSide * 3, patches + image * size) }
                embed(patches, count, hidden, Workspace(), .serial)
            }
        }
        return hidden
    }

    /// hidden = LayerNorm([class; patches * weight^T] + positions)
    private func embed(
        _ patches: UnsafePointer<UInt8>, _ count: Int, _ hidden: UnsafeMutablePointer<Float>, _ workspace: Workspace, _ pool: ThreadPool
    ) {
        multiplyPatches(patches, count, hidden, workspace, pool)
        let width = configuration.vision.width
        let tokens = configuration.visionPositions
        withVectors { embedding, positions, gamma, beta in
            for image in 0..<count {
                let start = hidden + image * tokens * width
                start.update(from: embedding, count: width)
                kernels.addBias(start, stride: 0, bias: positions, rows: 1, width: tokens * width)
            }
            kernels.layerNorm(
                hidden, inputStride: width, gamma: gamma, beta: beta, epsilon: configuration.vision.layerNormEpsilon,
                rows: count * tokens, width: width, output: hidden, outputStride: width)
        }
    }

    private func withVectors(
        _ body: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>) -> Void
    ) {
        classEmbedding.withUnsafeBufferPointer { embedding in
            positions.withUnsafeBufferPointer { positions in
                preNorm.gamma.withUnsafeBufferPointer { gamma in
                    preNorm.beta.withUnsafeBufferPointer { beta in
                        guard let embedding = embedding.baseAddress, let positions = positions.baseAddress,
                            let gamma = gamma.baseAddress, let beta = beta.baseAddress
                        else { return }
                        body(embedding, positions, gamma, beta)
                    }
                }
            }
        }
    }

    private func multiplyPatches(
        _ patches: UnsafePointer<UInt8>, _ count: Int, _ hidden: UnsafeMutablePointer<Float>, _ workspace: Workspace, _ pool: ThreadPool
    ) {
        let (width, inputs, rows) = (configuration.vision.width, patch.weight.inputs, configuration.visionPositions - 1)
        let panels = IntegerGEMM.panels(width)
        let parts = max(1, min(pool.threads, panels))
        let each = (gemm.scratchByteCount(rows: rows, inputs: inputs) + 63) / 64 * 64
        let scratch = UnsafeMutableRawPointer(workspace.buffer(11, of: UInt8.self, count: parts * each))
        _ = patch.withChannels { channels in
            pool.forEach(parts) { part in
                clock.measure(.products) { epilogues in
                    for image in 0..<count {
                        let matrix = CodeMatrix(
                            patches + image * rows * inputs, stride: inputs, rows: rows, columns: inputs, meaning: patch.input)
                        gemm.multiply(
                            matrix, patch.weight, channels: channels, to: .floats(hidden + (image * (rows + 1) + 1) * width), stride: width,
                            panels: panels * part / parts..<panels * (part + 1) / parts, scratch: scratch + part * each,
                            epilogueTicks: epilogues)
                    }
                }
            }
        }
    }

    /// 8-bit crop [side, side, 3] to codes of patches [patches, 3, patch, patch].
    private func gather(_ crop: UnsafePointer<UInt8>, _ patches: UnsafeMutablePointer<UInt8>) {
        let (side, patch, across) = (imageSide, configuration.patchSize, configuration.patchesPerSide)
        pixelCodes.withUnsafeBufferPointer { table in
            var target = patches
            for index in 0..<across * across {
                let corner = crop + (index / across * patch * side + index % across * patch) * 3
                for channel in 0..<3 {
                    for y in 0..<patch {
                        let row = corner + y * side * 3 + channel
                        for x in 0..<patch { target[x] = table[channel * 256 + Int(row[3 * x])] }
                        target += patch
                    }
                }
            }
        }
    }
}
