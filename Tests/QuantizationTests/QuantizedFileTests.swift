import CLIP
import Foundation
import Quantization
import Tensors
import Testing

struct QuantizedFileTests {
    private func withFile<R>(_ bits: BitPlan, _ body: (SmallQuantizedCLIP, URL) throws -> R) throws -> R {
        let model = try SmallQuantizedCLIP(bits)
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-\(UUID().uuidString).safetensors")
        defer { try? FileManager.default.removeItem(at: url) }
        try model.tensors.write(logitScale: FloatTensor(shape: []) { $0[0] = 2.5 }, to: url)
        return try body(model, url)
    }

    @Test(arguments: ["8-8-8", "4-4-8", "3-3-8", "2-2-8", "4-8-4"]) func `a file gives the features of the model that wrote it`(
        bits: String
    ) throws {
        let plan = try #require(BitPlan(bits))
        try withFile(plan) { model, url in
            let configuration = SmallQuantizedCLIP.configuration
            let (tensors, scale) = try QuantizedTensors.read(
                SafetensorsFile(url), configuration, QuantizationPlan(bits: plan, observer: .omse))
            #expect(scale.withUnsafeBufferPointer { $0[0] } == 2.5)
            let encoder = QuantizedImageEncoder(tensors, configuration, normalization: SmallQuantizedCLIP.normalization)
            let images = encode(encoder, model.crops, count: model.count, threads: 2, batch: 4)
            #expect(images == model.images(.best, threads: 1, batch: 1))
            let texts = QuantizedTextEncoder(tensors, configuration).encode(prompts: SmallQuantizedCLIP.prompts, pool: .serial)
            #expect(texts.withUnsafeBufferPointer(Array.init) == model.texts(.best, threads: 1))
        }
    }

    @Test func `codes begin at a multiple of 64, for kernels that read them in place`() throws {
        try withFile(BitPlan(weights: .four, activations: .eight, attention: .eight)) { _, url in
            let packed = try SafetensorsFile(url).tensors.filter { $0.key.hasSuffix(".codes") && $0.value.type == .uint8 }
            #expect(packed.count == 33)
            for (name, tensor) in packed { #expect(tensor.byteOffset % 64 == 0, "\(name)") }
        }
    }

    @Test func `a file of other widths or sizes is refused`() throws {
        let plan = BitPlan(weights: .eight, activations: .eight, attention: .eight)
        try withFile(plan) { _, url in
            let file = try SafetensorsFile(url)
            var configuration = SmallQuantizedCLIP.configuration
            #expect(throws: CLIPError.self) {
                _ = try QuantizedTensors.read(
                    file, configuration,
                    QuantizationPlan(bits: BitPlan(weights: .four, activations: .eight, attention: .eight), observer: .omse))
            }
            #expect(throws: CLIPError.self) {
                _ = try QuantizedTensors.read(
                    file, configuration,
                    QuantizationPlan(bits: BitPlan(weights: .eight, activations: .two, attention: .eight), observer: .omse))
            }
            configuration.text.depth = 1
            #expect(throws: CLIPError.self) {
                _ = try QuantizedTensors.read(file, configuration, QuantizationPlan(bits: plan, observer: .omse))
            }
            configuration.text.depth = 3
            #expect(throws: CLIPError.self) {
                _ = try QuantizedTensors.read(file, configuration, QuantizationPlan(bits: plan, observer: .omse))
            }
        }
    }
}
