import CLIP
import Datasets
import Foundation
import Imaging
import Quantization
import Tensors
import TestSupport

/// One of the models that the reference simulation quantized, with the data it was calibrated on.
struct SimulatedModel {
    struct Points: Decodable {
        struct Row: Decodable {
            let observer: String
            let widths: String
            let point: String
            let scale: Float
            let zero_point: Int32
        }
        let calibration: [[String]]
        let probe: [String]
        let prompts: [String]
        let points: [Row]
    }

    let name: String
    let points: Points
    let checkpoint: Checkpoint
    let prompts: [[Int32]]
    let image: FloatImageEncoder
    let text: FloatTextEncoder
    let features: ReferenceTensors
    let sensitivity: [String: [String: Float]]
    let normalization: [Float]
    private let crops: [String: [UInt8]]

    init(_ name: String) throws {
        let folder = try SharedFolder.file("oracles/quantized/\(name)")
        let model = try SharedFolder.file(name == "tiny" ? "oracles/models/quickgelu-safetensors" : "models/cifar10-clip")
        let images = try SharedFolder.file("data/photos")
        self.name = name
        points = try JSONDecoder().decode(Points.self, from: Data(contentsOf: folder.appendingPathComponent("points.json")))
        features = try ReferenceTensors(folder.appendingPathComponent("features.safetensors"))
        sensitivity = try JSONDecoder().decode(
            [String: [String: Float]].self, from: Data(contentsOf: folder.appendingPathComponent("sensitivity.json")))
        checkpoint = try Checkpoint.load(model)
        let tokenizer = try Tokenizer.load(model)
        prompts = points.prompts.map { tokenizer.encode($0) }
        let preprocessor = try ImagePreprocessor(
            CLIPModel.preprocessorConfiguration(in: model, side: checkpoint.configuration.imageSide))
        normalization = preprocessor.normalization
        image = FloatImageEncoder(checkpoint, normalization: preprocessor.normalization)
        text = FloatTextEncoder(checkpoint)
        crops = try Self.crops(images, Set(points.calibration.joined() + points.probe), preprocessor)
    }

    private static func crops(_ source: URL, _ wanted: Set<String>, _ preprocessor: ImagePreprocessor) throws -> [String: [UInt8]] {
        let images = ImageSource([source.path])
        let workspace = ImageWorkspace()
        var crops: [String: [UInt8]] = [:]
        while crops.count < wanted.count, let item = try images.next() {
            let name = item.id.hasPrefix(source.path + "/") ? String(item.id.dropFirst(source.path.count + 1)) : item.id
            guard wanted.contains(name) else { continue }
            var crop = [UInt8](repeating: 0, count: preprocessor.sampleCount)
            try item.load().withUnsafeBytes { bytes in
                try crop.withUnsafeMutableBufferPointer {
                    try preprocessor.crop(bytes, decoder: ImageDecoder(), into: $0, workspace: workspace)
                }
            }
            crops[name] = crop
        }
        return crops
    }

    func crops(_ names: [String]) -> [UInt8] { names.flatMap { crops[$0] ?? [] } }

    func calibrate() throws -> Calibration {
        let calibrator = Calibrator(
            image: image, text: text, activationBits: [8, 4, 3, 2], attentionBits: [8], pool: ThreadPool(threads: 2))
        for batch in points.calibration { try calibrator.observe(crops: crops(batch)) }
        try calibrator.observe(prompts: prompts)
        return calibrator.finish()
    }
}
