import ArgumentParser
import CLIP
import Crypto
import Foundation
import Imaging
import Quantization
import Tensors

/// `p4q preprocess`: what the image tower is given.
struct Preprocess: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decode and preprocess images; print the hashes of what comes out, one JSON object a line.")

    @Argument(help: "Images.", completion: .file())
    var images: [String]

    @Option(name: .long, help: "A model's folder, whose preprocessor_config.json is followed.", completion: .directory)
    var model: String?

    @Option(name: .long, help: "Where to write the normalised tensors [3, side, side], each under its image's path.", completion: .file())
    var out: String?

    @OptionGroup var imageOptions: ImageOptions

    private struct Line {
        let id: String
        var format: String?
        var width: Int?
        var height: Int?
        var rgb_sha256: String?
        var resized_width: Int?
        var resized_height: Int?
        /// Of the whole resized picture, where that has fewer than 4 million pixels.
        var resized_sha256: String?
        var cropped_sha256: String?
        var error: Problem?

        struct Problem: Encodable {
            let code: String
            let message: String
        }

        /// What is known, in this order.
        var fields: [(name: String, value: any Encodable)] {
            let all: [(String, (any Encodable)?)] = [
                ("id", id), ("format", format), ("width", width), ("height", height), ("rgb_sha256", rgb_sha256),
                ("resized_width", resized_width), ("resized_height", resized_height), ("resized_sha256", resized_sha256),
                ("cropped_sha256", cropped_sha256), ("error", error),
            ]
            return all.compactMap { name, value in value.map { (name: name, value: $0) } }
        }
    }

    func run() async throws {
        let url = try ModelLocation.url(model)
        let side = try imageSide(url)
        let preprocessor = try ImagePreprocessor(CLIPModel.preprocessorConfiguration(in: CLIPModel.folder(of: url), side: side))
        let workspace = ImageWorkspace()
        var tensors: [SafetensorsWriter.Entry] = []
        var failed = false
        for path in images {
            var crop = [UInt8](repeating: 0, count: preprocessor.sampleCount)
            let line = line(path, preprocessor, workspace, &crop)
            failed = failed || line.error != nil
            if out != nil && line.error == nil { tensors.append(.init(path, normalized(crop, preprocessor))) }
            try StandardOutput.line(jsonObject(line.fields))
        }
        if let out { try SafetensorsWriter.write(tensors, to: URL(fileURLWithPath: out)) }
        try StandardOutput.flush()
        if failed { throw CommandFailure.someItemsFailed }
    }

    /// The side of the pictures that the model takes.
    private func imageSide(_ url: URL) throws -> Int {
        if QuantizedFolder.isOne(url) { return try QuantizedFolder.load(url).imageEncoder.imageSide }
        return try Checkpoint.load(url).configuration.imageSide
    }

    private func line(_ path: String, _ preprocessor: ImagePreprocessor, _ workspace: ImageWorkspace, _ crop: inout [UInt8]) -> Line {
        var line = Line(id: path)
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            try data.withUnsafeBytes { bytes in
                try crop.withUnsafeMutableBufferPointer {
                    try preprocessor.crop(bytes, decoder: imageOptions.decoder, into: $0, workspace: workspace)
                }
            }
        } catch let error as ImagingError {
            line.error = Line.Problem(code: error.code, message: error.message)
            return line
        } catch {
            line.error = Line.Problem(code: "file.unreadable", message: "\(path): \(error.localizedDescription)")
            return line
        }
        let image = workspace.image
        (line.format, line.width, line.height) = (image.format.rawValue, image.width, image.height)
        line.rgb_sha256 = image.withPixels { Self.sha256(UnsafeRawBufferPointer($0)) }
        (line.resized_width, line.resized_height) = preprocessor.resizedSize(width: image.width, height: image.height)
        if let resized = try? preprocessor.resize(image, limit: 3_999_999, workspace: ImageWorkspace()) {
            line.resized_sha256 = resized.withPixels { Self.sha256(UnsafeRawBufferPointer($0)) }
        }
        line.cropped_sha256 = crop.withUnsafeBytes(Self.sha256)
        return line
    }

    private func normalized(_ crop: [UInt8], _ preprocessor: ImagePreprocessor) -> FloatTensor {
        FloatTensor(shape: [3, preprocessor.side, preprocessor.side]) { output in
            crop.withUnsafeBufferPointer { preprocessor.normalize($0, into: output) }
        }
    }

    private static func sha256(_ bytes: UnsafeRawBufferPointer) -> String {
        var hash = SHA256()
        hash.update(bufferPointer: bytes)
        return hash.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
