internal import Crypto
package import Foundation
package import Tensors

/// Text features of class sets, kept in a folder by the content hash of model and class set: 1,000 classes cost the text tower minutes.
///
/// A file that is damaged, of another shape or not finite counts as absent; failing to write one costs nothing but the next start's time.
package struct TextFeatureCache: Sendable {
    private static let tensorName = "text_features"
    private let folder: URL

    package init(folder: URL) { self.folder = folder }

    /// The features of `classSet` as `text` computes them, [classes, width], or nil if they are not there.
    package func features(for classSet: ClassSet, text: TextFeatures, truncating: Bool) -> FloatTensor? {
        let file = url(classSet, text, truncating)
        guard FileManager.default.fileExists(atPath: file.path), let stored = try? SafetensorsFile(file),
            let features = stored.tensors[Self.tensorName]?.floats(),
            features.shape == [classSet.classes.count, text.encoder.featureWidth],
            features.withUnsafeBufferPointer({ $0.allSatisfy(\.isFinite) })
        else { return nil }
        return features
    }

    /// Keeps `features`.
    package func store(_ features: FloatTensor, for classSet: ClassSet, text: TextFeatures, truncating: Bool) {
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try? SafetensorsWriter.write([.init(Self.tensorName, features)], to: url(classSet, text, truncating))
    }

    private func url(_ classSet: ClassSet, _ text: TextFeatures, _ truncating: Bool) -> URL {
        let key = "\(text.identity) \(classSet.sha256) \(truncating)"
        return folder.appendingPathComponent("\(SHA256.hash(data: Data(key.utf8)).hexadecimal).safetensors")
    }
}
