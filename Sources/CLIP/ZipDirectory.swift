/// The central directory at a ZIP archive's end, and the local headers that it points to.
struct ZipDirectory {
    let bytes: UnsafeRawBufferPointer
    let file: String

    private struct Location {
        let offset: Int
        let size: Int
        let count: Int
    }

    func entries() throws(CLIPError) -> [String: ZipArchive.Entry] {
        let location = try locate()
        var entries: [String: ZipArchive.Entry] = [:]
        var position = location.offset
        for _ in 0..<location.count {
            let (entry, next) = try entry(at: position, dataEnd: location.offset)
            guard entries.updateValue(entry, forKey: entry.name) == nil else { throw refused("is there twice", entry: entry.name) }
            position = next
        }
        guard position == location.offset + location.size else { throw refused("its directory has another length than it announces") }
        try checkOverlap(entries)
        return entries
    }

    private func refused(_ reason: String, entry: String? = nil) -> CLIPError { .archive(file: file, entry: entry, reason: reason) }

    private func integer<Value: FixedWidthInteger>(_: Value.Type, at offset: Int) throws(CLIPError) -> Value {
        guard offset >= 0, offset <= bytes.count, bytes.count - offset >= MemoryLayout<Value>.size else {
            throw refused("it ends inside its directory")
        }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }

    private func half(at offset: Int) throws(CLIPError) -> Int { Int(try integer(UInt16.self, at: offset)) }
    private func word(at offset: Int) throws(CLIPError) -> Int { Int(try integer(UInt32.self, at: offset)) }

    private func long(at offset: Int) throws(CLIPError) -> Int {
        guard let value = Int(exactly: try integer(UInt64.self, at: offset)) else { throw refused("a size in it is out of range") }
        return value
    }

    // MARK: The end record

    /// The record has 22 bytes and a comment. It must end where the file ends: what follows an archive belongs to another format.
    private func locate() throws(CLIPError) -> Location {
        let lowest = max(0, bytes.count - 22 - 65_535)
        var end = bytes.count - 22
        while end >= lowest {
            let length = try half(at: end + 20)
            if try word(at: end) == 0x0605_4B50, end + 22 + length == bytes.count { break }
            end -= 1
        }
        guard end >= lowest else { throw refused("it has no directory at its end; it is cut short or no archive") }
        var count = try half(at: end + 10)
        var size = try word(at: end + 12)
        var offset = try word(at: end + 16)
        var directoryEnd = end
        if end >= 20, try word(at: end - 20) == 0x0706_4B50 {
            directoryEnd = try long(at: end - 20 + 8)
            guard directoryEnd <= end - 20 - 56, try word(at: directoryEnd) == 0x0606_4B50 else {
                throw refused("its 64-bit end record is not where it should be")
            }
            count = try long(at: directoryEnd + 32)
            size = try long(at: directoryEnd + 40)
            offset = try long(at: directoryEnd + 48)
        }
        guard count <= ZipArchive.entryLimit else {
            throw refused("it announces \(count) entries; no more than \(ZipArchive.entryLimit) are accepted")
        }
        guard offset <= directoryEnd, size == directoryEnd - offset else { throw refused("its directory isn't where it should be") }
        return Location(offset: offset, size: size, count: count)
    }

    // MARK: Entries

    private func entry(at start: Int, dataEnd: Int) throws(CLIPError) -> (ZipArchive.Entry, next: Int) {
        guard try word(at: start) == 0x0201_4B50 else { throw refused("its directory is damaged") }
        let flags = try half(at: start + 8)
        let method = try integer(UInt16.self, at: start + 10)
        let (nameLength, extraLength, commentLength) = (try half(at: start + 28), try half(at: start + 30), try half(at: start + 32))
        let name = try self.name(at: start + 46, length: nameLength)
        guard flags & 0x2041 == 0 else { throw refused("is encrypted", entry: name) }
        guard method == 0 || method == 8 else { throw refused("is compressed by method \(method)", entry: name) }
        // Made on Unix (3), mode S_IFLNK.
        let (system, mode) = (try half(at: start + 4) >> 8, try word(at: start + 38) >> 28)
        guard system != 3 || mode != 0xA else { throw refused("is a symbolic link", entry: name) }

        var size = try word(at: start + 24)
        var storedSize = try word(at: start + 20)
        var headerOffset = try word(at: start + 42)
        try widen(&size, &storedSize, &headerOffset, extra: start + 46 + nameLength, length: extraLength, entry: name)
        guard method == 8 || size == storedSize else {
            throw refused("is stored in \(storedSize) bytes but announces \(size)", entry: name)
        }
        let offset = try dataOffset(headerOffset, nameAt: start + 46, nameLength: nameLength, dataEnd: dataEnd, entry: name)
        guard storedSize <= dataEnd - offset else { throw refused("reaches beyond the data", entry: name) }
        let entry = ZipArchive.Entry(
            name: name, method: method, checksum: try integer(UInt32.self, at: start + 16), storedSize: storedSize, size: size,
            offset: offset,
            headerOffset: headerOffset)
        return (entry, start + 46 + nameLength + extraLength + commentLength)
    }

    /// A relative path that stays where it is put.
    private func name(at offset: Int, length: Int) throws(CLIPError) -> String {
        guard length > 0, length <= 1_024, offset <= bytes.count - length else {
            throw refused("an entry's name is missing, too long or cut short")
        }
        let utf8 = bytes[offset..<offset + length]
        guard let name = String(validating: utf8, as: UTF8.self) else { throw refused("an entry's name is not UTF-8") }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !utf8.contains(0), !utf8.contains(UInt8(ascii: "\\")), parts.first != "", !parts.contains("..") else {
            throw refused("has a name that leads out of its folder", entry: name)
        }
        return name
    }

    /// Sizes and offset from the 64-bit extra field, where the 32-bit ones are all ones.
    private func widen(
        _ size: inout Int, _ storedSize: inout Int, _ headerOffset: inout Int, extra: Int, length: Int, entry: String
    ) throws(CLIPError) {
        let sentinel = Int(UInt32.max)
        guard size == sentinel || storedSize == sentinel || headerOffset == sentinel else { return }
        var position = extra
        let end = extra + length
        while position + 4 <= end {
            let (kind, fieldLength) = (try half(at: position), try half(at: position + 2))
            var field = position + 4
            let fieldEnd = field + fieldLength
            position = fieldEnd
            guard kind == 1, fieldEnd <= end else { continue }
            func take(_ value: inout Int) throws(CLIPError) {
                guard value == sentinel else { return }
                guard field + 8 <= fieldEnd else { throw refused("has a damaged 64-bit size", entry: entry) }
                value = try long(at: field)
                field += 8
            }
            try take(&size)
            try take(&storedSize)
            try take(&headerOffset)
            return
        }
        throw refused("has no 64-bit size", entry: entry)
    }

    /// Where the data begin, behind a local header that must tell the same name.
    private func dataOffset(_ header: Int, nameAt: Int, nameLength: Int, dataEnd: Int, entry: String) throws(CLIPError) -> Int {
        guard header <= dataEnd - 30, try word(at: header) == 0x0403_4B50 else { throw refused("has no local header", entry: entry) }
        let localLength = try half(at: header + 26)
        let offset = header + 30 + localLength + (try half(at: header + 28))
        guard offset <= dataEnd else { throw refused("reaches beyond the data", entry: entry) }
        let isSame =
            localLength == nameLength && bytes[header + 30..<header + 30 + localLength].elementsEqual(bytes[nameAt..<nameAt + nameLength])
        guard isSame else { throw refused("has another name in its local header", entry: entry) }
        guard try half(at: header + 6) & 0x2041 == 0 else { throw refused("is encrypted", entry: entry) }
        return offset
    }

    /// Entries that share bytes are how small archives inflate to huge ones. The first must begin where the file does.
    private func checkOverlap(_ entries: [String: ZipArchive.Entry]) throws(CLIPError) {
        var previousEnd = 0
        for entry in entries.values.sorted(by: { $0.headerOffset < $1.headerOffset }) {
            guard entry.headerOffset >= previousEnd else { throw refused("overlaps the one before it", entry: entry.name) }
            if previousEnd == 0, entry.headerOffset != 0 { throw refused("something precedes its first entry") }
            previousEnd = entry.offset + entry.storedSize
        }
    }
}
