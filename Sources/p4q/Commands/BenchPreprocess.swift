import ArgumentParser
import Datasets
import Foundation
import Imaging

/// `p4q bench preprocess`: JPEG and PNG bytes to what the tower takes, on one core.
struct BenchPreprocess: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preprocess", abstract: "Images a second decoded, cropped and normalised on one core.")

    @Option(name: .long, help: "A folder or archive of images; may be repeated.", completion: .directory)
    var images: [String]

    @Option(name: .long, help: "The side of the crop.")
    var side = 224

    @Option(name: .long, help: "How long to measure.")
    var seconds = 5.0

    @Flag(name: .long, help: "Print a JSON object.")
    var json = false

    func validate() throws {
        try checkCount("--side", side, most: 4096)
        try checkSeconds("--seconds", seconds)
    }

    func run() async throws {
        let files = try loadImages(images)
        let preprocessor = try ImagePreprocessor(PreprocessorConfiguration(side: side))
        let decoder = ImageDecoder()
        let workspace = ImageWorkspace()
        var crop = [UInt8](repeating: 0, count: preprocessor.sampleCount)
        var output = [Float](repeating: 0, count: preprocessor.sampleCount)
        var (decode, whole) = (Stopwatch(), Stopwatch())
        var failures = 0
        func pass(_ steps: (UnsafeRawBufferPointer) throws -> Void) {
            for file in files {
                do { try file.withUnsafeBytes(steps) } catch { failures += 1 }
            }
        }
        for _ in 0..<3 {
            decode.repeating(for: seconds / 6, least: 1) { pass { try decoder.decode($0, into: workspace.image) } }
            whole.repeating(for: seconds / 6, least: 1) {
                pass { bytes in
                    try crop.withUnsafeMutableBufferPointer {
                        try preprocessor.crop(bytes, decoder: decoder, into: $0, workspace: workspace)
                    }
                    crop.withUnsafeBufferPointer { crop in
                        output.withUnsafeMutableBufferPointer { preprocessor.normalize(crop, into: $0) }
                    }
                }
            }
        }
        if failures > 0 { throw ValidationError("some of the images can't be decoded; measure with good ones") }
        let count = Double(files.count)
        try printReport(
            [
                ("images", files.count), ("processor", processorName()), ("images_per_second", rounded(count / whole.median)),
                ("decode_images_per_second", rounded(count / decode.median)),
                ("milliseconds_per_image", rounded(whole.median / count * 1e3, 3)),
            ], json: json)
    }
}

/// All images of folders and archives, in memory.
func loadImages(_ inputs: [String]) throws -> [Data] {
    let source = ImageSource(inputs)
    var files: [Data] = []
    while let item = try source.next() { files.append(Data(try item.load())) }
    if files.isEmpty { throw ValidationError("there are no images in \(inputs.joined(separator: ", "))") }
    return files
}
