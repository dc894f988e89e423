package import CLIP
internal import Crypto
package import Foundation
internal import Imaging
package import Tensors

/// A quantized model on disk: `model.safetensors`, `config.json` with its `quantization_config`, `manifest.json`, and the tokenizer's and
/// preprocessor's files of the model that it was made from.
package enum QuantizedFolder {
    /// Where a quantized model comes from, for its manifest.
    package struct Provenance: Sendable {
        package let source: String
        package let sourceSHA256: String
        package let images: Int
        /// Of the calibration's crops, hex.
        package let imagesSHA256: String
        package let prompts: Int
        /// Of their tokens and of the learned vectors before them, hex.
        package let promptsSHA256: String
        /// Images of a calibration batch.
        package let batch: Int
        /// Of the draw of images; nil where they were taken as they came.
        package let seed: UInt64?

        package init(
            source: String, sourceSHA256: String, images: Int, imagesSHA256: String, prompts: Int, promptsSHA256: String, batch: Int,
            seed: UInt64?
        ) {
            self.source = source
            self.sourceSHA256 = sourceSHA256
            self.images = images
            self.imagesSHA256 = imagesSHA256
            self.prompts = prompts
            self.promptsSHA256 = promptsSHA256
            self.batch = batch
            self.seed = seed
        }
    }

    /// Whether `url` is a folder of this kind, though perhaps one that this program can't load.
    package static func isOne(_ url: URL) -> Bool {
        QuantizationDescription.isThere(configuration: url.appendingPathComponent(configurationFile))
    }

    /// What `write` replaces.
    private static var replaced: FolderReplacement.Replaced {
        .init(names: Set(copied + [weightsFile, configurationFile, QuantizedManifest.fileName]), isOne: isOne)
    }

    /// Whether `write` could write this folder.
    ///
    /// - Throws: `unwritable`, as `write` would after all the work.
    package static func checkTarget(_ folder: URL) throws(QuantizationError) { try FolderReplacement.check(folder, replaced) }

    /// Files of the source that are copied.
    private static let copied = CLIPModel.tokenizerFiles + ["preprocessor_config.json"]
    private static let weightsFile = "model.safetensors"
    private static let configurationFile = "config.json"

    /// Writes the folder, in one step: over an older quantized model too, readers and crashes find the one or the other.
    ///
    /// - Parameters:
    ///   - source: the folder whose preprocessor's file is copied.
    ///   - tokenizer: the folder whose tokenizer's files are copied.
    ///   - figures: of the quantizers, by point.
    /// - Throws: `unwritable`, also for a folder that holds anything but an older quantized model.
    package static func write(
        _ tensors: QuantizedTensors, checkpoint: Checkpoint, plan: QuantizationPlan, source: URL, tokenizer: URL, provenance: Provenance,
        figures: [String: PointFigures], to folder: URL
    ) throws {
        try FolderReplacement.write(folder, replacing: replaced) { folder in
            for name in copied {
                let file = (CLIPModel.tokenizerFiles.contains(name) ? tokenizer : source).appendingPathComponent(name)
                guard FileManager.default.fileExists(atPath: file.path) else { continue }
                try Data(contentsOf: file).write(to: folder.appendingPathComponent(name))
            }
            let weights = folder.appendingPathComponent(weightsFile)
            try tensors.write(logitScale: checkpoint["logit_scale"], to: weights)
            let description = QuantizationDescription(plan)
            let manifest = QuantizedManifest(
                tensors, description, provenance, weightsSHA256: sha256(try MappedFile(weights)), points: figures,
                weights: tensors.weightFigures(checkpoint))
            try manifest.encoded().write(to: folder.appendingPathComponent(QuantizedManifest.fileName))
            try description.configurationFile(checkpoint.configuration).write(to: folder.appendingPathComponent(configurationFile))
        }
    }

    /// Loads such a folder; weights are read in place from the mapped file.
    package static func load(_ folder: URL, tokenizer: URL? = nil, instructionSet: InstructionSet = .best, clock: StageClock? = nil) throws
        -> CLIPModel
    {
        let file = folder.appendingPathComponent(configurationFile)
        guard let plan = try QuantizationDescription.read(configuration: file)?.plan(file: file) else {
            throw QuantizationError.description(file: file.path, reason: "has no quantization_config of this program")
        }
        let configuration = try CLIPConfiguration(contentsOf: file)
        try plan.validate(for: configuration)
        let weights = try SafetensorsFile(folder.appendingPathComponent(weightsFile))
        let (tensors, logitScale) = try QuantizedTensors.read(weights, configuration, plan)
        let preprocessor = try CLIPModel.preprocessorConfiguration(in: folder, side: configuration.imageSide)
        let digest = sha256(weights.file)
        weights.file.releasePages()
        if let manifest = QuantizedManifest(folder: folder) { try manifest.check(weightsSHA256: digest, folder: folder) }
        let text = TextFeatures(
            tokenizer: try Tokenizer.load(tokenizer ?? folder, for: configuration),
            encoder: textEncoder(tensors, configuration, instructionSet),
            identity: TextFeatures.identity(
                "quantized \(digest) \(configuration.text.activation.rawValue) \(configuration.text.layerNormEpsilon)",
                files: CLIPModel.tokenizerFiles.map { (tokenizer ?? folder).appendingPathComponent($0) }),
            files: [weights.file], kernels: FloatKernels(instructionSet))
        var scale: [Float] = [0]
        logitScale.withUnsafeBufferPointer { FloatKernels(.scalar).exp([$0[0]], count: 1, output: &scale) }
        return CLIPModel(
            name: folder.standardizedFileURL.lastPathComponent, sha256: digest, preprocessor: preprocessor,
            imageEncoder: QuantizedImageEncoder(
                tensors, configuration, normalization: try ImagePreprocessor(preprocessor).normalization, instructionSet: instructionSet,
                clock: clock),
            text: text, scale: scale[0])
    }

    private static func textEncoder(
        _ tensors: QuantizedTensors, _ configuration: CLIPConfiguration, _ instructionSet: InstructionSet
    ) -> any TextEncoder {
        switch tensors.recipe {
        case .paper: QuantizedTextEncoder(tensors, configuration, instructionSet: instructionSet)
        case .reference: ReferenceTextEncoder(tensors, configuration, instructionSet: instructionSet)
        }
    }

    private static func sha256(_ file: MappedFile) -> String {
        file.withUnsafeBytes { bytes in
            var hash = SHA256()
            hash.update(bufferPointer: bytes)
            return hash.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        }
    }
}
