package import Tensors

/// CLIP's image tower in float32 on OpenBLAS.
package struct FloatImageEncoder: ImageEncoder {
    package let configuration: CLIPConfiguration
    package let transformer: FloatTransformer
    /// [width, 3 * patch * patch], rows in the order channel, y, x
    package let patchWeight: FloatTensor
    /// [width]
    package let classEmbedding: FloatTensor
    /// [positions, width]
    package let positions: FloatTensor
    package let preNorm: LayerNorm
    package let postNorm: LayerNorm
    /// [features, width]
    package let projection: FloatTensor
    /// Float value of each 8-bit sample, by channel: [3, 256]
    package let normalization: [Float]

    private let kernels: FloatKernels
    private let workspaces = WorkspaceCache()

    package var imageSide: Int { configuration.imageSide }
    package var featureWidth: Int { configuration.projectionWidth }

    package init(_ checkpoint: Checkpoint, normalization: [Float], kernels: FloatKernels = FloatKernels()) {
        let configuration = checkpoint.configuration
        self.configuration = configuration
        self.kernels = kernels
        self.normalization = normalization
        let embeddings = "vision_model.embeddings."
        let weight = checkpoint[embeddings + "patch_embedding.weight"]
        patchWeight = weight.reshaped([configuration.vision.width, weight.count / configuration.vision.width])
        classEmbedding = checkpoint[embeddings + "class_embedding"]
        positions = checkpoint[embeddings + "position_embedding.weight"]
        preNorm = checkpoint.layerNorm("vision_model.pre_layrnorm")
        postNorm = checkpoint.layerNorm("vision_model.post_layernorm")
        projection = checkpoint["visual_projection.weight"]
        transformer = FloatTransformer(
            configuration: configuration.vision, blocks: checkpoint.blocks("vision_model", depth: configuration.vision.depth),
            isCausal: false, kernels: kernels)
    }

    package func encode(
        crops: UnsafeBufferPointer<UInt8>, count: Int, features: UnsafeMutableBufferPointer<Float>, pool: ThreadPool
    ) {
        encode(crops: crops, count: count, features: features, pool: pool, tap: nil)
    }

    /// The same, with the float tensors at the quantization points shown to `tap`.
    package func encode(
        crops: UnsafeBufferPointer<UInt8>, count: Int, features: UnsafeMutableBufferPointer<Float>, pool: ThreadPool,
        tap: ActivationTap?
    ) {
        let bytes = imageSide * imageSide * 3
        precondition(crops.count >= count * bytes, "\(crops.count) bytes do not hold \(count) crops of side \(imageSide)")
        encode(count: count, features: features, pool: pool, tap: tap) { image, patches in
            guard let crop = crops.baseAddress else { return }
            gather(crop + image * bytes, patches)
        }
    }

    /// The same for pictures that are already normalised: `pixels` is [count, 3, imageSide, imageSide].
    package func encode(
        pixels: UnsafeBufferPointer<Float>, count: Int, features: UnsafeMutableBufferPointer<Float>, pool: ThreadPool,
        tap: ActivationTap? = nil
    ) {
        let size = 3 * imageSide * imageSide
        precondition(pixels.count >= count * size, "\(pixels.count) floats do not hold \(count) pictures of side \(imageSide)")
        encode(count: count, features: features, pool: pool, tap: tap) { image, patches in
            guard let picture = pixels.baseAddress else { return }
            gather(picture + image * size, patches)
        }
    }

    /// Runs the tower, `fill` having written each picture's patches [patches, 3 * patch * patch].
    private func encode(
        count: Int, features: UnsafeMutableBufferPointer<Float>, pool: ThreadPool, tap: ActivationTap? = nil,
        fill: (Int, UnsafeMutablePointer<Float>) -> Void
    ) {
        precondition(features.count >= count * featureWidth, "\(features.count) floats do not hold \(count) features")
        guard count > 0, let features = features.baseAddress else { return }
        let plan = tap == nil ? BatchPlan.forItems(count, threads: pool.threads, limit: 8) : .operations([0..<count])
        plan.run(on: pool) { run, pool in
            workspaces.withWorkspace { workspace in
                let target = features + run.lowerBound * featureWidth
                encode(run, target, workspace, pool, tap, fill)
            }
        }
    }

    private func encode(
        _ run: Range<Int>, _ features: UnsafeMutablePointer<Float>, _ workspace: Workspace, _ pool: ThreadPool, _ tap: ActivationTap?,
        _ fill: (Int, UnsafeMutablePointer<Float>) -> Void
    ) {
        let width = configuration.vision.width
        let tokens = configuration.visionPositions
        let patchSize = patchWeight.shape[1]
        let patches = workspace.buffer(8, of: Float.self, count: run.count * (tokens - 1) * patchSize)
        pool.forEach(run.count) { fill(run.lowerBound + $0, patches + $0 * (tokens - 1) * patchSize) }
        tap?(nil, .patchInput, UnsafeBufferPointer(start: patches, count: run.count * (tokens - 1) * patchSize))
        let hidden = workspace.buffer(9, of: Float.self, count: run.count * tokens * width)
        embed(patches, run.count, hidden, pool)
        let pooled = workspace.buffer(10, of: Float.self, count: run.count * width)
        let sequences = (0..<run.count).map { TokenSequence(rows: $0 * tokens..<($0 + 1) * tokens, pooled: $0 * tokens) }
        transformer.forward(
            hidden: hidden, rows: run.count * tokens, sequences: sequences, pooled: pooled, workspace: workspace, pool: pool, tap: tap)
        project(pooled, rows: run.count, norm: postNorm, projection, epsilon: configuration.vision.layerNormEpsilon, kernels, features)
    }

    /// Normalised patches of 8-bit crops, [count * patches, 3 * patch * patch].
    package func patches(crops: UnsafeBufferPointer<UInt8>, count: Int) -> [Float] {
        let bytes = imageSide * imageSide * 3
        precondition(crops.count >= count * bytes, "\(crops.count) bytes do not hold \(count) crops of side \(imageSide)")
        let size = (configuration.visionPositions - 1) * patchWeight.shape[1]
        var patches = [Float](repeating: 0, count: count * size)
        patches.withUnsafeMutableBufferPointer { patches in
            guard let crops = crops.baseAddress, let patches = patches.baseAddress else { return }
            for image in 0..<count { gather(crops + image * bytes, patches + image * size) }
        }
        return patches
    }

    /// The residual stream that the blocks begin with, [count * positions, width], from what `patches` gave.
    package func embeddings(patches: [Float], count: Int, pool: ThreadPool) -> [Float] {
        var hidden = [Float](repeating: 0, count: count * configuration.visionPositions * configuration.vision.width)
        hidden.withUnsafeMutableBufferPointer { hidden in
            if let hidden = hidden.baseAddress { embed(patches, count, hidden, pool) }
        }
        return hidden
    }

    /// hidden = LayerNorm([class; patches * weight^T] + positions)
    private func embed(_ patches: UnsafePointer<Float>, _ count: Int, _ hidden: UnsafeMutablePointer<Float>, _ pool: ThreadPool) {
        let width = configuration.vision.width
        let tokens = configuration.visionPositions
        let patchSize = patchWeight.shape[1]
        patchWeight.withUnsafeBufferPointer { weight in
            guard let weight = weight.baseAddress else { return }
            pool.forEachRange(width, multiple: 16) { part in
                for image in 0..<count {
                    BLAS.multiply(
                        m: tokens - 1, n: part.count, k: patchSize, a: patches + image * (tokens - 1) * patchSize, aStride: patchSize,
                        transposedB: weight + part.lowerBound * patchSize, bStride: patchSize,
                        c: hidden + (image * tokens + 1) * width + part.lowerBound, cStride: width)
                }
            }
        }
        addEmbeddings(count, hidden)
        preNorm.gamma.withUnsafeBufferPointer { gamma in
            preNorm.beta.withUnsafeBufferPointer { beta in
                guard let gamma = gamma.baseAddress, let beta = beta.baseAddress else { return }
                kernels.layerNorm(
                    hidden, inputStride: width, gamma: gamma, beta: beta, epsilon: configuration.vision.layerNormEpsilon,
                    rows: count * tokens, width: width, output: hidden, outputStride: width)
            }
        }
    }

    private func addEmbeddings(_ count: Int, _ hidden: UnsafeMutablePointer<Float>) {
        let width = configuration.vision.width
        let tokens = configuration.visionPositions
        positions.withUnsafeBufferPointer { positions in
            classEmbedding.withUnsafeBufferPointer { embedding in
                guard let positions = positions.baseAddress, let embedding = embedding.baseAddress else { return }
                for image in 0..<count {
                    let start = hidden + image * tokens * width
                    start.update(from: embedding, count: width)
                    kernels.addBias(start, stride: 0, bias: positions, rows: 1, width: tokens * width)
                }
            }
        }
    }

    /// 8-bit crop [side, side, 3] to normalised patches [patches, 3, patch, patch].
    private func gather(_ crop: UnsafePointer<UInt8>, _ patches: UnsafeMutablePointer<Float>) {
        let side = imageSide
        normalization.withUnsafeBufferPointer { table in
            forEachPatchRow { channel, y, x, count, target in
                let source = crop + (y * side + x) * 3 + channel
                for i in 0..<count { patches[target + i] = table[channel * 256 + Int(source[3 * i])] }
            }
        }
    }

    /// Normalised picture [3, side, side] to patches [patches, 3, patch, patch].
    private func gather(_ picture: UnsafePointer<Float>, _ patches: UnsafeMutablePointer<Float>) {
        let side = imageSide
        forEachPatchRow { channel, y, x, count, target in
            (patches + target).update(from: picture + (channel * side + y) * side + x, count: count)
        }
    }

    @inline(__always)
    private func forEachPatchRow(_ body: (_ channel: Int, _ y: Int, _ x: Int, _ count: Int, _ target: Int) -> Void) {
        let patch = configuration.patchSize
        let across = configuration.patchesPerSide
        for row in 0..<across {
            for column in 0..<across {
                let start = (row * across + column) * 3 * patch * patch
                for channel in 0..<3 {
                    for y in 0..<patch {
                        body(channel, row * patch + y, column * patch, patch, start + (channel * patch + y) * patch)
                    }
                }
            }
        }
    }
}

/// `features = LayerNorm(pooled) * projection^T`, in the float kernels' fixed order, so that the result does not depend on the batch.
/// `pooled` [rows, width] is overwritten.
package func project(
    _ pooled: UnsafeMutablePointer<Float>, rows: Int, norm: LayerNorm, _ projection: FloatTensor, epsilon: Float, _ kernels: FloatKernels,
    _ features: UnsafeMutablePointer<Float>
) {
    let (outputs, width) = (projection.shape[0], projection.shape[1])
    norm.gamma.withUnsafeBufferPointer { gamma in
        norm.beta.withUnsafeBufferPointer { beta in
            projection.withUnsafeBufferPointer { matrix in
                guard let gamma = gamma.baseAddress, let beta = beta.baseAddress, let matrix = matrix.baseAddress else { return }
                kernels.layerNorm(
                    pooled, inputStride: width, gamma: gamma, beta: beta, epsilon: epsilon, rows: rows, width: width, output: pooled,
                    outputStride: width)
                for row in 0..<rows {
                    kernels.dotRows(
                        pooled + row * width, matrix: matrix, stride: width, rows: outputs, width: width, output: features + row * outputs)
                }
            }
        }
    }
}
