import CLIP
import Foundation
import Quantization
import Tensors
import Testing

/// What can't be calibrated, quantized or loaded, and how it is said.
struct RefusalTests {
    private static let bits = BitPlan(weights: .eight, activations: .eight, attention: .eight)

    private func error<Failure: Error>(_ type: Failure.Type, _ body: () throws -> Void) -> String {
        do {
            try body()
            return "nothing was thrown"
        } catch let error as Failure {
            return "\(error)"
        } catch {
            return "\(error) is no \(Failure.self)"
        }
    }

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    /// The checkpoint with one element of one tensor changed.
    private func checkpoint(_ name: String, _ index: Int, _ value: Float) -> Checkpoint {
        let made = ShapedCLIP.odd.checkpoint
        var tensors: [String: FloatTensor] = [:]
        for (tensor, shape) in made.configuration.tensorShapes {
            tensors[tensor] = made[tensor]
            guard tensor == name else { continue }
            tensors[tensor] = FloatTensor(shape: shape) { values in
                made[tensor].withUnsafeBufferPointer { _ = values.update(fromContentsOf: $0) }
                values[index] = value
            }
        }
        return Checkpoint(configuration: made.configuration, name: "damaged", tensors: tensors)
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity]) func `a weight that is not finite is named`(value: Float) throws {
        let name = "vision_model.encoder.layers.1.mlp.fc1.weight"
        let calibration = try ShapedCLIP.odd.calibrate(ShapedCLIP.odd.checkpoint)
        let said = error(QuantizationError.self) {
            _ = try QuantizedTensors(checkpoint(name, 3, value), calibration, observer: .omse, bits: Self.bits)
        }
        #expect(said.contains(name) && said.contains("\(value)"), "\(said)")
    }

    @Test(arguments: [
        ("vision_model.encoder.layers.1.layer_norm2.weight", Float.infinity, "vision.1.fc1.in"),
        ("vision_model.encoder.layers.0.mlp.fc1.bias", .nan, "vision.0.fc2.in"),
        ("text_model.encoder.layers.1.layer_norm1.bias", .nan, "text.1.qkv.in"),
    ]) func `values that are not finite end the calibration at their first point`(name: String, value: Float, point: String) {
        let said = error(QuantizationError.self) { _ = try ShapedCLIP.odd.calibrate(checkpoint(name, 2, value)) }
        #expect(said.contains(point) && said.contains("finite"), "\(said)")
    }

    @Test func `percentile has its two quantiles however many values a batch has`() throws {
        // As softmax's output of 100 pictures in ViT-L/14 at 336 pixels: 16 heads, 577 tokens.
        let total = 100 * 16 * 577 * 577
        let piece = (0..<1 << 20).map { Float($0) / Float(1 << 20) }
        var tracker = RangeTracker(kernels: FloatKernels())
        tracker.beginBatch(atMost: total)
        piece.withUnsafeBufferPointer { piece in
            for start in stride(from: 0, to: total, by: piece.count) {
                tracker.observe(UnsafeBufferPointer(rebasing: piece[..<min(piece.count, total - start)]))
            }
        }
        try tracker.endBatch()
        let range = try #require(tracker.range(.percentile))
        #expect(abs(range.low - 1e-5) < 2e-6 && abs(range.high - (1 - 1e-5)) < 2e-6, "\(range)")
    }

    @Test func `a tokenizer with more tokens than the model is another model's`() throws {
        try withFolder { folder in
            let vocabulary = ["<|startoftext|>": 48, "<|endoftext|>": 49, "a": 0, "a</w>": 3]
            try JSONEncoder().encode(vocabulary).write(to: folder.appendingPathComponent("vocab.json"))
            try Data("#version: 0.2\n".utf8).write(to: folder.appendingPathComponent("merges.txt"))
            var configuration = SmallQuantizedCLIP.configuration
            configuration.vocabularySize = 50
            _ = try Tokenizer.load(folder, for: configuration)
            configuration.vocabularySize = 49
            let said = error(CLIPError.self) { _ = try Tokenizer.load(folder, for: configuration) }
            #expect(said.contains("50 tokens") && said.contains("knows 49"), "\(said)")
        }
    }

    @Test(arguments: [
        (#"{"quant_method":"p4q","format":1,"bits":444,"recipe":"paper","observer":"omse"}"#, "bits"),
        (#"{"quant_method":"p4q","format":1,"bits":"4-4-4-4","recipe":"paper","observer":"omse"}"#, "bits is 4-4-4-4"),
        (#"{"quant_method":"p4q","format":1,"bits":"4-4-8","observer":"omse"}"#, "no recipe"),
        (
            #"{"quant_method":"p4q","format":1,"bits":"4-4-8","recipe":"paper","observer":"omse","overrides":[{"match":"*","weights":5}]}"#,
            "5 bits"
        ),
        (#"{"quant_method":"p4q","format":2}"#, "format 2"),
    ]) func `what a quantized model says of itself and this program can't read is named`(text: String, wanted: String) throws {
        try withFolder { folder in
            let file = folder.appendingPathComponent("config.json")
            try Data(#"{"quantization_config":\#(text)}"#.utf8).write(to: file)
            #expect(QuantizedFolder.isOne(folder))
            let said = error(QuantizationError.self) { _ = try QuantizationDescription.read(configuration: file)?.plan(file: file) }
            #expect(said.contains(file.path) && said.contains(wanted), "\(said)")
        }
    }

    @Test(arguments: [Float.nan, .infinity, 0, -1]) func `a scale that none can be is refused`(value: Float) throws {
        try withFolder { folder in
            let file = folder.appendingPathComponent("model.safetensors")
            try SmallQuantizedCLIP(Self.bits).tensors.write(logitScale: FloatTensor(shape: []) { $0[0] = 1 }, to: file)
            let tensor = try #require(try SafetensorsFile(file).tensors["visual_projection.weight.scales"])
            var bytes = try Data(contentsOf: file)
            withUnsafeBytes(of: value.bitPattern.littleEndian) {
                bytes.replaceSubrange(tensor.byteOffset + 8..<tensor.byteOffset + 12, with: $0)
            }
            try bytes.write(to: file)
            let said = error(CLIPError.self) {
                _ = try QuantizedTensors.read(
                    SafetensorsFile(file), SmallQuantizedCLIP.configuration, QuantizationPlan(bits: Self.bits, observer: .omse))
            }
            #expect(said.contains("visual_projection.weight.scales") && said.contains("\(value)"), "\(said)")
        }
    }

    @Test func `only a quantized model's folder, an empty one or none is written to`() throws {
        try withFolder { folder in
            let target = folder.appendingPathComponent("out")
            try QuantizedFolder.checkTarget(target)
            try QuantizedFolder.checkTarget(folder.appendingPathComponent("no/such/folder"))
            try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
            try QuantizedFolder.checkTarget(target)
            // As a published float model lies there.
            try Data("weights".utf8).write(to: target.appendingPathComponent("model.safetensors"))
            let configuration = target.appendingPathComponent("config.json")
            try Data(#"{"model_type":"clip"}"#.utf8).write(to: configuration)
            #expect(error(QuantizationError.self) { try QuantizedFolder.checkTarget(target) }.contains("would be lost"))
            try Data(#"{"quantization_config":{"quant_method":"p4q"}}"#.utf8).write(to: configuration)
            try QuantizedFolder.checkTarget(target)
            let below = configuration.appendingPathComponent("x/y")
            #expect(error(QuantizationError.self) { try QuantizedFolder.checkTarget(below) }.contains("not a folder"))
        }
    }
}
