import CLIP
import Foundation
import TestSupport
import Testing

/// The published vocabulary against what transformers made of it.
@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)")) struct TokenizerOracleTests {
    private struct Case: Decodable {
        let text: String
        let ids: [Int32]
    }

    private static func cases(_ data: Data) throws -> [Case] {
        try data.split(separator: 0x0A).map { try JSONDecoder().decode(Case.self, from: $0) }
    }

    @Test(arguments: ["vocab.json", "bpe_simple_vocab_16e6.txt.gz"])
    func `ids equal the reference's in every case`(file: String) throws {
        let folder = try SharedFolder.file("oracles/tokenizer")
        let cases = try Self.cases(Data(contentsOf: folder.appendingPathComponent("cases.jsonl")))
        #expect(cases.count >= 1_500)
        var source = folder
        let other = try TemporaryFolder()
        if file.hasPrefix("bpe") {
            try FileManager.default.copyItem(at: folder.appendingPathComponent(file), to: other.url.appendingPathComponent(file))
            source = other.url
        }
        let tokenizer = try Tokenizer.load(source)
        for item in cases { #expect(tokenizer.encode(item.text) == item.ids, "\(item.text.debugDescription)") }
        #expect(tokenizer.endToken == Int32(tokenizer.vocabularySize - 1))
    }

    @Test(arguments: [
        "gelu-float16", "openai-jit", "openai-pt", "published-legacy", "quickgelu-bin", "quickgelu-safetensors", "quickgelu-sharded",
    ])
    func `the small models' prompts have the reference's ids`(model: String) throws {
        struct Expected: Decodable {
            let prompts: [String]
            let token_ids: [[Int32]]
        }
        let folder = try SharedFolder.file("oracles/models/\(model)")
        let expected = try JSONDecoder().decode(Expected.self, from: Data(contentsOf: folder.appendingPathComponent("expected.json")))
        let tokenizer = try Tokenizer.load(folder)
        #expect(expected.prompts.map(tokenizer.encode) == expected.token_ids)
        #expect(try tokenizer.vocabularySize == Checkpoint.load(folder).configuration.vocabularySize)
    }

    private static let python = ProcessInfo.processInfo.environment["P4Q_PYTHON"]
    private static let hasTransformers: Bool = {
        guard let python else { return false }
        return (try? run(python, ["-c", "import transformers, tokenizers"])) != nil
    }()

    /// Standard output of a Python program; throws where it fails.
    private static func run(_ python: String, _ arguments: [String]) throws -> Data {
        struct Failed: Error {}
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failed() }
        return data
    }

    @Test(
        .enabled(if: hasTransformers, "P4Q_PYTHON names no Python that has transformers"),
        arguments: [UInt64(1), UInt64.random(in: 0...999_999)])
    func `ids equal those of transformers on new texts`(seed: UInt64) throws {
        let folder = try SharedFolder.file("oracles/tokenizer")
        let python = try #require(Self.python)
        var texts = AwkwardTexts(seed: seed)
        let inputs = (0..<4_000).map { _ in texts.next() }
        let temporary = try TemporaryFolder()
        let file = try temporary.write("texts.json", String(decoding: JSONEncoder().encode(inputs), as: UTF8.self))
        let program = """
            import json, sys
            from transformers import CLIPTokenizer
            tokenizer = CLIPTokenizer(sys.argv[1] + "/vocab.json", sys.argv[1] + "/merges.txt")
            texts = json.load(open(sys.argv[2], encoding="utf-8"))
            for text, ids in zip(texts, tokenizer(texts)["input_ids"]): print(json.dumps({"text": text, "ids": ids}))
            for text in texts[:50]: print(json.dumps({"text": text, "ids": tokenizer(text, truncation=True, max_length=8)["input_ids"]}))
            """
        let cases = try Self.cases(Self.run(python, ["-c", program, folder.path, file.path]))
        #expect(cases.count == 4_050)
        let tokenizer = try Tokenizer.load(folder)
        for (index, item) in cases.enumerated() {
            let ids = try index < 4_000 ? tokenizer.encode(item.text) : tokenizer.encode(item.text, contextLength: 8, truncating: true)
            let scalars = item.text.unicodeScalars.map { String($0.value, radix: 16) }.joined(separator: " ")
            #expect(ids == item.ids, "seed \(seed): \(scalars)")
        }
    }
}

/// Texts where tokenizers differ: marks in any order, what composes and what must not, letters of every script and of newer Unicode,
/// white space of all kinds, markers in pieces.
private struct AwkwardTexts {
    /// SplitMix64.
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    private mutating func random(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return Int((value ^ value >> 31) % UInt64(bound))
    }

    private mutating func scalar(below bound: UInt32) -> Unicode.Scalar {
        while true {
            let value = UInt32(random(Int(bound)))
            // JSON can carry neither half a surrogate pair nor, through every library, U+0000.
            if value > 0, let scalar = Unicode.Scalar(value) { return scalar }
        }
    }

    private static let bases: [UInt32] = [
        0x61, 0x65, 0x4F, 0x53, 0x3C, 0x3D, 0x130, 0x131, 0x17F, 0x1E9E, 0x3A3, 0x3C3, 0x3A9, 0x1100, 0x1161, 0x11A7, 0x11A8, 0xAC00,
        0xAC01,
        0x915, 0x958, 0xCCA, 0xDDA, 0x30AB, 0x212B, 0x2126, 0x2ADC, 0xFB2C, 0xF900, 0x2F800, 0x1D15E, 0x11935,
    ]
    private static let marks: [UInt32] = [
        0x300, 0x301, 0x307, 0x308, 0x323, 0x327, 0x334, 0x345, 0x34F, 0x5B0, 0x5BC, 0x898, 0x8D3, 0x93C, 0x94D, 0x9FE, 0xEBA, 0x1715,
        0x1AB0,
        0x1ABF, 0x1DF6, 0x1DFA, 0x20D0, 0x3099, 0x309A, 0xFB1E, 0xFE20, 0x10F46, 0x11930, 0x1D165, 0x1D16D, 0x1E944,
    ]
    private static let spaces: [UInt32] = [
        0x09, 0x0A, 0x0B, 0x0D, 0x1C, 0x1F, 0x20, 0x85, 0xA0, 0xAD, 0x1680, 0x180E, 0x2000, 0x200B, 0x200C, 0x200D, 0x2028, 0x2029, 0x202E,
        0x202F,
        0x205F, 0x2060, 0x3000, 0xFEFF,
    ]
    private static let fragments = [
        "<|startoftext|>", "<|endoftext|>", "<|STARTOFTEXT|>", "<|EndOfText|>", "<|", "|>", "startoftext", "'s", "'S", "'re", "'RE", "'l",
        "'ll", "''",
        "’s", "</w>", "Ġ", "½", "x²", "Ⅷ", "٣", "๓", "ΑΣ", "ΌΣΟΣ", "👩‍👩‍👧", "ﬁ", "ǅ", "it's", "a photo of a Cat.", "100%", "3.14", "\u{1}",
        "\u{7F}",
    ]

    private mutating func pick(_ values: [UInt32]) -> Unicode.Scalar { Unicode.Scalar(values[random(values.count)]) ?? " " }

    mutating func next() -> String {
        var text = String.UnicodeScalarView()
        for _ in 0...random(10) {
            switch random(8) {
            case 0, 1:
                text.append(pick(Self.bases))
                for _ in 0..<random(5) { text.append(pick(Self.marks)) }
            case 2: text.append(pick(Self.spaces))
            case 3: text.append(contentsOf: Self.fragments[random(Self.fragments.count)].unicodeScalars)
            case 4: for _ in 0...random(4) { text.append(scalar(below: 0x1_0000)) }
            case 5: for _ in 0...random(3) { text.append(scalar(below: 0x3_4000)) }
            case 6: text.append(scalar(below: 0x11_0000))
            default: for _ in 0...random(12) { text.append(scalar(below: 0x7F)) }
            }
        }
        return String(text)
    }
}
