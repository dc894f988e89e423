package import CLIP
package import Foundation
package import Tensors

extension QuantizedTensors {
    private static let logitScale = "logit_scale"
    private static let alignment = "alignment"
    /// The last name there is, because the length of these codes need be no multiple of 64 and that of all others is.
    private static let tokenCodes = "vocabulary.codes"

    /// Writes `model.safetensors`:
    ///
    ///     NAME             float32: norms, biases, embeddings, logit_scale
    ///     NAME.scales      float32 [outputs]
    ///     NAME.codes       uint8, packed as kernels read it
    ///     vocabulary.codes int8 [vocabulary, width]: the token embedding
    ///     point.POINT      float32 [2]: scale and zero point; [2, channels] where there is a scale a channel
    ///     alignment        float32: zeros, so that the codes behind the floats begin at a multiple of 64
    package func write(logitScale: FloatTensor, to url: URL) throws(CLIPError) {
        var floats = floats
        floats[Self.logitScale] = logitScale
        for (name, meaning) in points {
            floats["point." + name] = FloatTensor(shape: [2]) {
                $0[0] = meaning.scale
                $0[1] = Float(meaning.zeroPoint)
            }
        }
        for (name, quantizer) in channelPoints {
            floats["point." + name] = FloatTensor(shape: [2, quantizer.scales.count]) {
                _ = $0.update(fromContentsOf: quantizer.scales + quantizer.zeroPoints)
            }
        }
        let count = floats.values.reduce(0) { $0 + $1.count }
        let padding = (16 - count % 16) % 16
        floats[Self.alignment] = FloatTensor(shape: [padding]) { $0.update(repeating: 0) }
        var entries = floats.map { SafetensorsWriter.Entry($0.key, $0.value) }
        for (name, matrix) in packed {
            let bytes = matrix.withUnsafeBytes { Array($0) }
            entries.append(.init(name + ".codes", type: .uint8, shape: [bytes.count], bytes: bytes))
        }
        if let tokens {
            let bytes = tokens.withUnsafeBytes { Array($0) }
            entries.append(
                .init(Self.tokenCodes, type: .int8, shape: [bytes.count / tokens.width, tokens.width], bytes: bytes))
        }
        try SafetensorsWriter.write(entries, metadata: ["format": "p4q"], to: url)
    }

    /// Reads such a file in place: every tensor must be there with its shape, and none else.
    ///
    /// - Returns: the tensors and `logit_scale`.
    package static func read(
        _ file: SafetensorsFile, _ configuration: CLIPConfiguration, _ plan: QuantizationPlan
    ) throws(CLIPError) -> (tensors: QuantizedTensors, logitScale: FloatTensor) {
        var source = TensorSourceFile(file)
        var tensors = QuantizedTensors(recipe: plan.recipe)
        for name in QuantizedLayout.names(configuration, Tower.allCases, plan.recipe) {
            let shape = configuration.tensorShapes[name.tensor] ?? []
            switch name.kind {
            case .float, .foldedBias: tensors.floats[name.tensor] = try source.float(name.tensor, shape)
            case .linear(let layer, _): try tensors.readPacked(&source, name.tensor, shape, plan.weights(layer))
            case .projection: try tensors.readPacked(&source, name.tensor, shape, .eight)
            case .tokens:
                tensors.tokens = TokenTable(try source.take(tokenCodes, .int8, shape))
                tensors.floats[name.tensor + ".scales"] = try source.scales(name.tensor, shape[0])
            }
        }
        if plan.recipe == .reference { tensors.floats[patchBias] = try source.float(patchBias, [configuration.vision.width]) }
        for point in QuantizedLayout.points(configuration, Tower.allCases, plan.recipe) {
            let (name, width) = ("point." + point.name, plan.width(point))
            if point.channels == 1 {
                let (scales, zeros) = try source.quantizers(name, [2], width)
                tensors.points[point.name] = CodeScale(scale: scales[0], zeroPoint: Int(zeros[0]), bits: width)
            } else {
                let (scales, zeros) = try source.quantizers(name, [2, point.channels], width)
                tensors.channelPoints[point.name] = ChannelQuantizer(scales: scales, zeroPoints: zeros, bits: width.rawValue)
            }
        }
        let scale = try source.float(logitScale, [])
        if let bad = scale.withUnsafeBufferPointer({ $0.first { !$0.isFinite } }) {
            throw .tensorBounds(file: file.file.url.path, tensor: logitScale, reason: "is \(bad)")
        }
        try source.finish(allowing: alignment)
        return (tensors, scale)
    }

    private mutating func readPacked(
        _ source: inout TensorSourceFile, _ name: String, _ shape: [Int], _ bits: BitWidth
    ) throws(CLIPError) {
        packed[name] = try source.packed(name + ".codes", outputs: shape[0], inputs: shape.dropFirst().reduce(1, *), bits)
        floats[name + ".scales"] = try source.scales(name, shape[0])
    }
}

/// A file's tensors, taken one after the other; what is left over at the end is unknown.
private struct TensorSourceFile {
    private let path: String
    private var rest: [String: StoredTensor]

    init(_ file: SafetensorsFile) {
        path = file.file.url.path
        rest = file.tensors
    }

    mutating func take(_ name: String, _ type: ElementType, _ shape: [Int]) throws(CLIPError) -> StoredTensor {
        guard let tensor = rest.removeValue(forKey: name) else { throw .missingTensor(file: path, tensor: name, shape: shape) }
        guard tensor.type == type else { throw .wrongType(file: path, tensor: name, type: tensor.type.rawValue) }
        guard tensor.shape == shape else { throw .wrongShape(file: path, tensor: name, expected: shape, found: tensor.shape) }
        return tensor
    }

    mutating func float(_ name: String, _ shape: [Int]) throws(CLIPError) -> FloatTensor {
        let tensor = try take(name, .float32, shape)
        return FloatTensor(shape: shape, file: tensor.file, byteOffset: tensor.byteOffset)
    }

    mutating func packed(_ name: String, outputs: Int, inputs: Int, _ bits: BitWidth) throws(CLIPError) -> PackedMatrix {
        do {
            let length = try PackedMatrix.byteCount(outputs: outputs, inputs: inputs, bits: bits)
            let tensor = try take(name, .uint8, [length])
            return try PackedMatrix(
                file: tensor.file, byteOffset: tensor.byteOffset, length: length, outputs: outputs, inputs: inputs, bits: bits)
        } catch let error as CLIPError {
            throw error
        } catch {
            throw .tensorBounds(file: path, tensor: name, reason: "\(error)")
        }
    }

    /// Of a weight's rows.
    mutating func scales(_ weight: String, _ rows: Int) throws(CLIPError) -> FloatTensor {
        let scales = try float(weight + ".scales", [rows])
        if let bad = scales.withUnsafeBufferPointer({ $0.first { !($0.isFinite && $0 > 0) } }) {
            throw .tensorBounds(file: path, tensor: weight + ".scales", reason: "holds \(bad), which is no scale")
        }
        return scales
    }

    /// Scales and zero points, half of the tensor each.
    mutating func quantizers(
        _ name: String, _ shape: [Int], _ bits: BitWidth
    ) throws(CLIPError) -> (scales: [Float], zeroPoints: [Float]) {
        let values = try float(name, shape).withUnsafeBufferPointer(Array.init)
        let top = Float(bits.unsignedRange.upperBound)
        let (scales, zeros) = (Array(values[..<(values.count / 2)]), Array(values[(values.count / 2)...]))
        for (scale, zero) in zip(scales, zeros)
        where !(scale.isFinite && scale >= .ulpOfOne && zero >= 0 && zero <= top && zero == zero.rounded(.down)) {
            throw .tensorBounds(
                file: path, tensor: name, reason: "holds scale \(scale) and zero point \(zero), which \(bits.rawValue) bits can't have")
        }
        return (scales, zeros)
    }

    func finish(allowing name: String) throws(CLIPError) {
        if let stray = rest.keys.filter({ $0 != name }).min() {
            throw .unknownTensor(file: path, tensor: stray, shape: rest[stray]?.shape ?? [])
        }
    }
}
