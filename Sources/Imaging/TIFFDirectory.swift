/// The first directory of the TIFF structure that EXIF is, as far as its orientation goes.
struct TIFFDirectory {
    static let exifPrefix: [UInt8] = Array("Exif".utf8) + [0, 0]

    private let bytes: UnsafeRawBufferPointer
    private let isBigEndian: Bool

    /// The value of the orientation tag; nil where there is none, 0 where it is there and no whole number.
    static func orientation(in bytes: UnsafeRawBufferPointer) -> Int? { TIFFDirectory(bytes)?.orientation() }

    private init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 8 else { return nil }
        switch (bytes[0], bytes[1], bytes[2], bytes[3]) {
        case (0x49, 0x49, 0x2A, 0), (0x49, 0x49, 0, 0x2A): isBigEndian = false
        case (0x4D, 0x4D, 0, 0x2A), (0x4D, 0x4D, 0x2A, 0): isBigEndian = true
        default: return nil  // BigTIFF in EXIF is no form that anything writes
        }
        self.bytes = bytes
    }

    private func integer<Value: FixedWidthInteger>(_ offset: Int, _: Value.Type) -> Value? {
        guard offset >= 0, offset <= bytes.count - MemoryLayout<Value>.size else { return nil }
        let value = bytes.loadUnaligned(fromByteOffset: offset, as: Value.self)
        return isBigEndian ? value.bigEndian : value.littleEndian
    }

    /// Reads entries (tag, type, count, value or its offset; 12 bytes) up to the orientation, or to where the block is damaged.
    private func orientation() -> Int? {
        guard let directory = integer(4, UInt32.self), let count = integer(Int(directory), UInt16.self) else { return nil }
        var outOfLine = 0
        for index in 0..<Int(count) {
            let entry = Int(directory) + 2 + index * 12
            guard let tag = integer(entry, UInt16.self), let type = integer(entry + 2, UInt16.self),
                let n = integer(entry + 4, UInt32.self),
                let offset = integer(entry + 8, UInt32.self)
            else { return nil }
            guard let unit = Self.size(of: type), n > 0 else { continue }
            let size = Int(n) * unit
            var at = entry + 8
            if size > 4 {
                outOfLine += size
                if outOfLine > bytes.count { continue }
                at = Int(offset)
                if at > bytes.count - size { return nil }
            }
            if tag == 0x0112 { return value(at, type) }
        }
        return nil
    }

    private static func size(of type: UInt16) -> Int? {
        switch type {
        case 1, 2, 6, 7: 1
        case 3, 8: 2
        case 4, 9, 11, 13: 4
        case 5, 10, 12, 16: 8
        default: nil
        }
    }

    private func value(_ at: Int, _ type: UInt16) -> Int {
        switch type {
        case 3: integer(at, UInt16.self).map(Int.init) ?? 0
        case 8: integer(at, Int16.self).map(Int.init) ?? 0
        case 4, 13: integer(at, UInt32.self).map(Int.init) ?? 0
        case 9: integer(at, Int32.self).map(Int.init) ?? 0
        case 6: integer(at, Int8.self).map(Int.init) ?? 0
        case 16: integer(at, UInt64.self).map { Int(clamping: $0) } ?? 0
        case 11: integer(at, UInt32.self).flatMap { Int(exactly: Float(bitPattern: $0)) } ?? 0
        case 12: integer(at, UInt64.self).flatMap { Int(exactly: Double(bitPattern: $0)) } ?? 0
        case 5: quotient(integer(at, UInt32.self).map(Int.init), integer(at + 4, UInt32.self).map(Int.init))
        case 10: quotient(integer(at, Int32.self).map(Int.init), integer(at + 4, Int32.self).map(Int.init))
        default: 0  // bytes and text
        }
    }

    private func quotient(_ numerator: Int?, _ denominator: Int?) -> Int {
        guard let numerator, let denominator, denominator != 0, numerator % denominator == 0 else { return 0 }
        return numerator / denominator
    }
}
