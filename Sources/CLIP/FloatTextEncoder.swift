package import Tensors

/// CLIP's text tower in float32 on OpenBLAS.
package struct FloatTextEncoder: TextEncoder {
    package let configuration: CLIPConfiguration
    package let transformer: FloatTransformer
    /// [vocabulary, width]
    package let tokenEmbedding: FloatTensor
    /// [contextLength, width]
    package let positions: FloatTensor
    package let finalNorm: LayerNorm
    /// [features, width]
    package let projection: FloatTensor

    private let kernels: FloatKernels
    private let workspaces = WorkspaceCache()

    package var contextLength: Int { configuration.contextLength }
    package var featureWidth: Int { configuration.projectionWidth }

    package init(_ checkpoint: Checkpoint, kernels: FloatKernels = FloatKernels()) {
        let configuration = checkpoint.configuration
        self.configuration = configuration
        self.kernels = kernels
        tokenEmbedding = checkpoint["text_model.embeddings.token_embedding.weight"]
        positions = checkpoint["text_model.embeddings.position_embedding.weight"]
        finalNorm = checkpoint.layerNorm("text_model.final_layer_norm")
        projection = checkpoint["text_projection.weight"]
        transformer = FloatTransformer(
            configuration: configuration.text, blocks: checkpoint.blocks("text_model", depth: configuration.text.depth), isCausal: true,
            kernels: kernels)
    }

    package func encode(prompts: [[Int32]], pool: ThreadPool) -> FloatTensor { encode(prompts: prompts, pool: pool, tap: nil) }

    /// The same, with the float tensors at the quantization points shown to `tap`.
    package func encode(prompts: [[Int32]], pool: ThreadPool, tap: ActivationTap?) -> FloatTensor {
        encode(embedded: prompts.map { EmbeddedPrompt(ids: $0) }, pool: pool, tap: tap)
    }

    /// The same for prompts that may have vectors of their own.
    package func encode(embedded prompts: [EmbeddedPrompt], pool: ThreadPool, tap: ActivationTap? = nil) -> FloatTensor {
        let visible = prompts.map { $0.upToEnd(contextLength: contextLength) }
        return FloatTensor(shape: [prompts.count, featureWidth]) { features in
            guard let features = features.baseAddress else { return }
            let limit = 16
            let plan =
                tap == nil ? BatchPlan.forItems(prompts.count, threads: pool.threads, limit: limit) : .operations([0..<prompts.count])
            plan.run(on: pool) { run, pool in
                workspaces.withWorkspace { workspace in
                    encode(Array(visible[run]), features + run.lowerBound * featureWidth, workspace, pool, tap)
                }
            }
        }
    }

    private func encode(
        _ prompts: [EmbeddedPrompt], _ features: UnsafeMutablePointer<Float>, _ workspace: Workspace, _ pool: ThreadPool,
        _ tap: ActivationTap?
    ) {
        let width = configuration.text.width
        let rows = prompts.reduce(0) { $0 + $1.count }
        let hidden = workspace.buffer(9, of: Float.self, count: rows * width)
        var sequences: [TokenSequence] = []
        sequences.reserveCapacity(prompts.count)
        var row = 0
        for prompt in prompts {
            embed(prompt, hidden + row * width)
            sequences.append(TokenSequence(rows: row..<row + prompt.count, pooled: row + prompt.count - 1))
            row += prompt.count
        }
        let pooled = workspace.buffer(10, of: Float.self, count: prompts.count * width)
        transformer.forward(
            hidden: hidden, rows: rows, sequences: sequences, pooled: pooled, workspace: workspace, pool: pool, tap: tap)
        project(pooled, rows: prompts.count, norm: finalNorm, projection, epsilon: configuration.text.layerNormEpsilon, kernels, features)
    }

    /// Writes the residual stream that the blocks begin with, a row for each of the prompt's positions.
    package func embed(_ prompt: EmbeddedPrompt, _ hidden: UnsafeMutablePointer<Float>) {
        let width = configuration.text.width
        for (index, id) in prompt.ids.enumerated() {
            let position = prompt.position(index)
            embed(id, position: position, to: hidden + position * width)
        }
        positions.withUnsafeBufferPointer { positions in
            guard let positions = positions.baseAddress else { return }
            prompt.embedContext(positions: positions, width: width, kernels, to: hidden)
        }
    }

    /// Writes a token's vector, its position's added, to `row` [width].
    package func embed(_ id: Int32, position: Int, to row: UnsafeMutablePointer<Float>) {
        precondition(id >= 0 && Int(id) < configuration.vocabularySize, "token \(id) is outside the vocabulary")
        let width = configuration.text.width
        tokenEmbedding.withUnsafeBufferPointer { tokens in
            positions.withUnsafeBufferPointer { positions in
                guard let tokens = tokens.baseAddress, let positions = positions.baseAddress else { return }
                row.update(from: tokens + Int(id) * width, count: width)
                kernels.addBias(row, stride: width, bias: positions + position * width, rows: 1, width: width)
            }
        }
    }
}
