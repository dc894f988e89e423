/// A part of a text: one token that stands there whole, or what lies between such.
enum TokenizerSection {
    case token(Int32)
    case text(ArraySlice<Unicode.Scalar>)

    /// Splits at every occurrence of a marked token: the leftmost first, and of those that begin together the longest.
    static func sections(_ scalars: [Unicode.Scalar], marked: [TokenizerVocabulary.Marked]) -> [TokenizerSection] {
        guard !marked.isEmpty else { return scalars.isEmpty ? [] : [.text(scalars[...])] }
        var sections: [TokenizerSection] = []
        var start = 0
        var position = 0
        while position < scalars.count {
            guard let token = longest(in: scalars, at: position, marked) else {
                position += 1
                continue
            }
            if position > start { sections.append(.text(scalars[start..<position])) }
            sections.append(.token(token.id))
            position += token.scalars.count
            start = position
        }
        if start < scalars.count { sections.append(.text(scalars[start...])) }
        return sections
    }

    private static func longest(
        in scalars: [Unicode.Scalar], at position: Int, _ marked: [TokenizerVocabulary.Marked]
    ) -> TokenizerVocabulary.Marked? {
        var found: TokenizerVocabulary.Marked?
        for token in marked where token.scalars.first == scalars[position] && token.scalars.count > found?.scalars.count ?? 0 {
            if scalars[position...].starts(with: token.scalars) { found = token }
        }
        return found
    }

    func append(to ids: inout [Int32]) {
        if case .token(let id) = self { ids.append(id) }
    }
}
