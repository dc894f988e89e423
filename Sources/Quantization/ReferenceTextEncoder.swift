package import CLIP
package import Tensors

/// CLIP's text tower by the recipe `reference`: float token embedding and projection around blocks of integers and floats.
package struct ReferenceTextEncoder: TextEncoder {
    package let configuration: CLIPConfiguration
    private let transformer: any TransformerStack
    /// [vocabulary, width]
    private let tokens: FloatTensor
    private let positions: FloatTensor
    private let finalNorm: LayerNorm
    private let projection: FloatTensor
    private let kernels: FloatKernels
    private let workspaces = WorkspaceCache()

    package var contextLength: Int { configuration.contextLength }
    package var featureWidth: Int { configuration.projectionWidth }

    /// - Precondition: `tensors` has the text tower of this configuration, by this recipe.
    package init(_ tensors: QuantizedTensors, _ configuration: CLIPConfiguration, instructionSet: InstructionSet = .best) {
        self.configuration = configuration
        tokens = tensors.float(QuantizedTensors.tokenEmbedding)
        positions = tensors.float("text_model.embeddings.position_embedding.weight")
        finalNorm = tensors.norm("text_model.final_layer_norm")
        projection = tensors.projection("text_projection.weight")
        kernels = FloatKernels(instructionSet)
        transformer = tensors.stack(.text, configuration, instructionSet: instructionSet)
    }

    package func encode(prompts: [[Int32]], pool: ThreadPool) -> FloatTensor {
        let visible = prompts.map(upToEnd)
        return FloatTensor(shape: [prompts.count, featureWidth]) { features in
            guard let features = features.baseAddress else { return }
            BatchPlan.forItems(prompts.count, threads: pool.threads, limit: 16).run(on: pool) { run, pool in
                workspaces.withWorkspace { workspace in
                    encode(Array(visible[run]), features + run.lowerBound * featureWidth, workspace, pool, nil)
                }
            }
        }
    }

    /// Features of the prompts, on one thread, while `tap` looks on. The bits are those of the other `encode`.
    package func encode(prompts: [[Int32]], tap: @escaping CodeTap) -> FloatTensor {
        FloatTensor(shape: [prompts.count, featureWidth]) { features in
            guard let features = features.baseAddress else { return }
            encode(prompts.map(upToEnd), features, Workspace(), .serial, tap)
        }
    }

    /// The tokens up to the first occurrence of the highest id: nothing after it is ever read.
    private func upToEnd(_ prompt: [Int32]) -> ArraySlice<Int32> {
        precondition(!prompt.isEmpty && prompt.count <= contextLength, "a prompt of \(prompt.count) tokens for \(contextLength) positions")
        var end = prompt.startIndex
        for index in prompt.indices where prompt[index] > prompt[end] { end = index }
        return prompt[...end]
    }

    private func encode(
        _ prompts: [ArraySlice<Int32>], _ features: UnsafeMutablePointer<Float>, _ workspace: Workspace, _ pool: ThreadPool, _ tap: CodeTap?
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

    private func embed(_ prompt: ArraySlice<Int32>, _ hidden: UnsafeMutablePointer<Float>) {
        let width = configuration.text.width
        tokens.withUnsafeBufferPointer { tokens in
            positions.withUnsafeBufferPointer { positions in
                guard let tokens = tokens.baseAddress, let positions = positions.baseAddress else { return }
                for (position, id) in prompt.enumerated() {
                    precondition(id >= 0 && Int(id) < configuration.vocabularySize, "token \(id) is outside the vocabulary")
                    let row = hidden + position * width
                    row.update(from: tokens + Int(id) * width, count: width)
                    kernels.addBias(row, stride: width, bias: positions + position * width, rows: 1, width: width)
                }
            }
        }
    }
}
