internal import CLIP
internal import Tensors

/// One batch of calibration data between two blocks: the residual streams of the float and of the quantized tower, [rows, width] each.
struct ResidualStreams {
    let sequences: [TokenSequence]
    let rows: Int
    var float: [Float]
    var quantized: [Float]
}

/// What one linear layer of a block meets in one batch.
struct LayerRows {
    /// [rows, inputs]: what the quantized tower gives it, codes times scale.
    let inputs: [Float]
    /// [rows, outputs]: what it ought to give. For layers that add to the residual stream also what the stream lacks by then.
    let targets: [Float]
}

/// The linear layers of a block that see the same inputs, in the order of computation.
enum LayerGroup: CaseIterable {
    case attentionInput, attentionOutput, dense1, dense2

    var point: QuantizationPoint {
        switch self {
        case .attentionInput: .qkvInput
        case .attentionOutput: .outputInput
        case .dense1: .dense1Input
        case .dense2: .dense2Input
        }
    }

    /// The last part of the group's name in a plan.
    var layer: String {
        switch self {
        case .attentionInput: "qkv"
        case .attentionOutput: "out"
        case .dense1: "fc1"
        case .dense2: "fc2"
        }
    }

    /// As checkpoints name them, below the block.
    var maps: [String] {
        switch self {
        case .attentionInput: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]
        case .attentionOutput: ["self_attn.out_proj"]
        case .dense1: ["mlp.fc1"]
        case .dense2: ["mlp.fc2"]
        }
    }

    func layers(_ block: TransformerBlock) -> [Dense] {
        switch self {
        case .attentionInput: [block.query, block.key, block.value]
        case .attentionOutput: [block.output]
        case .dense1: [block.dense1]
        case .dense2: [block.dense2]
        }
    }
}

/// The same block of both towers, on one batch at a time.
struct BlockPair {
    let configuration: TowerConfiguration
    let isCausal: Bool
    let float: TransformerBlock
    let quantized: QuantizedBlock

    /// What the layers of `group` meet in a batch.
    func rows(_ group: LayerGroup, _ batch: ResidualStreams, _ workspace: Workspace) -> LayerRows {
        var seen: [QuantizationPoint: [Float]] = [:]
        var stream = batch.float
        runFloat(&stream, batch, workspace) { point, values in
            if point == group.point || point == .outputInput { seen[point] = Array(values) }
        }
        var codes: [UInt8] = []
        var residuals: [[Float]] = []
        var own = batch.quantized
        runQuantized(&own, batch, workspace) { view in
            switch view {
            case .codes(group.point, let values): codes = Array(values)
            case .residual(let values) where residuals.count < 2: residuals.append(Array(values))
            default: break
            }
        }
        let meaning = input(group)
        let inputs = codes.map { Float(Int($0) - meaning.zeroPoint) * meaning.scale }
        var targets = outputs(group.layers(float), seen[group.point] ?? [], batch.rows)
        switch group {
        case .attentionInput, .dense1: break
        case .attentionOutput: add(batch.float, minus: residuals[0], to: &targets)
        case .dense2:
            var middle = outputs([float.output], seen[.outputInput] ?? [], batch.rows)
            add(batch.float, minus: residuals[1], to: &middle)
            for index in targets.indices { targets[index] += middle[index] }
        }
        return LayerRows(inputs: inputs, targets: targets)
    }

    /// Moves both streams past the block.
    func advance(_ batch: inout ResidualStreams, _ workspace: Workspace) {
        runFloat(&batch.float, batch, workspace) { _, _ in }
        runQuantized(&batch.quantized, batch, workspace) { _ in }
    }

    private func input(_ group: LayerGroup) -> CodeScale {
        switch group {
        case .attentionInput: quantized.query.input
        case .attentionOutput: quantized.output.input
        case .dense1: quantized.dense1.input
        case .dense2: quantized.dense2.input
        }
    }

    private func add(_ stream: [Float], minus other: [Float], to targets: inout [Float]) {
        for index in targets.indices { targets[index] += stream[index] - other[index] }
    }

    /// x * W^T + bias of several layers, side by side.
    private func outputs(_ layers: [Dense], _ x: [Float], _ rows: Int) -> [Float] {
        let width = layers.reduce(0) { $0 + $1.outputs }
        var result = [Float](repeating: 0, count: rows * width)
        var first = 0
        for layer in layers {
            layer.bias.withUnsafeBufferPointer { bias in
                for row in 0..<rows { for output in bias.indices { result[row * width + first + output] = bias[output] } }
            }
            layer.weight.withUnsafeBufferPointer { weight in
                result.withUnsafeMutableBufferPointer { result in
                    guard let weight = weight.baseAddress, let result = result.baseAddress else { return }
                    BLAS.multiply(
                        m: rows, n: layer.outputs, k: layer.inputs, a: x, aStride: layer.inputs, transposedB: weight, bStride: layer.inputs,
                        c: result + first, cStride: width, accumulating: true)
                }
            }
            first += layer.outputs
        }
        return result
    }

    private func runFloat(
        _ stream: inout [Float], _ batch: ResidualStreams, _ workspace: Workspace,
        _ see: @escaping (QuantizationPoint, UnsafeBufferPointer<Float>) -> Void
    ) {
        let tower = FloatTransformer(configuration: configuration, blocks: [float], isCausal: isCausal, kernels: FloatKernels())
        run(&stream, batch) { hidden, pooled in
            tower.forward(
                hidden: hidden, rows: batch.rows, sequences: batch.sequences, pooled: pooled, workspace: workspace, pool: .serial,
                tap: { _, point, values in see(point, values) })
        }
    }

    private func runQuantized(
        _ stream: inout [Float], _ batch: ResidualStreams, _ workspace: Workspace, _ see: @escaping (CodeView) -> Void
    ) {
        let tower = QuantizedTransformer(configuration: configuration, blocks: [quantized], isCausal: isCausal, instructionSet: .best)
        run(&stream, batch) { hidden, pooled in
            tower.forward(
                hidden: hidden, rows: batch.rows, sequences: batch.sequences, pooled: pooled, workspace: workspace, pool: .serial,
                tap: { _, view in see(view) })
        }
    }

    private func run(
        _ stream: inout [Float], _ batch: ResidualStreams, _ body: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
    ) {
        var pooled = [Float](repeating: 0, count: batch.sequences.count * configuration.width)
        stream.withUnsafeMutableBufferPointer { stream in
            pooled.withUnsafeMutableBufferPointer { pooled in
                guard let stream = stream.baseAddress, let pooled = pooled.baseAddress else { return }
                body(stream, pooled)
            }
        }
    }
}
