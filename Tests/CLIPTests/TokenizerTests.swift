import CLIP
import Foundation
import Testing

/// A vocabulary of a dozen merges, and what can be said of it by hand.
@Suite struct TokenizerTests {
    static let merges = ["c a", "ca t</w>", "a t</w>", "t h", "th e</w>", "' s</w>", "p h", "ph o", "pho t", "phot o</w>", "o f</w>"]

    private let folder: TemporaryFolder
    private let tokens: [String]

    init() throws {
        folder = try TemporaryFolder()
        // The letters that stand for bytes, as OpenAI's program defines them.
        let printable = Array(33...126) + Array(161...172) + Array(174...255)
        let rest = (0...255).filter { !printable.contains($0) }
        let symbols =
            printable.compactMap { Unicode.Scalar($0).map(String.init) }
            + rest.indices.compactMap { Unicode.Scalar(256 + $0).map(String.init) }
        tokens =
            symbols + symbols.map { $0 + "</w>" } + Self.merges.map { $0.replacingOccurrences(of: " ", with: "") } + [
                "<|startoftext|>", "<|endoftext|>",
            ]
        try folder.write("vocab.json", Self.json(Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, $0) })))
        try folder.write("merges.txt", "#version: 0.2\n" + Self.merges.joined(separator: "\n") + "\n")
    }

    private static func json(_ value: Any) throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys]), as: UTF8.self)
    }

    /// The tokens of a text without start and end.
    private func encode(_ text: String, _ tokenizer: Tokenizer? = nil) throws -> [String] {
        let tokenizer = try tokenizer ?? Tokenizer.load(folder.url)
        let ids = tokenizer.encode(text)
        #expect(ids.first == tokenizer.startToken)
        #expect(ids.last == tokenizer.endToken)
        return ids.dropFirst().dropLast().map { tokens[Int($0)] }
    }

    @Test func `words are merged in the order of the merges`() throws {
        #expect(try encode("the photo of the cat's") == ["the</w>", "photo</w>", "of</w>", "the</w>", "cat</w>", "'s</w>"])
        #expect(try encode("hat") == ["h", "at</w>"])
        #expect(try encode("cath") == ["ca", "t", "h</w>"])
    }

    @Test func `case, white space and composition don't count`() throws {
        #expect(try encode("  THE\t\u{a0}\u{3000}Cat \n") == ["the</w>", "cat</w>"])
        #expect(try encode("e\u{301}") == encode("\u{e9}"))
        #expect(try encode("\u{e9}") == ["Ã", "©</w>"])
        #expect(try encode("\u{130}") == ["i</w>", "Ì", "ĩ</w>"])
        #expect(try encode("\u{3a3}") == encode("\u{3c3}"))
        #expect(try encode("") == [])
        #expect(try encode(" ") == [])
    }

    /// As transformers 5 with tokenizers 0.23 was seen to do, over every scalar: marks have the order that Unicode 9 gives them, letters are
    /// those of Unicode 16.
    @Test func `marks and letters are those of the reference's Unicode`() throws {
        #expect(try encode("a\u{301}\u{334}") == encode("a\u{334}\u{301}"))
        for newer in ["\u{EBA}", "\u{8D3}", "\u{1AC1}"] { #expect(try encode("a\(newer)\u{334}") != encode("a\u{334}\(newer)")) }
        #expect(try encode("\u{A7CD}\u{A7CD}").filter { $0.hasSuffix("</w>") }.count == 1)
        #expect(try encode("x\u{A7CD}").filter { $0.hasSuffix("</w>") }.count == 1)
        #expect(try encode("x\u{88F}").filter { $0.hasSuffix("</w>") }.count == 2)
    }

    @Test func `numerals stand alone, other signs together`() throws {
        #expect(try encode("12") == ["1</w>", "2</w>"])
        #expect(try encode("!?x") == ["!", "?</w>", "x</w>"])
        #expect(try encode("''s") == ["'", "'</w>", "s</w>"])
        #expect(try encode("'lx") == ["'</w>", "l", "x</w>"])
    }

    @Test func `markers are one token as they stand, signs and a word in capitals`() throws {
        #expect(try encode("the<|endoftext|>cat") == ["the</w>", "<|endoftext|>", "cat</w>"])
        #expect(try encode("<|startoftext|>") == ["<|startoftext|>"])
        #expect(try encode("<|ENDOFTEXT|>").count == 13)
        #expect(try encode("<|ENDOFTEXT|>").prefix(2) == ["<", "|</w>"])
    }

    @Test func `what is too long is an error, or cut on request with its end kept`() throws {
        let tokenizer = try Tokenizer.load(folder.url)
        let long = String(repeating: "cat ", count: 10)
        #expect(try tokenizer.encode(long, contextLength: 12, truncating: false).count == 12)
        let error = #expect(throws: CLIPError.self) { try tokenizer.encode(long, contextLength: 11, truncating: false) }
        #expect(error == .promptTooLong(prompt: long, tokens: 12, limit: 11))
        #expect(error?.code == "tokenizer.too_long")
        let cut = try tokenizer.encode(long, contextLength: 5, truncating: true)
        #expect(cut == tokenizer.encode("cat cat cat"))
    }

    @Test func `a word of a hundred thousand letters takes no time`() throws {
        let tokenizer = try Tokenizer.load(folder.url)
        let start = ContinuousClock.now
        #expect(tokenizer.encode(String(repeating: "ca", count: 50_000)).count == 50_001 + 2)
        #expect(tokenizer.encode(String(repeating: "<|", count: 50_000)).count == 100_000 + 2)
        #expect(tokenizer.encode("a" + String(repeating: "\u{301}\u{323}", count: 50_000)).count > 100_000)
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func `tokenizer.json gives the same ids, its added tokens found where it says`() throws {
        let other = try TemporaryFolder()
        let count = tokens.count
        for pairs in [Self.merges as Any, Self.merges.map { $0.split(separator: " ").map(String.init) } as Any] {
            let model: [String: Any] = [
                "type": "BPE", "end_of_word_suffix": "</w>", "merges": pairs,
                "vocab": Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, $0) }),
            ]
            let added: [[String: Any]] = [
                ["id": count - 2, "content": "<|startoftext|>", "normalized": true, "special": true],
                ["id": count - 1, "content": "<|endoftext|>", "normalized": false, "special": true],
                ["id": count, "content": "Cat Photo", "normalized": true, "special": false],
            ]
            try other.write("tokenizer.json", Self.json(["model": model, "added_tokens": added]))
            let tokenizer = try Tokenizer.load(other.url)
            #expect(try encode("the cat's photo", tokenizer) == encode("the cat's photo"))
            #expect(try encode("<|STARTOFTEXT|>", tokenizer) == ["<|startoftext|>"])
            #expect(tokenizer.encode("the CAT  photo")[2] == Int32(count))
            #expect(tokenizer.vocabularySize == count + 1)
        }
    }

    @Test(arguments: [
        ("vocab.json", "{"), ("vocab.json", "[]"), ("vocab.json", "{\"a\": -1}"), ("vocab.json", "{\"a\": 1.5}"),
        ("vocab.json", "{\"a\": 99999999999}"),
        ("vocab.json", "{\"a\": 1}"), ("merges.txt", "a"), ("merges.txt", "a b c"), ("merges.txt", "qq zz"), ("merges.txt", " a"),
        ("tokenizer.json", "{}"), ("tokenizer.json", "{\"model\": {\"vocab\": {}, \"merges\": [1]}}"),
        ("tokenizer.json", "{\"model\": {\"vocab\": {}, \"merges\": [], \"type\": \"WordPiece\"}}"),
        ("tokenizer.json", "{\"model\": {\"vocab\": {}, \"merges\": []}}"),
    ])
    func `a damaged vocabulary is refused`(name: String, text: String) throws {
        try folder.write(name, text)
        #expect(["tokenizer.invalid", "model.json_invalid"].contains(code { _ = try Tokenizer.load(folder.url) }))
    }

    @Test func `other damage is refused`() throws {
        #expect(code { _ = try Tokenizer.load(TemporaryFolder().url) } == "model.missing_file")
        let other = try TemporaryFolder()
        for bytes: [UInt8] in [
            [], [0x1F, 0x8B], [0x1F, 0x8B, 8, 0] + [UInt8](repeating: 0xFF, count: 40), [UInt8](repeating: 0, count: 100),
        ] {
            try other.write("bpe_simple_vocab_16e6.txt.gz", bytes)
            #expect(code { _ = try Tokenizer.load(other.url) } == "tokenizer.invalid")
        }
        try folder.write("merges.txt", [0xFF, 0xFE])
        #expect(code { _ = try Tokenizer.load(folder.url) } == "tokenizer.invalid")
    }
}
