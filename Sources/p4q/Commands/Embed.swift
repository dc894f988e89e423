import ArgumentParser
import CLIP
import Foundation
import Imaging
import Tensors

/// `p4q embed`: features, for people who build on them.
struct Embed: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print unit-norm features of images and texts, one JSON object a line, images first, in the order given.")

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var imageOptions: ImageOptions

    @Option(name: .long, help: "An image; may be repeated.", completion: .file())
    var image: [String] = []

    @Option(name: .long, help: "A text; may be repeated.")
    var text: [String] = []

    @Flag(name: .long, help: "Cut texts that are too long for the model instead of refusing them.")
    var truncatePrompts = false

    @Flag(name: .long, help: "JSON lines; the only form there is.")
    var json = false

    func validate() throws {
        if image.isEmpty && text.isEmpty { throw ValidationError("give an --image or a --text") }
    }

    func run() async throws {
        let model = try modelOptions.load()
        let pool = modelOptions.threading.makePool()
        let failed = try embedImages(model, pool)
        try embedTexts(model, pool)
        try StandardOutput.flush()
        if failed { throw CommandFailure.someItemsFailed }
    }

    /// True if some image could not be used.
    private func embedImages(_ model: CLIPModel, _ pool: ThreadPool) throws -> Bool {
        let preprocessor = try ImagePreprocessor(model.preprocessor)
        let workspace = ImageWorkspace()
        var failed = false
        for start in stride(from: 0, to: image.count, by: 32) {
            var ids: [String] = []
            var crops: [UInt8] = []
            for path in image[start..<min(start + 32, image.count)] {
                var crop = [UInt8](repeating: 0, count: preprocessor.sampleCount)
                do {
                    let data = try Data(contentsOf: URL(fileURLWithPath: path))
                    try data.withUnsafeBytes { bytes in
                        try crop.withUnsafeMutableBufferPointer {
                            try preprocessor.crop(bytes, decoder: imageOptions.decoder, into: $0, workspace: workspace)
                        }
                    }
                } catch {
                    failed = true
                    Notices(isQuiet: false).warn((error as? ImagingError)?.message(for: path) ?? "\(path): \(error.localizedDescription)")
                    continue
                }
                ids.append(path)
                crops += crop
            }
            try emit(ids, kind: "image", features: features(crops, count: ids.count, model, pool), width: model.imageEncoder.featureWidth)
        }
        return failed
    }

    private func features(_ crops: [UInt8], count: Int, _ model: CLIPModel, _ pool: ThreadPool) -> [Float] {
        var features = [Float](repeating: 0, count: count * model.imageEncoder.featureWidth)
        crops.withUnsafeBufferPointer { crops in
            features.withUnsafeMutableBufferPointer { model.imageEncoder.encode(crops: crops, count: count, features: $0, pool: pool) }
        }
        return features
    }

    private func embedTexts(_ model: CLIPModel, _ pool: ThreadPool) throws {
        guard !self.text.isEmpty, let text = model.text else { return }
        var prompts: [[Int32]] = []
        for prompt in self.text {
            prompts.append(try text.tokenizer.encode(prompt, contextLength: text.encoder.contextLength, truncating: truncatePrompts))
        }
        let features = text.encoder.encode(prompts: prompts, pool: pool)
        try emit(self.text, kind: "text", features: features.withUnsafeBufferPointer(Array.init), width: text.encoder.featureWidth)
    }

    private func emit(_ ids: [String], kind: String, features: [Float], width: Int) throws {
        let kernels = FloatKernels()
        for (index, id) in ids.enumerated() {
            var unit = Array(features[index * width..<(index + 1) * width])
            let raw = unit
            kernels.normalize(raw, count: width, output: &unit)
            try StandardOutput.line(jsonObject([("id", id), ("kind", kind), ("embedding", unit)]))
        }
    }
}
