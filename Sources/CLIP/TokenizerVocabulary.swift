/// What byte-pair encoding needs of a vocabulary: the tokens that bytes start as, and which pairs of tokens become which.
struct TokenizerVocabulary: Sendable {
    struct Merge: Sendable {
        /// Lower ones come first.
        let rank: Int32
        let token: Int32
    }

    /// A token that is found in the text as it stands, whole.
    struct Marked: Sendable {
        let scalars: [Unicode.Scalar]
        let id: Int32
    }

    static let start = "<|startoftext|>"
    static let end = "<|endoftext|>"
    static let endOfWord = "</w>"
    static let sizeLimit = 4_194_304

    let startToken: Int32
    let endToken: Int32
    let size: Int
    /// By byte, inside a word.
    let bytes: [Int32]
    /// By byte, at a word's end.
    let lastBytes: [Int32]
    /// By left token << 32 | right token.
    let merges: [UInt64: Merge]
    /// Looked for before the text is normalized.
    let rawTokens: [Marked]
    /// Looked for after.
    let normalizedTokens: [Marked]

    static func key(_ left: Int32, _ right: Int32) -> UInt64 { UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right)) }

    /// - Parameters:
    ///   - ids: every token's id.
    ///   - merges: pairs of tokens, the first to be merged first.
    ///   - added: tokens that are found whole, beside start and end; what is said of those two here replaces the default.
    init(ids: [String: Int32], merges pairs: [(Substring, Substring)], added: [AddedToken] = [], file: String) throws(CLIPError) {
        guard let start = ids[Self.start], let end = ids[Self.end] else {
            throw .tokenizer(file: file, reason: "it lacks \(Self.start) or \(Self.end)")
        }
        startToken = start
        endToken = end
        size = Int(max(ids.values.max() ?? 0, added.map(\.id).max() ?? 0)) + 1
        // A byte that the vocabulary lacks becomes the unknown token, which is the end token in CLIP.
        bytes = ByteSymbols.all.map { ids[$0] ?? end }
        lastBytes = ByteSymbols.all.map { ids[$0 + Self.endOfWord] ?? end }
        var merges: [UInt64: Merge] = [:]
        merges.reserveCapacity(pairs.count)
        for (rank, (left, right)) in pairs.enumerated() {
            guard let leftID = ids[String(left)], let rightID = ids[String(right)], let token = ids["\(left)\(right)"] else {
                throw .tokenizer(
                    file: file,
                    reason: "merge \(rank + 1), \"\(left.prefix(40)) \(right.prefix(40))\", is of tokens that the vocabulary lacks")
            }
            merges[Self.key(leftID, rightID)] = Merge(rank: Int32(rank), token: token)
        }
        self.merges = merges
        let standard = [(Self.start, start), (Self.end, end)].filter { name, _ in !added.contains { $0.content == name } }
            .map { AddedToken(content: $0, id: $1, isNormalized: false) }
        let tokens = added + standard
        rawTokens = tokens.filter { !$0.isNormalized }.map { Marked(scalars: Array($0.content.unicodeScalars), id: $0.id) }
        normalizedTokens = tokens.filter(\.isNormalized).map {
            Marked(scalars: TextNormalization.normalized(Array($0.content.unicodeScalars)[...]), id: $0.id)
        }
    }

    struct AddedToken {
        let content: String
        let id: Int32
        /// Whether it is looked for in the normalized text, where its case no longer counts.
        let isNormalized: Bool
    }
}

/// The letters that stand for bytes in vocabularies: printable ones of Latin-1 for themselves, U+0100 and the following for the rest.
enum ByteSymbols {
    /// By byte.
    static let all: [String] = {
        var next: UInt32 = 0x100
        return (UInt8.min...UInt8.max).map { byte in
            if isPrintable(byte) { return String(Unicode.Scalar(byte)) }
            defer { next += 1 }
            return Unicode.Scalar(next).map { String($0) } ?? ""
        }
    }()

    /// In the order of OpenAI's vocabulary: the printable ones, then the rest.
    static let vocabularyOrder: [String] = {
        let values = UInt8.min...UInt8.max
        return (values.filter(isPrintable) + values.filter { !isPrintable($0) }).map { all[Int($0)] }
    }()

    private static func isPrintable(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: true
        default: false
        }
    }
}
