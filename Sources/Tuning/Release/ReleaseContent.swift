package import CLIP
package import Foundation
package import Tensors

/// What a release brings to a worker: a prompt and an adapter, the class set that they serve, its text features, and how scores are calibrated.
///
/// One safetensors file: a tuning's tensors and metadata, and beside them
///
///     text_features       float32 [classes, width], each of unit norm
///
/// and, in its metadata, `release` (the layout's name), `class_set` (its canonical form), `class_set_sha256`, `temperature` and, where there is
/// one, `unknown_threshold`. The class set need not be the one that the tuning was learned on: a learned prompt serves any.
package struct ReleaseContent: Sendable {
    package let tuning: TuningFile
    package let classSet: ClassSet
    /// [classes, width], each of unit norm: the class set's, by the quantized text tower with the learned prompt.
    package let textFeatures: FloatTensor
    /// Logits are divided by it; 1 changes nothing.
    package let temperature: Float
    /// In place of the class set's own threshold; classes with a threshold of their own keep it.
    package let unknownThreshold: Float?

    private static let layout = "p4q-release-1"
    /// A longer one is damage: 10,000 classes of 1024 floats, and room for an adapter, a prompt and long names.
    package static let maximumBytes = 64 << 20

    /// Throws: `invalid` where the parts don't fit each other.
    package init(
        tuning: TuningFile, classSet: ClassSet, textFeatures: FloatTensor, temperature: Float = 1, unknownThreshold: Float? = nil,
        name: String = "the release"
    ) throws(TuningError) {
        func invalid(_ reason: String) -> TuningError { .invalid(file: name, reason: reason) }
        let shape = textFeatures.shape
        guard shape.count == 2, shape[0] == classSet.classes.count, shape[1] == tuning.adapter?.width ?? shape[1] else {
            throw invalid("its text features are \(shape), for \(classSet.classes.count) classes")
        }
        guard Self.areUnit(textFeatures) else { throw invalid("its text features are not of unit norm") }
        guard temperature.isFinite, temperature > 0 else { throw invalid("its temperature is \(temperature)") }
        if let unknownThreshold, !(0...1).contains(unknownThreshold) { throw invalid("its threshold for unknown is \(unknownThreshold)") }
        self.tuning = tuning
        self.classSet = classSet
        self.textFeatures = textFeatures
        self.temperature = temperature
        self.unknownThreshold = unknownThreshold
    }

    /// Whether it was learned on the classes that it serves.
    package var isLearnedOnItsClassSet: Bool { tuning.origin.classSetSHA256 == classSet.sha256 }

    /// The file. The same content gives the same bytes.
    package func encoded() throws -> [UInt8] {
        var metadata = tuning.metadata
        metadata["release"] = Self.layout
        metadata["class_set"] = classSet.canonicalText
        metadata["class_set_sha256"] = classSet.sha256
        metadata["temperature"] = "\(temperature)"
        metadata["unknown_threshold"] = unknownThreshold.map { "\($0)" }
        let bytes = SafetensorsWriter.bytes(tuning.entries + [.init("text_features", textFeatures)], metadata: metadata)
        guard bytes.count <= Self.maximumBytes else {
            throw TuningError.invalid(file: "the release", reason: "it has \(bytes.count) bytes, the limit is \(Self.maximumBytes)")
        }
        return bytes
    }

    /// Reads such a file. Throws: `file` or `invalid` for anything that is not wholly sound.
    ///
    /// - Parameter name: what errors call it.
    package init(bytes: [UInt8], name: String = "the release") throws(TuningError) {
        guard bytes.count <= Self.maximumBytes else {
            throw .invalid(file: name, reason: "it has \(bytes.count) bytes, the limit is \(Self.maximumBytes)")
        }
        let file: SafetensorsFile
        do throws(CLIPError) {
            file = try SafetensorsFile(copying: bytes, name: name)
        } catch {
            throw .file(error)
        }
        try self.init(file, name: name)
    }

    /// Reads such a file, mapped: it may be unlinked, but not changed, as long as the release lives.
    package init(contentsOf url: URL, name: String = "the release") throws(TuningError) {
        let file: SafetensorsFile
        do throws(CLIPError) {
            file = try SafetensorsFile(url)
        } catch {
            throw .file(error)
        }
        try self.init(file, name: name)
    }

    private init(_ file: SafetensorsFile, name: String) throws(TuningError) {
        var reader = TuningReader(file)
        guard file.metadata["release"] == Self.layout else { throw reader.invalid("it is not of the layout \(Self.layout)") }
        let tuning = try TuningFile.read(file, &reader)
        let features = try reader.floats("text_features", [nil, nil])
        try reader.finish()
        guard let text = file.metadata["class_set"], let temperature = file.metadata["temperature"].flatMap(Float.init) else {
            throw reader.invalid("its class set or its temperature is missing")
        }
        let threshold = try Self.threshold(file, reader)
        let classSet: ClassSet
        do throws(CLIPError) {
            classSet = try ClassSet(canonicalText: text, origin: name)
        } catch {
            throw .file(error)
        }
        guard classSet.sha256 == file.metadata["class_set_sha256"] else { throw reader.invalid("its class set is not the one of its hash") }
        try self.init(
            tuning: tuning, classSet: classSet, textFeatures: features, temperature: temperature, unknownThreshold: threshold, name: name)
    }

    private static func threshold(_ file: SafetensorsFile, _ reader: TuningReader) throws(TuningError) -> Float? {
        guard let text = file.metadata["unknown_threshold"] else { return nil }
        guard let value = Float(text) else { throw reader.invalid("its threshold for unknown is no number") }
        return value
    }

    /// Norms as float32 rounds them; NaN and infinities fail as well.
    private static func areUnit(_ features: FloatTensor) -> Bool {
        let width = features.shape[1]
        return features.withUnsafeBufferPointer { values in
            stride(from: 0, to: values.count, by: max(width, 1)).allSatisfy { start in
                let square = values[start..<start + width].reduce(0) { $0 + Double($1) * Double($1) }
                return abs(square - 1) < 1e-3
            }
        }
    }
}
