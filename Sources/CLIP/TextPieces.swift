/// Splits normalized text the way CLIP's pattern does:
///
///     <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
enum TextPieces {
    enum Kind {
        case space
        case letter
        case numeral
        case other
    }

    /// Calls `body` with each piece's UTF-8, in order.
    static func forEach(in scalars: ArraySlice<Unicode.Scalar>, _ body: ([UInt8]) -> Void) {
        var position = scalars.startIndex
        while position < scalars.endIndex {
            if let (name, length) = spelledMarker(scalars[position...]) {
                // The byte-level step behind the pattern takes the signs off the word.
                body(Array("<|".utf8))
                body(name)
                body(Array("|>".utf8))
                position += length
                continue
            }
            let kind = kind(scalars[position])
            var end = position + 1
            switch kind {
            case .space:
                position = end
                continue
            case .numeral: break
            case .other where scalars[position] == "'" && contraction(scalars[end...]) > 0:
                end += contraction(scalars[end...])
            case .letter, .other:
                while end < scalars.endIndex, self.kind(scalars[end]) == kind { end += 1 }
            }
            body(utf8(scalars[position..<end]))
            position = end
        }
    }

    /// A marker that the vocabulary's own search didn't take, because normalization has made it.
    private static func spelledMarker(_ scalars: ArraySlice<Unicode.Scalar>) -> (name: [UInt8], length: Int)? {
        guard scalars.first == "<" else { return nil }
        for marker in [TokenizerVocabulary.start, TokenizerVocabulary.end] where scalars.starts(with: marker.unicodeScalars) {
            return (Array(marker.utf8.dropFirst(2).dropLast(2)), marker.unicodeScalars.count)
        }
        return nil
    }

    /// How many letters behind an apostrophe belong to it.
    private static func contraction(_ rest: ArraySlice<Unicode.Scalar>) -> Int {
        guard let first = rest.first else { return 0 }
        switch first {
        case "s", "t", "m", "d": return 1
        case "r", "v": return rest.dropFirst().first == "e" ? 2 : 0
        case "l": return rest.dropFirst().first == "l" ? 2 : 0
        default: return 0
        }
    }

    static func kind(_ scalar: Unicode.Scalar) -> Kind {
        if scalar.isASCII {
            switch scalar.value {
            case 0x41...0x5A, 0x61...0x7A: return .letter
            case 0x30...0x39: return .numeral
            case 0x09...0x0D, 0x20: return .space
            default: return .other
            }
        }
        let properties = scalar.properties
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            return isKnown(properties) ? .letter : .other
        case .decimalNumber, .letterNumber, .otherNumber:
            return isKnown(properties) ? .numeral : .other
        default:
            return properties.isWhitespace ? .space : .other
        }
    }

    /// The reference's pattern engine has Unicode 16; letters that came later are no letters to it.
    private static func isKnown(_ properties: Unicode.Scalar.Properties) -> Bool { (properties.age?.major ?? 0) <= 16 }

    private static func utf8(_ scalars: ArraySlice<Unicode.Scalar>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(scalars.count)
        for scalar in scalars { bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter) }
        return bytes
    }
}
