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

    /// KiB of the file that this process has in memory.
    private func resident(_ url: URL) throws -> Int {
        var (isOurs, sum) = (false, 0)
        // To its end: it comes a page at a time.
        let map = try #require(try FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd())
        for line in String(decoding: map, as: UTF8.self).split(separator: "\n") {
            if line.contains("-"), line.contains(" r") { isOurs = line.hasSuffix(url.lastPathComponent) }
            if isOurs, line.hasPrefix("Rss:") { sum += Int(line.split(separator: " ")[1]) ?? 0 }
        }
        return sum
    }

    /// One that knows a, b and a full stop.
    private func tokenizer(beside url: URL) throws -> Tokenizer {
        let folder = url.appendingPathExtension("tokenizer")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let vocabulary = ["<|startoftext|>": 48, "<|endoftext|>": 49, "a": 0, "b": 1, ".": 2, "a</w>": 3, "b</w>": 4, ".</w>": 5]
        try JSONEncoder().encode(vocabulary).write(to: folder.appendingPathComponent("vocab.json"))
        try Data("#version: 0.2\n".utf8).write(to: folder.appendingPathComponent("merges.txt"))
        return try Tokenizer.load(folder)
    }

    @Test func `between class sets nothing of the file stays in memory`() throws {
        try withFile(BitPlan(weights: .eight, activations: .eight, attention: .eight)) { _, url in
            let file = try SafetensorsFile(url)
            let plan = QuantizationPlan(bits: BitPlan(weights: .eight, activations: .eight, attention: .eight), observer: .omse)
            let (tensors, _) = try QuantizedTensors.read(file, SmallQuantizedCLIP.configuration, plan)
            let encoder = QuantizedTextEncoder(tensors, SmallQuantizedCLIP.configuration)
            _ = encoder.encode(prompts: SmallQuantizedCLIP.prompts, pool: .serial)
            #expect(try resident(url) > 0)
            let text = TextFeatures(tokenizer: try tokenizer(beside: url), encoder: encoder, identity: "", files: [file.file])
            _ = try text.compute(for: ClassSet(labels: ["a", "b"], templates: ["{}."]), pool: .serial)
            #expect(try resident(url) == 0)
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
