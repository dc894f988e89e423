/// Merges a word's bytes into tokens: of all neighbours the pair of lowest rank first, and of equals the leftmost, until no pair is known.
struct BytePairMerger {
    private struct Symbol {
        var token: Int32
        var previous: Int
        var next: Int
        var isMerged = false
    }

    /// A pair that may be merged when its turn comes.
    private struct Candidate {
        let rank: Int32
        let position: Int
        let token: Int32

        func precedes(_ other: Candidate) -> Bool { (rank, position) < (other.rank, other.position) }
    }

    private let vocabulary: TokenizerVocabulary
    private var symbols: [Symbol] = []
    /// A binary heap: a word of a hundred thousand letters must not take its square.
    private var heap: [Candidate] = []

    static func tokens(of word: [UInt8], _ vocabulary: TokenizerVocabulary) -> [Int32] {
        var merger = BytePairMerger(word, vocabulary)
        return merger.run()
    }

    private init(_ word: [UInt8], _ vocabulary: TokenizerVocabulary) {
        self.vocabulary = vocabulary
        symbols.reserveCapacity(word.count)
        for (index, byte) in word.enumerated() {
            let isLast = index == word.count - 1
            let token = isLast ? vocabulary.lastBytes[Int(byte)] : vocabulary.bytes[Int(byte)]
            symbols.append(Symbol(token: token, previous: index - 1, next: isLast ? -1 : index + 1))
        }
    }

    private mutating func run() -> [Int32] {
        for position in symbols.indices { consider(position) }
        while let candidate = popFirst() {
            let left = symbols[candidate.position]
            guard !left.isMerged, left.next >= 0 else { continue }
            let right = symbols[left.next]
            // The pair may have changed since it was noted.
            guard vocabulary.merges[TokenizerVocabulary.key(left.token, right.token)]?.token == candidate.token else { continue }
            symbols[left.next].isMerged = true
            symbols[candidate.position].token = candidate.token
            symbols[candidate.position].next = right.next
            if right.next >= 0 { symbols[right.next].previous = candidate.position }
            if left.previous >= 0 { consider(left.previous) }
            consider(candidate.position)
        }
        return symbols.filter { !$0.isMerged }.map(\.token)
    }

    /// Notes the pair that begins at `position`, if it is a known one.
    private mutating func consider(_ position: Int) {
        let symbol = symbols[position]
        guard symbol.next >= 0, let merge = vocabulary.merges[TokenizerVocabulary.key(symbol.token, symbols[symbol.next].token)] else {
            return
        }
        push(Candidate(rank: merge.rank, position: position, token: merge.token))
    }

    private mutating func push(_ candidate: Candidate) {
        heap.append(candidate)
        var child = heap.count - 1
        while child > 0, heap[child].precedes(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func popFirst() -> Candidate? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { return first }
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(heap[parent]) else { return first }
            heap.swapAt(parent, child)
            parent = child
        }
    }
}
