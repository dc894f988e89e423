package import CLIP

/// Where the class name stands in a learned prompt.
package enum ClassPosition: String, Sendable, CaseIterable, Codable {
    /// Behind all context vectors, as in the paper's equation 8.
    case end
    /// Behind the first half of them.
    case middle
    /// Before them.
    case front

    /// How many of `count` context vectors stand before the class name.
    func leading(_ count: Int) -> Int {
        switch self {
        case .end: count
        case .middle: count / 2
        case .front: 0
        }
    }
}

/// A class's tokens: `start name stop`, where `stop` is the full stop, if the name is followed by one, and the end token.
package struct ClassTokens: Sendable, Equatable {
    package let start: Int32
    package let name: [Int32]
    package let stop: [Int32]

    /// - Parameter ids: start token, name, full stop, end token.
    package init(_ ids: [Int32], fullStop: Int32?) {
        precondition(ids.count >= 2, "a prompt has a start and an end token")
        start = ids[0]
        let hasStop = ids.count > 2 && ids[ids.count - 2] == fullStop
        name = Array(ids[1..<ids.count - (hasStop ? 2 : 1)])
        stop = Array(ids.suffix(hasStop ? 2 : 1))
    }

    /// The tokens of a display name.
    package init(_ name: String, _ tokenizer: Tokenizer) {
        self.init(tokenizer.encode(name + "."), fullStop: Self.fullStop(tokenizer))
    }

    /// The tokenizer's full stop, if that is a token of its own.
    package static func fullStop(_ tokenizer: Tokenizer) -> Int32? {
        let ids = tokenizer.encode(".")
        return ids.count == 3 ? ids[1] : nil
    }
}

/// The rows of one pass through the text tower: the prefix that all classes share, and then each class's own, up to its end token.
///
/// The tower is causal, so the prefix's states are the same for every class, and nothing behind an end token is ever read.
package struct PromptLayout: Sendable {
    /// What a row's vector is.
    enum Source: Sendable, Equatable {
        case token(Int32)
        case context(Int)
    }

    struct Row: Sendable, Equatable {
        let source: Source
        let position: Int
    }

    let rows: [Row]
    /// Rows of the shared prefix.
    let prefix: Int
    /// Each class's own rows; its end token is the last.
    let own: [Range<Int>]
    /// Positions of the longest prompt.
    let longest: Int

    /// - Parameter sharing: false lays the prefix out again for every class, as a plain computation does.
    package init(contextLength: Int, position: ClassPosition, classes: [ClassTokens], sharing: Bool = true) {
        let leading = position.leading(contextLength)
        let sources = classes.map { tokens -> [Source] in
            [.token(tokens.start)] + (0..<leading).map(Source.context) + tokens.name.map(Source.token)
                + (leading..<contextLength).map(Source.context) + tokens.stop.map(Source.token)
        }
        let shares = sharing && Set(classes.map(\.start)).count == 1
        let prefix = shares ? 1 + leading : 0
        var rows = shares ? sources[0][..<prefix].enumerated().map { Row(source: $1, position: $0) } : []
        var own: [Range<Int>] = []
        for source in sources {
            let start = rows.count
            rows += source[prefix...].enumerated().map { Row(source: $1, position: prefix + $0) }
            own.append(start..<rows.count)
        }
        self.rows = rows
        contextRows = (rows.lastIndex { if case .context = $0.source { true } else { false } } ?? -1) + 1
        self.prefix = prefix
        self.own = own
        longest = sources.map(\.count).max() ?? 0
    }

    /// Rows up to the last context vector's.
    let contextRows: Int

    /// Rows that a query of the pooled states has: one a class.
    var pooled: [Int] { own.map { $0.upperBound - 1 } }
}
