internal import CLIP
package import Foundation
internal import Quantization
internal import Tensors

extension TuningFile {
    private static let format = "p4q-tuning-1"
    /// Writes one safetensors file:
    ///
    ///     context             float32 [vectors, width of the text tower]
    ///     adapter.fc1.codes   int8 [D / 4, D]     adapter.fc2.codes   int8 [D, D / 4]
    ///     adapter.fc1.scales  float32 [D / 4]     adapter.fc2.scales  float32 [D]
    ///     adapter.fc1.bias    float32 [D / 4]     adapter.fc2.bias    float32 [D]
    ///     adapter.points      float32 [2, 2]: scale and zero point of FC1's and of FC2's input
    ///
    /// and, in its metadata, `format`, and `origin`, `settings`, `metrics` as JSON.
    package func write(to url: URL) throws(TuningError) {
        do throws(CLIPError) {
            try SafetensorsWriter.write(entries, metadata: metadata, to: url)
        } catch {
            throw .file(error)
        }
    }

    /// The file's tensors.
    var entries: [SafetensorsWriter.Entry] {
        var entries: [SafetensorsWriter.Entry] = []
        if let context { entries.append(.init("context", context)) }
        if let adapter {
            let points = [adapter.ranges.input, adapter.ranges.inner].flatMap { [$0.scale, Float($0.zeroPoint)] }
            entries.append(.init("adapter.points", Self.tensor(points, [2, 2])))
            for (name, weight, bias) in [
                ("fc1", adapter.weights.first, adapter.biases.first), ("fc2", adapter.weights.second, adapter.biases.second),
            ] {
                entries.append(.init("adapter.\(name).scales", Self.tensor(weight.scales, [weight.rows])))
                entries.append(.init("adapter.\(name).bias", Self.tensor(bias, [weight.rows])))
                let bytes = weight.codes.map { UInt8(bitPattern: $0) }
                entries.append(.init("adapter.\(name).codes", type: .int8, shape: [weight.rows, weight.columns], bytes: bytes))
            }
        }
        return entries
    }

    /// The file's metadata.
    var metadata: [String: String] {
        ["format": Self.format, "origin": Self.json(origin), "settings": Self.json(settings), "metrics": Self.json(metrics)]
    }

    /// Reads such a file: every tensor must be there with its shape, and none else.
    package static func load(_ url: URL) throws(TuningError) -> TuningFile {
        let file: SafetensorsFile
        do throws(CLIPError) {
            file = try SafetensorsFile(url)
        } catch {
            throw .file(error)
        }
        var reader = TuningReader(file)
        let tuning = try read(file, &reader)
        try reader.finish()
        return tuning
    }

    /// Takes a tuning's tensors and metadata out of a file that may hold more.
    static func read(_ file: SafetensorsFile, _ reader: inout TuningReader) throws(TuningError) -> TuningFile {
        guard file.metadata["format"] == format else { throw reader.invalid("it is not of the format \(format)") }
        guard let origin: Origin = value(file, "origin"), let settings: TuningSettings = value(file, "settings"),
            let metrics: Metrics = value(file, "metrics")
        else { throw reader.invalid("what it was learned for and with is missing or damaged") }
        guard settings.contextLength >= 1, settings.adaptRatio >= 0, settings.adaptRatio <= 1 else {
            throw reader.invalid("its settings are out of range")
        }
        let context = settings.parts.hasPrompt ? try reader.floats("context", [settings.contextLength, nil]) : nil
        let adapter = settings.parts.hasAdapter ? try reader.adapter(ratio: settings.adaptRatio) : nil
        return TuningFile(origin: origin, settings: settings, metrics: metrics, context: context, adapter: adapter)
    }

    static func scale(_ scale: Float, _ zeroPoint: Float) -> CodeScale? {
        guard scale.isFinite, scale >= .ulpOfOne, (0...255).contains(zeroPoint), zeroPoint == zeroPoint.rounded(.down) else { return nil }
        return CodeScale(scale: scale, zeroPoint: Int(zeroPoint), bits: .eight)
    }

    static func tensor(_ values: [Float], _ shape: [Int]) -> FloatTensor {
        FloatTensor(shape: shape) { _ = $0.update(fromContentsOf: values) }
    }

    static func json<Value: Encodable>(_ value: Value) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        // Strings and numbers with a strategy for those that are none can't fail.
        return String(decoding: (try? encoder.encode(value)) ?? Data(), as: UTF8.self)
    }

    static func value<Value: Decodable>(_ file: SafetensorsFile, _ name: String) -> Value? {
        file.metadata[name].flatMap { try? JSONDecoder().decode(Value.self, from: Data($0.utf8)) }
    }
}
