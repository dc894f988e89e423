/// Unicode's normalization form C with the data of Unicode 9, which is what the reference's tokenizer library has: characters that came later
/// neither decompose nor are reordered there. Swift's own normalization follows the newest Unicode.
///
/// Source: Unicode Standard Annex #15.
enum CanonicalComposition {
    static func composed(_ scalars: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
        var decomposed: [(value: UInt32, order: UInt8)] = []
        decomposed.reserveCapacity(scalars.count)
        for scalar in scalars { appendDecomposition(scalar.value, to: &decomposed) }
        sortMarks(&decomposed)
        return compose(decomposed).compactMap { Unicode.Scalar($0) }
    }

    private enum Hangul {
        static let (syllables, leading, vowels, trailing): (UInt32, UInt32, UInt32, UInt32) = (0xAC00, 0x1100, 0x1161, 0x11A7)
        static let (leadingCount, vowelCount, trailingCount): (UInt32, UInt32, UInt32) = (19, 21, 28)
        static let syllableCount = leadingCount * vowelCount * trailingCount

        static func isSyllable(_ value: UInt32) -> Bool { value >= syllables && value < syllables + syllableCount }
    }

    private static func appendDecomposition(_ value: UInt32, to result: inout [(value: UInt32, order: UInt8)]) {
        if value < 0xC0 {
            result.append((value, 0))
        } else if Hangul.isSyllable(value) {
            let index = value - Hangul.syllables
            result.append((Hangul.leading + index / (Hangul.vowelCount * Hangul.trailingCount), 0))
            result.append((Hangul.vowels + index % (Hangul.vowelCount * Hangul.trailingCount) / Hangul.trailingCount, 0))
            if index % Hangul.trailingCount > 0 { result.append((Hangul.trailing + index % Hangul.trailingCount, 0)) }
        } else if let parts = CanonicalDecompositions.shared.parts[value] {
            for part in parts { appendDecomposition(part, to: &result) }
        } else {
            result.append((value, order(value)))
        }
    }

    /// The canonical combining class: 0 for what marks are put on.
    private static func order(_ value: UInt32) -> UInt8 {
        guard value >= 0x300, let properties = Unicode.Scalar(value)?.properties else { return 0 }
        let order = properties.canonicalCombiningClass.rawValue
        guard order > 0 else { return 0 }
        // U+0EBA got its class in Unicode 12.
        return properties.age?.major ?? 99 <= 9 && value != 0xEBA ? order : 0
    }

    /// Marks in the order of their classes, those of one class as they came.
    private static func sortMarks(_ scalars: inout [(value: UInt32, order: UInt8)]) {
        var start = 0
        while start < scalars.count {
            guard scalars[start].order > 0 else {
                start += 1
                continue
            }
            let end = scalars[start...].firstIndex { $0.order == 0 } ?? scalars.count
            if end - start > 1 {
                let sorted = scalars[start..<end].enumerated().sorted { ($0.element.order, $0.offset) < ($1.element.order, $1.offset) }
                scalars.replaceSubrange(start..<end, with: sorted.map(\.element))
            }
            start = end
        }
    }

    private static func compose(_ scalars: [(value: UInt32, order: UInt8)]) -> [UInt32] {
        var result: [UInt32] = []
        result.reserveCapacity(scalars.count)
        var starter: Int?
        var lastOrder: UInt8 = 0
        for (value, order) in scalars {
            if let starter {
                let isNext = starter == result.count - 1
                if isNext || lastOrder < order, let pair = composition(result[starter], value) {
                    result[starter] = pair
                    continue
                }
            }
            if order == 0 { starter = result.count }
            result.append(value)
            lastOrder = order
        }
        return result
    }

    private static func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if first >= Hangul.leading, first < Hangul.leading + Hangul.leadingCount, second >= Hangul.vowels,
            second < Hangul.vowels + Hangul.vowelCount
        {
            let index = (first - Hangul.leading) * Hangul.vowelCount + (second - Hangul.vowels)
            return Hangul.syllables + index * Hangul.trailingCount
        }
        if Hangul.isSyllable(first), (first - Hangul.syllables) % Hangul.trailingCount == 0, second > Hangul.trailing,
            second < Hangul.trailing + Hangul.trailingCount
        {
            return first + (second - Hangul.trailing)
        }
        return CanonicalDecompositions.shared.compositions[UInt64(first) << 32 | UInt64(second)]
    }
}
