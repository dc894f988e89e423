internal import Glibc

/// Files with keys, in ZPL (ZeroMQ RFC 4): short texts, and those with secrets for their owner's eyes only.
package enum KeyFile {
    /// The longest file that is read.
    private static let maximumBytes = 64 << 10

    /// A file's text, and whether others than its owner may read it.
    package static func read(_ path: String) throws(KeyFileError) -> (text: String, isExposed: Bool) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(path: path, errno: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(path: path, errno: errno) }
        var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw .unreadable(path: path, errno: errno) }
        guard count <= maximumBytes, let text = String(validating: bytes.prefix(count), as: UTF8.self) else {
            throw .malformed(path: path, reason: "it is not a short UTF-8 text")
        }
        return (text, status.st_mode & 0o077 != 0)
    }

    /// Writes a new file, 0600 if it is secret and 0644 otherwise. Throws also if the file exists.
    package static func write(_ text: String, to path: String, isSecret: Bool) throws(KeyFileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, isSecret ? 0o600 : 0o644)
        guard descriptor >= 0 else { throw .unwritable(path: path, errno: errno) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            throw .unwritable(path: path, errno: errno)
        }
    }

    /// The `*.key` files of a folder, sorted.
    package static func publicFiles(in folder: String) throws(KeyFileError) -> [String] {
        guard let directory = opendir(folder) else { throw .unreadableFolder(path: folder, errno: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasSuffix(".key"), !name.hasPrefix(".") { names.append("\(folder)/\(name)") }
        }
        return names.sorted()
    }

    /// `section/name` -> value. An indented line belongs to the section above it.
    package static func values(_ text: String) -> [String: String] {
        var values: [String: String] = [:]
        var section = ""
        for line in text.split(whereSeparator: \.isNewline) {
            let isIndented = line.first == " " || line.first == "\t"
            let content = line.trimmed
            if content.isEmpty || content.hasPrefix("#") { continue }
            guard let equals = content.firstIndex(of: "=") else {
                if !isIndented { section = content }
                continue
            }
            let name = Substring(content[..<equals]).trimmed
            var value = Substring(content[content.index(after: equals)...]).trimmed
            if value.count >= 2, let quote = value.first, quote == "\"" || quote == "'", value.last == quote {
                value = String(value.dropFirst().dropLast())
            }
            values[isIndented ? "\(section)/\(name)" : name] = value
        }
        return values
    }
}

extension Substring {
    fileprivate var trimmed: String {
        let start = drop { $0 == " " || $0 == "\t" || $0 == "\r" }
        guard let end = start.lastIndex(where: { $0 != " " && $0 != "\t" && $0 != "\r" }) else { return "" }
        return String(start[...end])
    }
}
