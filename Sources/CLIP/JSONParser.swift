/// RFC 8259, by recursive descent over bytes that somebody else keeps alive.
struct JSONParser {
    let bytes: UnsafeRawBufferPointer
    let limits: JSONValue.Limits
    private var position = 0
    private var values = 0

    init(bytes: UnsafeRawBufferPointer, limits: JSONValue.Limits) {
        self.bytes = bytes
        self.limits = limits
    }

    mutating func document() throws(JSONValue.Fault) -> JSONValue {
        let value = try self.value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw fault("something follows the document") }
        return value
    }

    private func fault(_ reason: String) -> JSONValue.Fault { JSONValue.Fault(offset: position, reason: reason) }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    /// Takes `byte` if it comes next.
    private mutating func take(_ byte: Character) -> Bool {
        guard next == byte.asciiValue else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONValue.Fault) -> JSONValue {
        guard depth < limits.depth else { throw fault("nested deeper than \(limits.depth)") }
        values += 1
        guard values <= limits.values else { throw fault("more than \(limits.values) values") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case .some(UInt8(ascii: "0")...UInt8(ascii: "9")), UInt8(ascii: "-"): return try number()
        case nil: throw fault("ends where a value is expected")
        default: throw fault("no value starts like this")
        }
    }

    private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONValue.Fault) -> JSONValue {
        for index in 0..<word.utf8CodeUnitCount {
            guard next == word.utf8Start[index] else { throw fault("expected \(word)") }
            position += 1
        }
        return value
    }

    private mutating func object(depth: Int) throws(JSONValue.Fault) -> JSONValue {
        position += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw fault("expected a key") }
            let key = try string()
            skipSpace()
            guard take(":") else { throw fault("expected a colon") }
            let value = try self.value(depth: depth + 1)
            guard members.updateValue(value, forKey: key) == nil else { throw fault("the key \"\(key.prefix(100))\" is there twice") }
            skipSpace()
            if take("}") { return .object(members) }
            guard take(",") else { throw fault("expected a comma or the object's end") }
        }
    }

    private mutating func array(depth: Int) throws(JSONValue.Fault) -> JSONValue {
        position += 1
        var elements: [JSONValue] = []
        skipSpace()
        if take("]") { return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take("]") { return .array(elements) }
            guard take(",") else { throw fault("expected a comma or the array's end") }
        }
    }

    // MARK: Numbers

    private mutating func digits() throws(JSONValue.Fault) {
        let start = position
        while let byte = next, byte >= 0x30, byte <= 0x39 { position += 1 }
        guard position > start else { throw fault("expected a digit") }
    }

    private mutating func number() throws(JSONValue.Fault) -> JSONValue {
        let start = position
        var isInteger = true
        _ = take("-")
        if take("0") {
            if let byte = next, byte >= 0x30, byte <= 0x39 { throw fault("a number can't start with 0") }
        } else {
            try digits()
        }
        if take(".") {
            isInteger = false
            try digits()
        }
        if take("e") || take("E") {
            isInteger = false
            if !take("+") { _ = take("-") }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else {
            position = start
            throw fault("the number is out of range")
        }
        return .number(value)
    }

    // MARK: Strings

    private mutating func string() throws(JSONValue.Fault) -> String {
        position += 1
        let start = position
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if next == UInt8(ascii: "\"") {
            defer { position += 1 }
            return try text(bytes[start..<position])
        }
        var decoded = Array(bytes[start..<position])
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                defer { position += 1 }
                return try text(decoded)
            case UInt8(ascii: "\\"):
                position += 1
                try escape(into: &decoded)
            case 0..<0x20:
                throw fault("a control character in a string")
            default:
                decoded.append(byte)
                position += 1
            }
        }
        throw fault("a string without end")
    }

    private func text(_ utf8: some Collection<UInt8>) throws(JSONValue.Fault) -> String {
        guard let text = String(validating: utf8, as: UTF8.self) else { throw fault("a string that is not UTF-8") }
        return text
    }

    private mutating func escape(into decoded: inout [UInt8]) throws(JSONValue.Fault) {
        guard let byte = next else { throw fault("a string without end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): decoded.append(byte)
        case UInt8(ascii: "b"): decoded.append(0x08)
        case UInt8(ascii: "f"): decoded.append(0x0C)
        case UInt8(ascii: "n"): decoded.append(0x0A)
        case UInt8(ascii: "r"): decoded.append(0x0D)
        case UInt8(ascii: "t"): decoded.append(0x09)
        case UInt8(ascii: "u"): decoded.append(contentsOf: Array(String(Character(try escapedScalar())).utf8))
        default: throw fault("an unknown escape")
        }
    }

    private mutating func escapedScalar() throws(JSONValue.Fault) -> Unicode.Scalar {
        let first = try hexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, take("\\"), take("u") else { throw fault("half a surrogate pair") }
        let second = try hexadecimal()
        guard (0xDC00...0xDFFF).contains(second), let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)) else {
            throw fault("half a surrogate pair")
        }
        return scalar
    }

    private mutating func hexadecimal() throws(JSONValue.Fault) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw fault("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}
