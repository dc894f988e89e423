package import CLIP
package import Tensors

/// CLIP's text tower in integers.
package struct QuantizedTextEncoder: TextEncoder {
    package let configuration: CLIPConfiguration
    package let transformer: QuantizedTransformer
    private let tokens: TokenTable
    /// [vocabulary]
    private let tokenScales: FloatTensor
    /// [contextLength, width]
    package let positions: FloatTensor
    package let finalNorm: LayerNorm
    /// [features, width]
    package let projection: FloatTensor
    private let kernels: FloatKernels
    private let workspaces = WorkspaceCache()

    package var contextLength: Int { configuration.contextLength }
    package var featureWidth: Int { configuration.projectionWidth }

    /// - Precondition: `tensors` has the text tower of this configuration.
    package init(_ tensors: QuantizedTensors, _ configuration: CLIPConfiguration, instructionSet: InstructionSet = .best) {
        guard let tokens = tensors.tokens else { preconditionFailure("these tensors have no text tower") }
        self.configuration = configuration
        self.tokens = tokens
        tokenScales = tensors.float(QuantizedTensors.tokenEmbedding + ".scales")
        positions = tensors.float("text_model.embeddings.position_embedding.weight")
        finalNorm = tensors.norm("text_model.final_layer_norm")
        projection = tensors.projection("text_projection.weight")
        kernels = FloatKernels(instructionSet)
        transformer = QuantizedTransformer(
            configuration: configuration.text, blocks: tensors.blocks(.text, depth: configuration.text.depth), isCausal: true,
            instructionSet: instructionSet)
    }

    package func encode(prompts: [[Int32]], pool: ThreadPool) -> FloatTensor {
        encode(embedded: prompts.map { EmbeddedPrompt(ids: $0) }, pool: pool)
    }

    /// The same for prompts that may have vectors of their own.
    package func encode(embedded prompts: [EmbeddedPrompt], pool: ThreadPool) -> FloatTensor {
        let visible = prompts.map { $0.upToEnd(contextLength: contextLength) }
        return FloatTensor(shape: [prompts.count, featureWidth]) { features in
            guard let features = features.baseAddress else { return }
            BatchPlan.forItems(prompts.count, threads: pool.threads, limit: 16).run(on: pool) { run, pool in
                workspaces.withWorkspace { workspace in
                    encode(Array(visible[run]), features + run.lowerBound * featureWidth, workspace, pool)
                }
            }
        }
    }

    /// Features of the prompts, on one thread, while `tap` looks on. The bits are those of the other `encode`.
    package func encode(prompts: [[Int32]], tap: @escaping CodeTap) -> FloatTensor {
        FloatTensor(shape: [prompts.count, featureWidth]) { features in
            guard let features = features.baseAddress else { return }
            encode(prompts.map { EmbeddedPrompt(ids: $0).upToEnd(contextLength: contextLength) }, features, Workspace(), .serial, tap)
        }
    }

    private func encode(
        _ prompts: [EmbeddedPrompt], _ features: UnsafeMutablePointer<Float>, _ workspace: Workspace, _ pool: ThreadPool,
        _ tap: CodeTap? = nil
    ) {
        let width = configuration.text.width
        let rows = prompts.reduce(0) { $0 + $1.count }
        let hidden = workspace.buffer(9, of: Float.self, count: rows * width)
        var sequences: [TokenSequence] = []
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
    func embed(_ prompt: EmbeddedPrompt, _ hidden: UnsafeMutablePointer<Float>) {
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
        tokenScales.withUnsafeBufferPointer { tokens.copy(Int(id), scale: $0[Int(id)], to: row) }
        positions.withUnsafeBufferPointer { positions in
            guard let positions = positions.baseAddress else { return }
            kernels.addBias(row, stride: width, bias: positions + position * width, rows: 1, width: width)
        }
    }
}
