internal import Synchronization

/// CLIP's byte-level byte-pair encoding, equal to transformers' CLIPTokenizer.
///
/// Text is composed (NFC), runs of white space become one space, letters become lower case; it is split into words, numerals and runs of
/// other signs, and each of these into the vocabulary's tokens.
package struct Tokenizer: Sendable {
    /// The id every prompt begins with, `<|startoftext|>`.
    package var startToken: Int32 { vocabulary.startToken }

    /// The id every prompt ends with, `<|endoftext|>`: the highest of OpenAI's vocabulary.
    package var endToken: Int32 { vocabulary.endToken }

    /// Ids run from 0 to below this.
    package var vocabularySize: Int { vocabulary.size }

    private let vocabulary: TokenizerVocabulary
    private let cache = PieceCache()

    init(vocabulary: TokenizerVocabulary) { self.vocabulary = vocabulary }

    /// The ids of a text of any length: start, text, end.
    package func encode(_ text: String) -> [Int32] {
        var ids = [startToken]
        for section in TokenizerSection.sections(Array(text.unicodeScalars), marked: vocabulary.rawTokens) {
            guard case .text(let raw) = section else {
                section.append(to: &ids)
                continue
            }
            for section in TokenizerSection.sections(TextNormalization.normalized(raw), marked: vocabulary.normalizedTokens) {
                if case .text(let scalars) = section { appendPieces(of: scalars, to: &ids) } else { section.append(to: &ids) }
            }
        }
        ids.append(endToken)
        return ids
    }

    /// The ids of a text, no more than `contextLength` of them.
    ///
    /// - Parameter truncating: whether a longer text is cut; start and end token stay.
    /// - Throws: `CLIPError.promptTooLong` if it is longer and not to be cut.
    package func encode(_ text: String, contextLength: Int, truncating: Bool) throws(CLIPError) -> [Int32] {
        let ids = encode(text)
        guard ids.count > contextLength else { return ids }
        guard truncating, contextLength >= 2 else { throw .promptTooLong(prompt: text, tokens: ids.count, limit: contextLength) }
        return ids.prefix(contextLength - 1) + [endToken]
    }

    private func appendPieces(of scalars: ArraySlice<Unicode.Scalar>, to ids: inout [Int32]) {
        TextPieces.forEach(in: scalars) { piece in
            if let known = cache[piece] {
                ids.append(contentsOf: known)
            } else {
                let tokens = BytePairMerger.tokens(of: piece, vocabulary)
                cache.remember(piece, tokens)
                ids.append(contentsOf: tokens)
            }
        }
    }
}

/// The tokens of words that were seen before. Prompts share most of theirs.
private final class PieceCache: Sendable {
    private static let entryLimit = 32_768
    /// Longer ones are rare and would make the limit on entries no limit on memory.
    private static let lengthLimit = 64

    private let entries = Mutex<[[UInt8]: [Int32]]>([:])

    subscript(piece: [UInt8]) -> [Int32]? {
        piece.count > Self.lengthLimit ? nil : entries.withLock { $0[piece] }
    }

    func remember(_ piece: [UInt8], _ tokens: [Int32]) {
        guard piece.count <= Self.lengthLimit else { return }
        entries.withLock { entries in
            if entries.count >= Self.entryLimit { entries.removeAll(keepingCapacity: true) }
            entries[piece] = tokens
        }
    }
}
