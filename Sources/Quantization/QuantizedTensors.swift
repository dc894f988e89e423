package import CLIP
package import Tensors

/// Everything that the quantized towers are made of, by name: made from a checkpoint and its calibration, or read from a file.
///
/// Names are the checkpoint's; packed weights keep theirs, with their scales under `NAME.scales`.
package struct QuantizedTensors: Sendable {
    /// Norms, biases, embeddings, scales of weights.
    package internal(set) var floats: [String: FloatTensor] = [:]
    /// Weights of linear maps and of the output projections, [outputs, inputs].
    package internal(set) var packed: [String: PackedMatrix] = [:]
    /// The token embedding; nil where there is no text tower.
    package internal(set) var tokens: TokenTable?
    /// Quantizers by the points' names.
    package internal(set) var points: [String: CodeScale] = [:]
    /// Quantizers of points with a scale a channel, whose scales are folded into the columns of their layers' weights.
    package internal(set) var channelPoints: [String: ChannelQuantizer] = [:]
    package let recipe: Recipe

    static let tokenEmbedding = "text_model.embeddings.token_embedding.weight"
    static let patchEmbedding = "vision_model.embeddings.patch_embedding.weight"
    /// What the zero points of a patch's channels contribute, with its scales folded in; there is no bias otherwise.
    static let patchBias = "vision_model.embeddings.patch_embedding.bias"

    /// Quantizes a checkpoint by one recipe's widths.
    ///
    /// - Throws: `pointMissing` where the calibration lacks a point of the towers asked for.
    package init(
        _ checkpoint: Checkpoint, _ calibration: Calibration, observer: Observer, bits: BitPlan, towers: [Tower] = Tower.allCases
    ) throws(QuantizationError) {
        try self.init(checkpoint, calibration, QuantizationPlan(bits: bits, observer: observer), towers: towers)
    }

    /// Quantizes a checkpoint.
    ///
    /// - Throws: `pointMissing` where the calibration lacks a point of the towers asked for.
    package init(
        _ checkpoint: Checkpoint, _ calibration: Calibration, _ plan: QuantizationPlan, towers: [Tower] = Tower.allCases
    ) throws(QuantizationError) {
        self.init(recipe: plan.recipe)
        points = try Self.quantizers(checkpoint.configuration, calibration, plan, towers: towers)
        channelPoints = try Self.channelQuantizers(checkpoint.configuration, calibration, plan, towers)
        for name in QuantizedLayout.names(checkpoint.configuration, towers, plan.recipe) {
            let tensor = checkpoint[name.tensor]
            switch name.kind {
            case .float: floats[name.tensor] = tensor
            case .foldedBias: break  // comes with its weights
            case .linear(let layer, nil): try pack(name.tensor, Self.quantize(tensor, bits: plan.weights(layer), name: name.tensor))
            case .linear(let layer, let input?): try fold(name.tensor, checkpoint, bits: plan.weights(layer), input: input)
            case .projection: try pack(name.tensor, Self.quantize(tensor, bits: .eight, name: name.tensor))
            case .tokens:
                let codes = try Self.quantize(tensor, bits: .eight, name: name.tensor)
                tokens = TokenTable(codes: codes.codes, width: tensor.shape[1])
                floats[name.tensor + ".scales"] = Self.vector(codes.scales)
            }
        }
    }

    init(recipe: Recipe) { self.recipe = recipe }

    /// The quantizers of all points of the towers that have one scale, by name.
    ///
    /// - Throws: `pointMissing` where the calibration lacks one.
    package static func quantizers(
        _ configuration: CLIPConfiguration, _ calibration: Calibration, _ plan: QuantizationPlan, towers: [Tower] = Tower.allCases
    ) throws(QuantizationError) -> [String: CodeScale] {
        var points: [String: CodeScale] = [:]
        for point in QuantizedLayout.points(configuration, towers, plan.recipe) where point.channels == 1 {
            let (width, observer) = (plan.width(point), plan.observer(point))
            guard let quantizer = calibration.quantizer(point.name, observer, bits: width.rawValue) else {
                throw .pointMissing(point: point.name, observer: observer.rawValue, bits: width.rawValue)
            }
            points[point.name] = CodeScale(scale: quantizer.scale, zeroPoint: Int(quantizer.zeroPoint), bits: width)
        }
        return points
    }

    /// The same for points with a scale a channel.
    ///
    /// - Throws: `pointMissing` where the calibration lacks one, `observerPerChannel` for Percentile.
    package static func channelQuantizers(
        _ configuration: CLIPConfiguration, _ calibration: Calibration, _ plan: QuantizationPlan, _ towers: [Tower] = Tower.allCases
    ) throws(QuantizationError) -> [String: ChannelQuantizer] {
        var points: [String: ChannelQuantizer] = [:]
        for point in QuantizedLayout.points(configuration, towers, plan.recipe) where point.channels > 1 {
            let (width, observer) = (plan.width(point), plan.observer(point))
            if observer == .percentile { throw .observerPerChannel(point: point.name) }
            guard let quantizer = calibration.channelQuantizer(point.name, observer, bits: width.rawValue) else {
                throw .pointMissing(point: point.name, observer: observer.rawValue, bits: width.rawValue)
            }
            points[point.name] = quantizer
        }
        return points
    }

    /// The same weights with other quantizers of activations.
    package func replacing(points: [String: CodeScale]) -> QuantizedTensors {
        var tensors = self
        tensors.points = points
        return tensors
    }

    /// The same model with other values of some tensors.
    ///
    /// - Parameters:
    ///   - floats: norms, biases and embeddings by name.
    ///   - weights: codes and scales of linear maps and projections by name.
    /// - Throws: `unpackable` for shapes that kernels can't take.
    package func replacing(floats: [String: FloatTensor], weights: [String: WeightCodes]) throws(QuantizationError) -> QuantizedTensors {
        var tensors = self
        tensors.floats.merge(floats) { $1 }
        for (name, codes) in weights { try tensors.pack(name, codes) }
        return tensors
    }

    /// Puts other codes and scales, and where there is one another bias, in a linear map's place.
    mutating func replace(_ name: String, _ codes: WeightCodes, bias: [Float]?) throws(QuantizationError) {
        try pack(name + ".weight", codes)
        if let bias { floats[name + ".bias"] = Self.vector(bias) }
    }

    /// Weights whose input has a scale a channel: `y = sum of (q_c - z_c) s_c w_c + bias`, so `s_c w_c` is quantized in place of `w_c`, and the
    /// share of the zero points, the same for every input, goes into the bias.
    private mutating func fold(_ name: String, _ checkpoint: Checkpoint, bits: BitWidth, input: String) throws(QuantizationError) {
        guard let quantizer = channelPoints[input] else { preconditionFailure("\(input) has no quantizer") }
        let tensor = checkpoint[name]
        let columns = tensor.count / max(tensor.shape[0], 1)
        let run = columns / quantizer.scales.count
        let scaled = FloatTensor(shape: [tensor.shape[0], columns]) { target in
            tensor.withUnsafeBufferPointer { weights in
                for index in target.indices { target[index] = weights[index] * quantizer.scales[index % columns / run] }
            }
        }
        let codes = try Self.quantize(scaled, bits: bits, name: name)
        try pack(name, codes)
        let biasName = name.dropLast("weight".count) + "bias"
        let bias =
            name == Self.patchEmbedding
            ? [Float](repeating: 0, count: codes.rows) : checkpoint[String(biasName)].withUnsafeBufferPointer(Array.init)
        floats[String(biasName)] = Self.vector(
            (0..<codes.rows).map { row in
                let zeros = (0..<columns).reduce(0) { $0 + Int(codes.codes[row * columns + $1]) * Int(quantizer.zeroPoints[$1 / run]) }
                return Float(Double(bias[row]) - Double(codes.scales[row]) * Double(zeros))
            })
    }

    private mutating func pack(_ name: String, _ codes: WeightCodes) throws(QuantizationError) {
        do {
            packed[name] = try PackedMatrix(
                codes: codes.codes, outputs: codes.rows, inputs: codes.columns, bits: BitWidth(rawValue: codes.bits) ?? .eight)
        } catch {
            throw .unpackable(tensor: name, error)
        }
        floats[name + ".scales"] = Self.vector(codes.scales)
    }

    /// - Throws: `notFinite`, as `name`.
    private static func quantize(_ tensor: FloatTensor, bits: BitWidth, name: String) throws(QuantizationError) -> WeightCodes {
        let rows = tensor.shape[0]
        if let bad = tensor.withUnsafeBufferPointer({ $0.first { !$0.isFinite } }) { throw .notFinite(name: name, what: "\(bad)") }
        return tensor.withUnsafeBufferPointer {
            WeightCodes($0, rows: rows, columns: rows == 0 ? 0 : tensor.count / rows, bits: bits.rawValue)
        }
    }

    private static func vector(_ values: [Float]) -> FloatTensor {
        FloatTensor(shape: [values.count]) { _ = $0.update(fromContentsOf: values) }
    }
}

/// What can go wrong when a model is quantized or a quantized model is loaded.
package enum QuantizationError: Error, Equatable, CustomStringConvertible {
    /// Calibration saw nothing at a point, or OMSE was not searched at this width.
    case pointMissing(point: String, observer: String, bits: Int)
    /// A weight has a shape that kernels can't take.
    case unpackable(tensor: String, TensorsError)
    /// The folder's description of itself is missing or not one that this program can run.
    case description(file: String, reason: String)
    /// A tensor, or what passes a quantization point, holds NaN or infinity.
    case notFinite(name: String, what: String)
    /// A folder's weights are not those its manifest was written for.
    case otherWeights(folder: String)
    /// An exception from a plan names nothing that the model has.
    case overridePattern(String, nearest: [String])
    /// It sets something that what it names does not have.
    case overrideEffect(String, field: String, recipe: String)
    /// The file of exceptions can't be used.
    case overridesFile(file: String, reason: String)
    /// Percentile's quantiles are defined for whole tensors.
    case observerPerChannel(point: String)
    /// The folder to be written can't be made, or holds what must not be lost.
    case unwritable(folder: String, reason: String)

    /// Stable, for programs.
    package var code: String {
        switch self {
        case .pointMissing: "quantization.point_missing"
        case .unpackable: "quantization.unpackable"
        case .description: "quantization.description_invalid"
        case .notFinite: "quantization.not_finite"
        case .otherWeights: "quantization.other_weights"
        case .overridePattern: "quantization.override_unknown"
        case .overrideEffect: "quantization.override_idle"
        case .overridesFile: "quantization.overrides_invalid"
        case .observerPerChannel: "quantization.observer_per_channel"
        case .unwritable: "quantization.unwritable"
        }
    }

    package var description: String {
        switch self {
        case .pointMissing(let point, let observer, let bits):
            "calibration has no \(observer) range at \(bits) bits for \(point); calibrate with images and prompts, at this width"
        case .unpackable(let tensor, let error): "\(tensor): \(error)"
        case .description(let file, let reason): "\(file) \(reason); quantize the model again with this program"
        case .notFinite(let name, let what):
            "\(name) holds \(what); quantize a checkpoint that gives finite values, for instance an earlier one of its training"
        case .otherWeights(let folder):
            "\(folder): model.safetensors is not the file that manifest.json describes; it is damaged or another model's: copy the whole folder again, or quantize again"
        case .overridePattern(let pattern, let nearest):
            "no layer or point is named \(pattern); the nearest are \(nearest.joined(separator: ", "))"
        case .overrideEffect(let pattern, let field, let recipe):
            "\(pattern) is given \(field), but nothing of that name has any in the recipe \(recipe); name a layer or point that has, or leave it out"
        case .overridesFile(let file, let reason): "\(file): \(reason)"
        case .observerPerChannel(let point):
            "\(point) has a scale a channel, for which percentile is not defined; choose minmax, ema or omse"
        case .unwritable(let folder, let reason): "can't write \(folder): \(reason)"
        }
    }
}
