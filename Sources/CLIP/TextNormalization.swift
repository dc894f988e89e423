/// What transformers' CLIPTokenizer does to a text before it splits it: NFC, one space for each run of white space, lower case.
///
/// Works on scalars: Swift's characters would join what the reference keeps apart.
enum TextNormalization {
    static func normalized(_ scalars: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
        // Below U+0300 nothing composes with anything.
        let composed = scalars.allSatisfy { $0.value < 0x300 } ? Array(scalars) : CanonicalComposition.composed(scalars)
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(composed.count)
        var isAfterSpace = false
        for scalar in composed {
            let isSpace = TextPieces.kind(scalar) == .space
            if !isSpace {
                appendLowercase(scalar, to: &result)
            } else if !isAfterSpace {
                result.append(" ")
            }
            isAfterSpace = isSpace
        }
        return result
    }

    /// Scalar by scalar, so that a capital sigma at a word's end becomes the same as anywhere.
    private static func appendLowercase(_ scalar: Unicode.Scalar, to result: inout [Unicode.Scalar]) {
        if scalar.isASCII {
            let isCapital = (0x41...0x5A).contains(scalar.value)
            result.append(isCapital ? Unicode.Scalar(UInt8(truncatingIfNeeded: scalar.value + 0x20)) : scalar)
        } else if scalar.properties.changesWhenLowercased {
            result.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
        } else {
            result.append(scalar)
        }
    }
}
