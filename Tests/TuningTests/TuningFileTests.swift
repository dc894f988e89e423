import CLIP
import Foundation
import Imaging
import Quantization
import Tensors
import Testing
import Tuning

struct TuningFileTests {
    private let tiny = TinyTower()

    private func model(_ bits: String, sha256: String = String(repeating: "a", count: 64)) throws -> CLIPModel {
        let encoder: any TextEncoder = bits == "32" ? tiny.float : try tiny.quantized(bits)
        let folder = try TemporaryFolder()
        let tokenizer = try SmallTokenizer.make(in: folder.url)
        return CLIPModel(
            name: "tiny", sha256: sha256, preprocessor: PreprocessorConfiguration(side: 14),
            imageEncoder: FloatImageEncoder(tiny.checkpoint, normalization: (0..<768).map { Float($0 % 256) / 128 - 1 }),
            text: TextFeatures(tokenizer: tokenizer, encoder: encoder, identity: "tiny \(bits)"), scale: 10)
    }

    private func tuning(_ model: CLIPModel, parts: TuningSettings.Parts = .both) throws -> TuningFile {
        var settings = TuningSettings()
        settings.parts = parts
        settings.contextLength = 3
        let width = tiny.configuration.text.width
        return TuningFile(
            origin: .init(
                model: model, teacher: "t", classSet: try ClassSet(labels: ["a", "b"]), images: 4, imagesSHA256: "i"), settings: settings,
            metrics: .init(epochs: 2, classificationLoss: 0.5, distillationLoss: 0.25, heldOutAccuracy: nil),
            context: parts.hasPrompt ? FloatTensor(shape: [3, width]) { _ = $0.update(fromContentsOf: numbers($0.count, seed: 1)) } : nil,
            adapter: parts.hasAdapter
                ? try QuantizedAdapter(
                    AdapterTests.adapter(tiny.configuration.projectionWidth), ratio: 0.2, ranges: AdapterTests.ranges) : nil)
    }

    private func features(_ model: CLIPModel) -> [Float] {
        let crops = (0..<5 * 14 * 14 * 3).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }
        var features = [Float](repeating: 0, count: 5 * model.imageEncoder.featureWidth)
        crops.withUnsafeBufferPointer { crops in
            features.withUnsafeMutableBufferPointer { model.imageEncoder.encode(crops: crops, count: 5, features: $0, pool: .serial) }
        }
        return features
    }

    @Test(arguments: TuningSettings.Parts.allCases) func `a file gives back what was written, and works`(
        parts: TuningSettings.Parts
    ) throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appendingPathComponent("t.safetensors")
        let model = try model("4-4-8")
        let written = try tuning(model, parts: parts)
        try written.write(to: url)
        let read = try TuningFile.load(url)
        #expect(read.origin == written.origin && read.settings == written.settings && read.metrics == written.metrics)
        let (expected, found) = (try written.applied(to: model, name: "t"), try read.applied(to: model, name: "t"))
        let set = try ClassSet(labels: ["a", "b"])
        func texts(_ model: CLIPModel) throws -> [Float] {
            try #require(model.text).compute(for: set, pool: .serial).withUnsafeBufferPointer(Array.init)
        }
        #expect(features(found) == features(expected))
        #expect(try texts(found) == texts(expected))
        #expect((features(found) != features(model)) == parts.hasAdapter)
        #expect((try texts(found) != texts(model)) == parts.hasPrompt)
        #expect((found.text?.identity != model.text?.identity) == parts.hasPrompt)
    }

    @Test func `another model, and other bit widths, are refused`() throws {
        let tuning = try tuning(model("4-4-8"))
        let other = try model("4-4-8", sha256: String(repeating: "b", count: 64))
        #expect {
            try tuning.applied(to: other, name: "t")
        } throws: {
            ($0 as? TuningError)?.code == "tuning.wrong_model"
        }
        for bits in ["8-8-8", "32"] {
            let other = try model(bits)
            #expect {
                try tuning.applied(to: other, name: "t")
            } throws: { error in
                (error as? TuningError) == .wrongBits(tuning: "t", expected: "4-4-8", found: bits)
            }
        }
    }

    @Test func `a damaged file is an error, wherever it is cut or flipped`() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appendingPathComponent("t.safetensors")
        try tuning(model("4-4-8")).write(to: url)
        let bytes = [UInt8](try Data(contentsOf: url))
        let damaged = folder.url.appendingPathComponent("damaged.safetensors")
        for length in stride(from: 0, to: bytes.count, by: 37) {
            try Data(bytes[..<length]).write(to: damaged)
            #expect(throws: TuningError.self) { try TuningFile.load(damaged) }
        }
        let header = 8 + Int(bytes[0]) + Int(bytes[1]) << 8
        for place in stride(from: 8, to: header, by: 3) {
            var broken = bytes
            broken[place] ^= 4
            try Data(broken).write(to: damaged)
            // What is still sound JSON may be read; nothing traps.
            _ = try? TuningFile.load(damaged)
        }
    }
}

/// A byte-level tokenizer without merges: every byte is a token.
enum SmallTokenizer {
    static func make(in folder: URL) throws -> Tokenizer {
        var vocabulary: [String: Int] = [:]
        for (index, letter) in "abcdefghijklmnopqrstuvw.".enumerated() {
            vocabulary[String(letter)] = index
            vocabulary["\(letter)</w>"] = index + 24
        }
        vocabulary["<|startoftext|>"] = 48
        vocabulary["<|endoftext|>"] = 49
        let data = try JSONSerialization.data(withJSONObject: vocabulary)
        try data.write(to: folder.appendingPathComponent("vocab.json"))
        try Data("#version: 0.2\n".utf8).write(to: folder.appendingPathComponent("merges.txt"))
        return try Tokenizer.load(folder)
    }
}
