internal import CLIP
internal import Foundation
internal import Quantization
internal import Tensors

/// A tuning file's tensors, taken one after the other; what is left over at the end is unknown.
struct TuningReader {
    /// Larger extents than any CLIP has are damage.
    private static let largestExtent = 1 << 16

    private let file: SafetensorsFile
    private var rest: Set<String>

    init(_ file: SafetensorsFile) {
        self.file = file
        rest = Set(file.tensors.keys)
    }

    func invalid(_ reason: String) -> TuningError { .invalid(file: file.file.url.path, reason: reason) }

    /// A float32 tensor; extents that are nil may be any.
    mutating func floats(_ name: String, _ shape: [Int?]) throws(TuningError) -> FloatTensor {
        let tensor = try take(name, .float32, shape)
        let values = FloatTensor(shape: tensor.shape, file: tensor.file, byteOffset: tensor.byteOffset)
        guard values.withUnsafeBufferPointer({ $0.allSatisfy(\.isFinite) }) else { throw invalid("\(name) has numbers that are none") }
        return values
    }

    mutating func adapter(ratio: Float) throws(TuningError) -> QuantizedAdapter {
        let points = try floats("adapter.points", [2, 2]).withUnsafeBufferPointer(Array.init)
        guard let input = TuningFile.scale(points[0], points[1]), let inner = TuningFile.scale(points[2], points[3]), inner.zeroPoint == 0
        else { throw invalid("the adapter's activation scales are out of range") }
        let (first, bias1) = try layer("fc1")
        let (second, bias2) = try layer("fc2")
        guard first.rows == second.columns, first.columns == second.rows else { throw invalid("the adapter's layers don't fit each other") }
        do throws(TensorsError) {
            return try QuantizedAdapter(
                first: first, bias1: bias1, second: second, bias2: bias2, ratio: ratio, ranges: AdapterRanges(input: input, inner: inner))
        } catch {
            throw .unpackable(error)
        }
    }

    func finish() throws(TuningError) {
        if let stray = rest.min() { throw invalid("it has a tensor \(stray.prefix(100)) that no tuning has") }
    }

    private mutating func layer(_ name: String) throws(TuningError) -> (WeightCodes, bias: [Float]) {
        let scales = try floats("adapter.\(name).scales", [nil]).withUnsafeBufferPointer(Array.init)
        let bias = try floats("adapter.\(name).bias", [scales.count]).withUnsafeBufferPointer(Array.init)
        let codes = try take("adapter.\(name).codes", .int8, [scales.count, nil])
        let values = codes.withUnsafeBytes { $0.map { Int8(bitPattern: $0) } }
        return (WeightCodes(codes: values, scales: scales, rows: scales.count, columns: codes.shape[1], bits: 8), bias)
    }

    private mutating func take(_ name: String, _ type: ElementType, _ shape: [Int?]) throws(TuningError) -> StoredTensor {
        rest.remove(name)
        guard let tensor = file.tensors[name], tensor.type == type else { throw invalid("\(type.rawValue) tensor \(name) is missing") }
        guard tensor.shape.count == shape.count, zip(tensor.shape, shape).allSatisfy({ $0 == $1 ?? $0 }),
            tensor.shape.allSatisfy({ (1...Self.largestExtent).contains($0) })
        else { throw invalid("\(name) has shape \(tensor.shape)") }
        return tensor
    }
}
