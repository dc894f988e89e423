import CLIP
import Foundation
import Tensors

/// Small good pictures, 24 x 20, made for these tests.
enum Pictures {
    static let jpeg = bytes("small.jpg")
    static let png = bytes("small.png")
    static let progressive = bytes("small-progressive.jpg")
    static let all = [jpeg, png, progressive]

    private static func bytes(_ name: String) -> [UInt8] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return (try? Array(Data(contentsOf: tests.appendingPathComponent("Fixtures/\(name)")))) ?? []
    }
}

/// A folder that goes when the test ends.
final class TemporaryFolder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-end-to-end-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: url.appendingPathComponent(name))
        return path(name)
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }
}

/// A CLIP of made-up weights in Hugging Face's layout, with a tokenizer that knows single bytes only.
enum RandomCLIP {
    static let small = CLIPConfiguration(
        vision: TowerConfiguration(width: 64, depth: 2, heads: 1, mlpWidth: 128, activation: .quickGELU), imageSide: 32, patchSize: 8,
        text: TowerConfiguration(width: 64, depth: 2, heads: 1, mlpWidth: 128, activation: .quickGELU), vocabularySize: 514,
        contextLength: 77, projectionWidth: 32)

    /// Writes the model's files into `folder`; `isHalf` stores float16.
    static func write(_ configuration: CLIPConfiguration, to folder: URL, isHalf: Bool = false, seed: UInt64 = 7) throws {
        let checkpoint = Checkpoint.random(configuration, name: "random", seed: seed)
        let entries = configuration.tensorShapes.keys.sorted().map { name -> SafetensorsWriter.Entry in
            let tensor = checkpoint[name]
            guard isHalf else { return .init(name, tensor) }
            let halves = tensor.withUnsafeBufferPointer { $0.map { Float16($0).bitPattern } }
            return .init(name, type: .float16, shape: tensor.shape, bytes: halves.withUnsafeBytes(Array.init))
        }
        try SafetensorsWriter.write(entries, to: folder.appendingPathComponent("model.safetensors"))
        try Data(json(configuration).utf8).write(to: folder.appendingPathComponent("config.json"))
        try writeTokenizer(to: folder, vocabularySize: configuration.vocabularySize)
    }

    private static func json(_ configuration: CLIPConfiguration) -> String {
        func tower(_ tower: TowerConfiguration) -> String {
            """
            "hidden_size": \(tower.width), "num_hidden_layers": \(tower.depth), "num_attention_heads": \(tower.heads), \
            "intermediate_size": \(tower.mlpWidth), "hidden_act": "\(tower.activation.rawValue)"
            """
        }
        return """
            {"model_type": "clip", "projection_dim": \(configuration.projectionWidth),
             "vision_config": {\(tower(configuration.vision)), "image_size": \(configuration.imageSide), "patch_size": \(configuration.patchSize)},
             "text_config": {\(tower(configuration.text)), "vocab_size": \(configuration.vocabularySize), "max_position_embeddings": \(configuration.contextLength)}}
            """
    }

    /// CLIP's 256 byte symbols, alone and at a word's end, no merges, and the two markers as the last ids of the vocabulary.
    private static func writeTokenizer(to folder: URL, vocabularySize: Int) throws {
        let printable = Array(33...126) + Array(161...172) + Array(174...255)
        let others = (0...255).filter { !printable.contains($0) }
        let symbols = (printable + (0..<others.count).map { 256 + $0 }).compactMap(UnicodeScalar.init).map { String(Character($0)) }
        var tokens = symbols + symbols.map { $0 + "</w>" }
        tokens += (tokens.count..<vocabularySize - 2).map { "unused\($0)" } + ["<|startoftext|>", "<|endoftext|>"]
        let vocabulary = Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, $0) })
        try JSONEncoder().encode(vocabulary).write(to: folder.appendingPathComponent("vocab.json"))
        try Data("#version: 0.2\n".utf8).write(to: folder.appendingPathComponent("merges.txt"))
    }
}
