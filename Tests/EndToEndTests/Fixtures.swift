import CLIP
import Foundation
import Tensors

/// Small good pictures, 24 x 20, made for these tests.
enum Pictures {
    static let jpeg = decoded(
        """
        /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//\
        2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAUABgDASIAAhEBAxEB/8QA\
        HwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkK\
        FhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXG\
        x8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAEC\
        AxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOE\
        hYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwC/pV+lvapG\
        WwdtZWt/6Zkr0zWBfXrwThV7Vt6G4uVBbritPaqhHmJjQdd67IyLa1aGXJBFFdRf2QVSUHNFc7wrxH7wcs6dB+zXQ5TUYI3kywySKv6K7RMNp68f5/OiisKz\
        1sds9KOh1JJlgJf0FFFFexhP4Z8+op6tH//Z
        """)
    static let png = decoded(
        """
        iVBORw0KGgoAAAANSUhEUgAAABgAAAAUCAIAAAAY12rUAAABFElEQVR4nIWTUY7EIAxDvaMexEfr0d9R5iMEEmC0VIIUHNsN6d/7vrZtxSPZkixkSTAmUIRj\
        B0kIOeePjkHmi+Mgh8sc8p8bbL4ztilpnSt5lESBpxGyC7DTZTkkPRMSG9Dk6D49kU4FK8r5LDmIQmd1pjbVmDOi1agQLbT3fHaEpCUarp4LDusYPi5jHsTy\
        VJl9PW5qbZaDQP++/tum44t8EYsajcuhp/oSbW+Ob3ZzxG7gf3bvjno+XOwguxmzTAG0zpbYW7DZWZ4X5whcHVH+qU6HZWXDou4lllWj4puhffNyGB4t2WoU\
        Xui8TaDcvDvpJ9Grnb0s7z3OJTYSXBzNiIWP2nrnqmMQ2Wn8BuRXPkv8C9Xcgl5uO1s+AAAAAElFTkSuQmCC
        """)
    static let progressive = decoded(
        """
        /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//\
        2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wgARCAAUABgDASIAAhEBAxEB/8QA\
        FwABAQEBAAAAAAAAAAAAAAAAAAMFBP/EABcBAQEBAQAAAAAAAAAAAAAAAAIDAQT/2gAMAwEAAhADEAAAAa2w5o9jpF58Cd9IZyf/xAAaEAACAgMAAAAAAAAA\
        AAAAAAABAgADERIh/9oACAEBAAEFAq31DWAi0bR2xFs7X2OIAM1Gf//EABkRAAIDAQAAAAAAAAAAAAAAAAABAhMhMv/aAAgBAwEBPwHWUojyTen/xAAZEQEA\
        AgMAAAAAAAAAAAAAAAAAAQIDETH/2gAIAQIBAT8BjXU5llX/xAAUEAEAAAAAAAAAAAAAAAAAAAAw/9oACAEBAAY/Ah//xAAYEAEBAQEBAAAAAAAAAAAAAAAB\
        ABExIf/aAAgBAQABPyEg26i1T8zsIYkjeJML/9oADAMBAAIAAwAAABBo3z//xAAYEQEBAQEBAAAAAAAAAAAAAAABABEhQf/aAAgBAwEBPxB1yAOxOpvd/8QA\
        FxEBAQEBAAAAAAAAAAAAAAAAAQARIf/aAAgBAgEBPxAAibybsOX/xAAcEAADAQEAAwEAAAAAAAAAAAAAAREhMUFxsdH/2gAIAQEAAT8QVTLiJjWQayLuwyAj\
        JtfRYbUvfReO2GKTyJym/h//2Q==
        """)
    static let all = [jpeg, png, progressive]

    private static func decoded(_ text: String) -> [UInt8] { Array(Data(base64Encoded: text) ?? Data()) }
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
