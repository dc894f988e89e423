/// Writes one JSON value on one line, keys in the order in which they are given.
///
/// Foundation's encoder neither keeps an order that people can read nor writes a Float with the digits that give the same Float back.
struct JSONWriter {
    private(set) var text = ""
    private var isFirst = true

    /// An object; `body` writes its members.
    mutating func object(_ body: (inout JSONWriter) -> Void) { enclosed("{", "}", body) }

    /// An array; `body` writes its elements.
    mutating func array(_ body: (inout JSONWriter) -> Void) { enclosed("[", "]", body) }

    mutating func member(_ key: String, _ value: (inout JSONWriter) -> Void) {
        separate()
        quote(key)
        text += ":"
        isFirst = true
        value(&self)
        isFirst = false
    }

    mutating func member(_ key: String, string value: String) { member(key) { $0.quote(value) } }
    mutating func member(_ key: String, bool value: Bool) { member(key) { $0.text += value ? "true" : "false" } }
    mutating func member(_ key: String, integer value: some BinaryInteger) { member(key) { $0.text += "\(value)" } }
    /// The shortest decimal number that reads back as the same Float; null if it is not finite.
    mutating func member(_ key: String, float value: Float) { member(key) { $0.text += value.isFinite ? "\(value)" : "null" } }
    mutating func member(_ key: String, null: Void) { member(key) { $0.text += "null" } }

    mutating func element(_ body: (inout JSONWriter) -> Void) {
        separate()
        isFirst = true
        body(&self)
        isFirst = false
    }

    private mutating func enclosed(_ open: String, _ close: String, _ body: (inout JSONWriter) -> Void) {
        text += open
        isFirst = true
        body(&self)
        text += close
        isFirst = false
    }

    private mutating func separate() {
        if !isFirst { text += "," }
        isFirst = false
    }

    /// A JSON string. Control characters are escaped, so that a line stays a line.
    private mutating func quote(_ value: String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..."\u{1F}", "\u{7F}", "\u{85}", "\u{2028}", "\u{2029}":
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
