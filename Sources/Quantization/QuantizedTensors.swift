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

    static let tokenEmbedding = "text_model.embeddings.token_embedding.weight"
    static let patchEmbedding = "vision_model.embeddings.patch_embedding.weight"

    /// Quantizes a checkpoint.
    ///
    /// - Throws: `pointMissing` where the calibration lacks a point of the towers asked for.
    package init(
        _ checkpoint: Checkpoint, _ calibration: Calibration, observer: Observer, bits: BitPlan, towers: [Tower] = Tower.allCases
    ) throws(QuantizationError) {
        for name in QuantizedLayout.names(checkpoint.configuration, towers) {
            let tensor = checkpoint[name.tensor]
            switch name.kind {
            case .float: floats[name.tensor] = tensor
            case .linear: try pack(name.tensor, tensor, bits: bits.weights)
            case .projection: try pack(name.tensor, tensor, bits: .eight)
            case .tokens:
                let codes = Self.quantize(tensor, bits: .eight)
                tokens = TokenTable(codes: codes.codes, width: tensor.shape[1])
                floats[name.tensor + ".scales"] = Self.vector(codes.scales)
            }
        }
        points = try Self.quantizers(checkpoint.configuration, calibration, observer: observer, bits: bits, towers: towers)
    }

    /// The quantizers of all points of the towers, by name.
    ///
    /// - Throws: `pointMissing` where the calibration lacks one.
    package static func quantizers(
        _ configuration: CLIPConfiguration, _ calibration: Calibration, observer: Observer, bits: BitPlan,
        towers: [Tower] = Tower.allCases
    ) throws(QuantizationError) -> [String: CodeScale] {
        var points: [String: CodeScale] = [:]
        for point in QuantizedLayout.points(configuration, towers) {
            let width = bits.width(attentionOperand: point.isAttentionOperand)
            guard let quantizer = calibration.quantizer(point.name, observer, bits: width.rawValue) else {
                throw .pointMissing(point: point.name, observer: observer.rawValue, bits: width.rawValue)
            }
            points[point.name] = CodeScale(scale: quantizer.scale, zeroPoint: Int(quantizer.zeroPoint), bits: width)
        }
        return points
    }

    /// The same weights with other quantizers of activations.
    package func replacing(points: [String: CodeScale]) -> QuantizedTensors {
        var tensors = self
        tensors.points = points
        return tensors
    }

    init() {}

    private mutating func pack(_ name: String, _ tensor: FloatTensor, bits: BitWidth) throws(QuantizationError) {
        let codes = Self.quantize(tensor, bits: bits)
        do {
            packed[name] = try PackedMatrix(codes: codes.codes, outputs: codes.rows, inputs: codes.columns, bits: bits)
        } catch {
            throw .unpackable(tensor: name, error)
        }
        floats[name + ".scales"] = Self.vector(codes.scales)
    }

    private static func quantize(_ tensor: FloatTensor, bits: BitWidth) -> WeightCodes {
        let rows = tensor.shape[0]
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
    /// The folder to be written can't be made, or holds what must not be lost.
    case unwritable(folder: String, reason: String)

    /// Stable, for programs.
    package var code: String {
        switch self {
        case .pointMissing: "quantization.point_missing"
        case .unpackable: "quantization.unpackable"
        case .description: "quantization.description_invalid"
        case .unwritable: "quantization.unwritable"
        }
    }

    package var description: String {
        switch self {
        case .pointMissing(let point, let observer, let bits):
            "calibration has no \(observer) range at \(bits) bits for \(point); calibrate with images and prompts, at this width"
        case .unpackable(let tensor, let error): "\(tensor): \(error)"
        case .description(let file, let reason): "\(file) \(reason); quantize the model again with this program"
        case .unwritable(let folder, let reason): "can't write \(folder): \(reason)"
        }
    }
}
