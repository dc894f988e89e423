internal import CLIP
internal import Tensors

/// A share of a batch on its way through both towers, with gradients of its own: lanes don't touch each other, so threads may take them in
/// any order and the sum over them is the same.
final class TrainingLane {
    private let configuration: CLIPConfiguration
    private let layout: ParameterLayout
    private let kernels: FloatKernels
    private let images: ImageLane
    private let text: TrainingTower
    private let workspace = Workspace()
    private var textPass = TrainingTower.Pass(rows: 0, sequences: [])
    private var prompts: ArraySlice<[Int32]> = []
    /// Of all parameters, in the layout's order.
    private(set) var gradients: [Float]

    init(_ configuration: CLIPConfiguration, _ layout: ParameterLayout, normalization: [Float], kernels: FloatKernels) {
        self.configuration = configuration
        self.layout = layout
        self.kernels = kernels
        images = ImageLane(configuration, layout, normalization: normalization, kernels: kernels)
        text = TrainingTower(configuration, layout, isText: true, kernels: kernels)
        gradients = [Float](repeating: 0, count: layout.count)
    }

    // MARK: Images

    /// Features [count, projectionWidth] of `crops`, [count, side, side, 3].
    func encodeImages(
        _ crops: UnsafePointer<UInt8>, count: Int, _ parameters: UnsafePointer<Float>, features: UnsafeMutablePointer<Float>
    ) {
        images.encode(crops, count: count, parameters, features: features)
    }

    /// Adds the gradients of everything that `encodeImages` used, from that of its features.
    func addImageGradients(_ featureGradient: UnsafePointer<Float>, _ parameters: UnsafePointer<Float>) {
        gradients.withUnsafeMutableBufferPointer { gradients in
            if let gradients = gradients.baseAddress { images.addGradients(featureGradient, parameters, to: gradients) }
        }
    }

    // MARK: Captions

    private func textRows(_ count: Int) -> UnsafeMutablePointer<Float> { workspace.buffer(0, of: Float.self, count: count) }

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
        let hidden = textRows(rows * width)
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
        let hidden = textRows(textPass.rows * width)
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
