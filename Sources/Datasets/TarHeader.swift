/// A member's header block of 512 bytes.
///
///     0 name 100 | 124 size 12 | 148 checksum 8 | 156 type 1 | 257 "ustar" 5 | 345 prefix 155
///
/// Numbers are octal digits; a size with the highest bit set is binary, big-endian (GNU).
struct TarHeader {
    /// Why a block is no header.
    struct Problem: Error {
        let reason: String
    }

    let name: [UInt8]
    let size: Int
    let type: UInt8

    /// '0', a zero byte (before POSIX) and '7' (contiguous) are files.
    var isRegular: Bool { type == UInt8(ascii: "0") || type == 0 || type == UInt8(ascii: "7") }

    /// Links, devices, folders and pipes: whatever size they state, nothing follows.
    var hasNoContent: Bool { (UInt8(ascii: "1")...UInt8(ascii: "6")).contains(type) }

    init(_ block: [UInt8]) throws(Problem) {
        guard block.count == TarReader.blockSize else { throw Problem(reason: "a header has 512 bytes") }
        guard Self.isChecksumRight(block) else { throw Problem(reason: "the header's checksum is wrong") }
        guard let size = Self.number(block[124..<136]) else { throw Problem(reason: "the member's size is not a number") }
        self.size = size
        type = block[156]
        let isUstar = block[257..<262].elementsEqual("ustar".utf8)
        // GNU's own form, "ustar  ", keeps other things where the prefix would be.
        let hasPrefix = isUstar && block[262] == 0 && block[345] != 0
        let prefix = hasPrefix ? Array(block[345..<500].prefix { $0 != 0 }) + [UInt8(ascii: "/")] : []
        name = prefix + block[0..<100].prefix { $0 != 0 }
    }

    /// The sum of all bytes with the checksum's own taken as spaces; some old programs summed signed bytes.
    private static func isChecksumRight(_ block: [UInt8]) -> Bool {
        guard let expected = number(block[148..<156]) else { return false }
        var unsigned = 0
        var signed = 0
        for (index, byte) in block.enumerated() {
            let value = (148..<156).contains(index) ? UInt8(ascii: " ") : byte
            unsigned += Int(value)
            signed += Int(Int8(bitPattern: value))
        }
        return expected == unsigned || expected == signed
    }

    private static func number(_ field: ArraySlice<UInt8>) -> Int? {
        guard let first = field.first else { return nil }
        if first == 0x80 {
            var value = 0
            for byte in field.dropFirst() {
                guard value <= Int.max >> 8 else { return nil }
                value = value << 8 | Int(byte)
            }
            return value
        }
        let digits = field.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
        // At most 12 octal digits, 36 bits.
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
            value = value << 3 | Int(digit - UInt8(ascii: "0"))
        }
        return value
    }
}

/// What a pax header or a GNU long name says about the members behind it.
struct TarExtension {
    var path: [UInt8]?
    var size: Int?

    /// Takes the records of a pax header, each `LENGTH KEY=VALUE\n` with its own length in front. Returns what is wrong with them.
    mutating func read(_ bytes: [UInt8]) -> String? {
        var rest = bytes[...]
        while let first = rest.first, first != 0 {
            guard let space = rest.firstIndex(of: UInt8(ascii: " ")), space - rest.startIndex <= 7,
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > space - rest.startIndex + 1,
                length <= rest.count
            else { return "a record of a pax header has a wrong length" }
            let record = rest[(space + 1)..<(rest.startIndex + length)]
            guard record.last == UInt8(ascii: "\n"), let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
                return "a record of a pax header has no value"
            }
            let value = record[(equals + 1)..<(record.endIndex - 1)]
            switch String(decoding: record[..<equals], as: UTF8.self) {
            case "path":
                guard !value.isEmpty, !value.contains(0) else { return "a path of a pax header is not a path" }
                path = Array(value)
            case "size":
                guard let number = Int(String(decoding: value, as: UTF8.self)), number >= 0 else {
                    return "a size of a pax header is not a number"
                }
                size = number
            default: break
            }
            rest = rest[(rest.startIndex + length)...]
        }
        return nil
    }
}
