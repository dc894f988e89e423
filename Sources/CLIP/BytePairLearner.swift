/// A vocabulary made from texts: what `vocab.json` and `merges.txt` hold.
package struct LearnedVocabulary: Sendable {
    /// By id: bytes, bytes at a word's end, merged ones in the order of their merges, start, end.
    package let tokens: [String]
    /// The first is merged first.
    package let merges: [(left: String, right: String)]
}

/// Learns a byte-level byte-pair vocabulary: the most frequent pair of neighbours inside words becomes a token, again and again.
///
/// Source: Sennrich, Haddow and Birch, Neural Machine Translation of Rare Words with Subword Units, algorithm 1, on bytes.
package struct BytePairLearner {
    private struct Word {
        var symbols: [String]
        let count: Int
    }

    private struct Pair: Hashable, Comparable {
        let left: String
        let right: String

        static func < (a: Pair, b: Pair) -> Bool { (a.left, a.right) < (b.left, b.right) }
    }

    private var words: [Word]

    /// Splits `texts` as the tokenizer will.
    package init(_ texts: some Sequence<String>) {
        var counts: [[UInt8]: Int] = [:]
        for text in texts {
            TextPieces.forEach(in: TextNormalization.normalized(Array(text.unicodeScalars)[...])[...]) { counts[$0, default: 0] += 1 }
        }
        words = counts.map { bytes, count in
            var symbols = bytes.map { ByteSymbols.all[Int($0)] }
            if let last = symbols.indices.last { symbols[last] += TokenizerVocabulary.endOfWord }
            return Word(symbols: symbols, count: count)
        }
    }

    /// At most `size` tokens; fewer where no pair occurs twice any more. Of equally frequent pairs the first in the order of their text is
    /// merged, so the same texts give the same vocabulary.
    package mutating func learn(size: Int) -> LearnedVocabulary {
        let letters = ByteSymbols.vocabularyOrder
        var tokens = letters + letters.map { $0 + TokenizerVocabulary.endOfWord }
        var merges: [(left: String, right: String)] = []
        while tokens.count + 2 < size, let pair = mostFrequentPair() {
            merge(pair)
            merges.append((pair.left, pair.right))
            tokens.append(pair.left + pair.right)
        }
        return LearnedVocabulary(tokens: tokens + [TokenizerVocabulary.start, TokenizerVocabulary.end], merges: merges)
    }

    private func mostFrequentPair() -> Pair? {
        var counts: [Pair: Int] = [:]
        for word in words {
            for (left, right) in zip(word.symbols, word.symbols.dropFirst()) {
                counts[Pair(left: left, right: right), default: 0] += word.count
            }
        }
        let best = counts.max { a, b in a.value == b.value ? a.key > b.key : a.value < b.value }
        return best.flatMap { $0.value > 1 ? $0.key : nil }
    }

    private mutating func merge(_ pair: Pair) {
        for index in words.indices {
            var merged: [String] = []
            for symbol in words[index].symbols {
                // A symbol that was just made is never the left one of another pair, for it is another token.
                if symbol == pair.right, merged.last == pair.left { merged[merged.count - 1] += symbol } else { merged.append(symbol) }
            }
            words[index].symbols = merged
        }
    }
}

extension LearnedVocabulary {
    /// `vocab.json`
    package var vocabularyJSON: String {
        let members = tokens.enumerated().map { id, token in
            "\"\(token.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\":\(id)"
        }
        return "{\(members.joined(separator: ","))}"
    }

    /// `merges.txt`
    package var mergesText: String { "#version: 0.2\n" + merges.map { "\($0.left) \($0.right)\n" }.joined() }
}

extension Tokenizer {
    /// A tokenizer of a vocabulary that has just been learned.
    package init(_ learned: LearnedVocabulary) throws(CLIPError) {
        let ids = Dictionary(uniqueKeysWithValues: learned.tokens.enumerated().map { ($0.element, Int32($0.offset)) })
        self.init(
            vocabulary: try TokenizerVocabulary(
                ids: ids, merges: learned.merges.map { ($0.left[...], $0.right[...]) }, file: "the learned one"))
    }
}
