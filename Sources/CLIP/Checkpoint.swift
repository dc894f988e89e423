package import Foundation
package import Tensors

/// A CLIP's weights under Hugging Face's names, validated: every tensor the configuration needs is there with the right shape, and none that is unknown.
///
/// The weight files stay mapped. Elements are converted to float32 when a tensor is first asked for, and kept.
package struct Checkpoint: Sendable {
    package let configuration: CLIPConfiguration

    /// Of the folder that was loaded, or of the file.
    package let name: String

    /// The weight files, in name order.
    package let files: [URL]

    private let weights: CheckpointWeights

    /// Weights that lie in no file, under Hugging Face's names.
    ///
    /// - Precondition: every tensor of `configuration.tensorShapes` that will be asked for is there.
    package init(configuration: CLIPConfiguration, name: String, tensors: [String: FloatTensor]) {
        self.init(configuration: configuration, name: name, files: [], weights: CheckpointWeights(tensors: tensors))
    }

    private init(configuration: CLIPConfiguration, name: String, files: [URL], weights: CheckpointWeights) {
        self.configuration = configuration
        self.name = name
        self.files = files
        self.weights = weights
    }

    /// SHA-256 of the weight file's bytes, in hexadecimal; of several shards, of their concatenation in name order. Read and hashed when first asked for.
    package var sha256: String { weights.sha256 }

    /// The weight files' mappings, which some tensors lie in.
    var mapped: [MappedFile] { weights.files }

    /// The elements under one of Hugging Face's names, as float32.
    ///
    /// - Precondition: `configuration.tensorShapes` has that name.
    package subscript(name: String) -> FloatTensor { weights.tensor(name) }

    /// Loads what a checkpoint was published as: a Hugging Face folder (`config.json` beside safetensors or `pytorch_model.bin`, sharded or not),
    /// OpenAI's or open_clip's file (`.pt`, `.bin`, `.safetensors`), or a folder that holds such a file.
    ///
    /// Without a configuration the sizes come from the tensors' shapes, heads are 64 wide and the activation is quick GELU, as OpenAI's are.
    ///
    /// - Parameter activation: overrides what the configuration says or what is assumed without one.
    package static func load(_ url: URL, activation: Activation? = nil) throws(CLIPError) -> Checkpoint {
        let source = try CheckpointFiles(url)
        let stored = try source.readTensors()
        let naming = try CheckpointNaming(stored, file: source.label)
        let configuration = try CLIPConfiguration(files: source, naming: naming, activation: activation)
        let sources = try naming.validated(for: configuration)
        return Checkpoint(
            configuration: configuration, name: url.standardizedFileURL.lastPathComponent, files: source.weights,
            weights: CheckpointWeights(sources: sources, files: stored.files))
    }
}
