internal import Foundation

/// Writes a tar archive (POSIX ustar), member after member; what is written is on disk when `finish` returns.
package final class TarWriter {
    private let path: String
    private let handle: FileHandle

    /// Makes the archive, empty; one that is there is replaced.
    ///
    /// Throws: `unwritable` where it can't be made.
    package init(path: String) throws(DatasetError) {
        self.path = path
        guard FileManager.default.createFile(atPath: path, contents: nil), let handle = FileHandle(forWritingAtPath: path) else {
            throw .unwritable(path: path, reason: String(cString: strerror(errno)))
        }
        self.handle = handle
    }

    /// Adds a regular file. Precondition: the name has at most 100 bytes of UTF-8.
    package func add(_ name: String, _ bytes: [UInt8]) throws(DatasetError) {
        let padding = (TarReader.blockSize - bytes.count % TarReader.blockSize) % TarReader.blockSize
        try write(Self.header(name, size: bytes.count) + bytes + [UInt8](repeating: 0, count: padding))
    }

    /// Writes the end mark and closes the file.
    package func finish() throws(DatasetError) {
        try write([UInt8](repeating: 0, count: 2 * TarReader.blockSize))
        do {
            try handle.synchronize()
            try handle.close()
        } catch { throw .unwritable(path: path, reason: "\(error.localizedDescription)") }
    }

    private func write(_ bytes: [UInt8]) throws(DatasetError) {
        do { try handle.write(contentsOf: Data(bytes)) } catch { throw .unwritable(path: path, reason: "\(error.localizedDescription)") }
    }

    private static func header(_ name: String, size: Int) -> [UInt8] {
        precondition(name.utf8.count <= 100, "\(name) is too long for a tar header")
        var block = [UInt8](repeating: 0, count: TarReader.blockSize)
        func put(_ text: String, at offset: Int) { block.replaceSubrange(offset..<offset + text.utf8.count, with: Array(text.utf8)) }
        func octal(_ value: Int, digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(name, at: 0)
        put(octal(0o644, digits: 7), at: 100)
        put(octal(0, digits: 7), at: 108)
        put(octal(0, digits: 7), at: 116)
        put(octal(size, digits: 11), at: 124)
        // The same members give the same bytes, so no time of day.
        put(octal(0, digits: 11), at: 136)
        put("        0", at: 148)
        put("ustar\u{0}00", at: 257)
        let sum = block.reduce(0) { $0 + Int($1) }
        put(octal(sum, digits: 6) + "\u{0} ", at: 148)
        return block
    }
}
