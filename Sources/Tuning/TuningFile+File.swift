internal import CLIP
package import Foundation
internal import Quantization
internal import Tensors

extension TuningFile {
    private static let format = "p4q-tuning-1"
    /// Larger values of these than any CLIP has are damage.
    private static let largestExtent = 1 << 16

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
        do throws(CLIPError) {
            try SafetensorsWriter.write(
                entries,
                metadata: [
                    "format": Self.format, "origin": Self.json(origin), "settings": Self.json(settings), "metrics": Self.json(metrics),
                ], to: url)
        } catch {
            throw .file(error)
        }
    }

    /// Reads such a file: every tensor must be there with its shape, and none else.
    package static func load(_ url: URL) throws(TuningError) -> TuningFile {
        let file: SafetensorsFile
        do throws(CLIPError) {
            file = try SafetensorsFile(url)
        } catch {
            throw .file(error)
        }
        func invalid(_ reason: String) -> TuningError { .invalid(file: url.path, reason: reason) }
        guard file.metadata["format"] == format else { throw invalid("it is not of the format \(format)") }
        guard let origin: Origin = value(file, "origin"), let settings: TuningSettings = value(file, "settings"),
            let metrics: Metrics = value(file, "metrics")
        else { throw invalid("what it was learned for and with is missing or damaged") }
        var rest = Set(file.tensors.keys)
        func floats(_ name: String, _ shape: [Int?]) throws(TuningError) -> FloatTensor {
            rest.remove(name)
            guard let tensor = file.tensors[name], tensor.type == .float32 else { throw invalid("float32 tensor \(name) is missing") }
            guard tensor.shape.count == shape.count, zip(tensor.shape, shape).allSatisfy({ $0 == $1 ?? $0 }),
                tensor.shape.allSatisfy({ (1...largestExtent).contains($0) })
            else { throw invalid("\(name) has shape \(tensor.shape)") }
            let values = FloatTensor(shape: tensor.shape, file: tensor.file, byteOffset: tensor.byteOffset)
            guard values.withUnsafeBufferPointer({ $0.allSatisfy(\.isFinite) }) else { throw invalid("\(name) has numbers that are none") }
            return values
        }
        guard settings.contextLength >= 0, settings.adaptRatio >= 0, settings.adaptRatio <= 1 else {
            throw invalid("its settings are out of range")
        }
        let context = settings.parts.hasPrompt && settings.contextLength > 0 ? try floats("context", [settings.contextLength, nil]) : nil
        var adapter: QuantizedAdapter?
        if settings.parts.hasAdapter {
            let points = try floats("adapter.points", [2, 2]).withUnsafeBufferPointer(Array.init)
            guard let input = scale(points[0], points[1]), let inner = scale(points[2], points[3]), inner.zeroPoint == 0 else {
                throw invalid("the adapter's activation scales are out of range")
            }
            func layer(_ name: String) throws(TuningError) -> (WeightCodes, [Float]) {
                rest.remove("adapter.\(name).codes")
                let scales = try floats("adapter.\(name).scales", [nil])
                let bias = try floats("adapter.\(name).bias", [scales.count])
                guard let codes = file.tensors["adapter.\(name).codes"], codes.type == .int8, codes.shape.count == 2,
                    codes.shape[0] == scales.count, (1...largestExtent).contains(codes.shape[1])
                else { throw invalid("adapter.\(name).codes are missing or of another shape") }
                let values = codes.withUnsafeBytes { $0.map { Int8(bitPattern: $0) } }
                return (
                    WeightCodes(
                        codes: values, scales: scales.withUnsafeBufferPointer(Array.init), rows: codes.shape[0], columns: codes.shape[1],
                        bits: 8), bias.withUnsafeBufferPointer(Array.init)
                )
            }
            let (first, second) = (try layer("fc1"), try layer("fc2"))
            guard first.0.rows == second.0.columns, first.0.columns == second.0.rows else {
                throw invalid("the adapter's layers don't fit each other")
            }
            do throws(TensorsError) {
                adapter = try QuantizedAdapter(
                    first: first.0, bias1: first.1, second: second.0, bias2: second.1, ratio: settings.adaptRatio,
                    ranges: AdapterRanges(input: input, inner: inner))
            } catch {
                throw .unpackable(error)
            }
        }
        if let stray = rest.min() { throw invalid("it has a tensor \(stray.prefix(100)) that no tuning has") }
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
