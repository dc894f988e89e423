package import Foundation
package import Imaging
package import Tensors

extension CLIPModel {
    /// Files that a tokenizer may be made of, beside a model's weights.
    package static let tokenizerFiles = ["tokenizer.json", "vocab.json", "merges.txt", "bpe_simple_vocab_16e6.txt.gz"]

    /// Loads a published CLIP from its folder or file, in float.
    ///
    /// - Parameters:
    ///   - tokenizer: the folder of the tokenizer's files, where they don't lie beside the weights.
    ///   - activation: overrides what the configuration says.
    package static func load(
        _ url: URL, tokenizer: URL? = nil, activation: Activation? = nil, kernels: FloatKernels = FloatKernels()
    ) throws -> CLIPModel {
        let checkpoint = try Checkpoint.load(url, activation: activation)
        let folder = folder(of: url)
        let configuration = checkpoint.configuration
        let files = tokenizerFiles.map { (tokenizer ?? folder).appendingPathComponent($0) }
        let text = TextFeatures(
            tokenizer: try Tokenizer.load(tokenizer ?? folder, for: configuration), encoder: FloatTextEncoder(checkpoint, kernels: kernels),
            identity: TextFeatures.identity(
                "\(checkpoint.sha256) \(configuration.text.activation.rawValue) \(configuration.text.layerNormEpsilon)", files: files),
            files: checkpoint.mapped, kernels: kernels)
        return try forImages(
            checkpoint, preprocessor: preprocessorConfiguration(in: folder, side: configuration.imageSide), text: text, kernels: kernels)
    }

    /// A model of which `text` may be missing.
    ///
    /// - Parameter preprocessor: CLIP's own where nil.
    package static func forImages(
        _ checkpoint: Checkpoint, preprocessor: PreprocessorConfiguration? = nil, text: TextFeatures? = nil,
        kernels: FloatKernels = FloatKernels()
    ) throws(ImagingError) -> CLIPModel {
        let preprocessor = preprocessor ?? PreprocessorConfiguration(side: checkpoint.configuration.imageSide)
        let normalization = try ImagePreprocessor(preprocessor).normalization
        return CLIPModel(
            name: checkpoint.name, sha256: checkpoint.sha256, preprocessor: preprocessor,
            imageEncoder: FloatImageEncoder(checkpoint, normalization: normalization, kernels: kernels), text: text,
            scale: scale(checkpoint))
    }

    /// What `preprocessor_config.json` in `folder` says; CLIP's own preprocessing where there is none.
    package static func preprocessorConfiguration(in folder: URL, side: Int) throws -> PreprocessorConfiguration {
        let file = folder.appendingPathComponent("preprocessor_config.json")
        guard FileManager.default.fileExists(atPath: file.path) else { return PreprocessorConfiguration(side: side) }
        let configuration = try PreprocessorConfiguration(json: Data(contentsOf: file), side: side)
        let found = try ImagePreprocessor(configuration).side
        guard found == side else {
            throw CLIPError.configuration(
                file: file.path, field: "crop_size", reason: "is \(found), but the model takes pictures of \(side)")
        }
        return configuration
    }

    /// The folder that a model's other files lie in: its own, or the one its weights lie in.
    package static func folder(of url: URL) -> URL {
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
        return exists && !isFolder.boolValue ? url.deletingLastPathComponent() : url
    }

    /// `exp(logit_scale)`
    package static func scale(_ checkpoint: Checkpoint) -> Float {
        var scale: [Float] = [0]
        checkpoint["logit_scale"].withUnsafeBufferPointer { value in
            guard let value = value.baseAddress else { return }
            FloatKernels(.scalar).exp(value, count: 1, output: &scale)
        }
        return scale[0]
    }
}
