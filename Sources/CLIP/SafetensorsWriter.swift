package import Foundation
package import Tensors

/// Writes safetensors files: whole or not at all.
package enum SafetensorsWriter {
    /// A tensor to be written.
    package struct Entry: Sendable {
        let name: String
        let type: ElementType
        let shape: [Int]
        fileprivate let content: Content

        fileprivate enum Content: Sendable {
            case floats(FloatTensor)
            case bytes([UInt8])
        }

        package init(_ name: String, _ tensor: FloatTensor) {
            self.name = name
            type = .float32
            shape = tensor.shape
            content = .floats(tensor)
        }

        /// - Parameter bytes: row-major, little-endian.
        /// - Precondition: as many as the shape needs.
        package init(_ name: String, type: ElementType, shape: [Int], bytes: [UInt8]) {
            precondition(
                SafetensorsFile.byteCount(shape: shape, type: type) == bytes.count, "\(bytes.count) bytes for shape \(shape) of \(type)")
            self.name = name
            self.type = type
            self.shape = shape
            content = .bytes(bytes)
        }

        fileprivate var byteCount: Int { shape.reduce(type.size, *) }

        fileprivate func withUnsafeBytes(_ body: (UnsafeRawBufferPointer) -> Bool) -> Bool {
            switch content {
            case .floats(let tensor): tensor.withUnsafeBufferPointer { body(UnsafeRawBufferPointer($0)) }
            case .bytes(let bytes): bytes.withUnsafeBytes(body)
            }
        }
    }

    /// Writes beside `url`, syncs, and renames, so that nobody ever sees half a file and a crash leaves the old one.
    ///
    /// The same entries and metadata give the same bytes.
    ///
    /// - Precondition: no two entries have the same name.
    package static func write(_ entries: [Entry], metadata: [String: String] = [:], to url: URL) throws(CLIPError) {
        let ordered = self.ordered(entries)
        let header = self.header(ordered, metadata)
        try replace(url) { descriptor in
            guard header.withUnsafeBytes({ write($0, to: descriptor) }) else { return false }
            return ordered.allSatisfy { $0.withUnsafeBytes { write($0, to: descriptor) } }
        }
    }

    /// The same as bytes.
    ///
    /// - Precondition: no two entries have the same name.
    package static func bytes(_ entries: [Entry], metadata: [String: String] = [:]) -> [UInt8] {
        let ordered = self.ordered(entries)
        var bytes = header(ordered, metadata)
        bytes.reserveCapacity(bytes.count + ordered.reduce(0) { $0 + $1.byteCount })
        for entry in ordered {
            _ = entry.withUnsafeBytes { content in
                bytes.append(contentsOf: content)
                return true
            }
        }
        return bytes
    }

    /// Wide elements first keeps every tensor aligned to its element.
    private static func ordered(_ entries: [Entry]) -> [Entry] {
        entries.sorted { ($1.type.size, $0.name) < ($0.type.size, $1.name) }
    }

    /// The length and the JSON, padded with spaces so that the tensors begin at a multiple of 64.
    private static func header(_ entries: [Entry], _ metadata: [String: String]) -> [UInt8] {
        precondition(Set(entries.map(\.name)).count == entries.count, "two tensors of the same name")
        var members: [String] = []
        if !metadata.isEmpty {
            let texts = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
            members.append("\"__metadata__\":{\(texts.joined(separator: ","))}")
        }
        var offset = 0
        for entry in entries {
            let end = offset + entry.byteCount
            let shape = entry.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(quoted(entry.name)):{\"dtype\":\"\(entry.type.rawValue)\",\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        var json = Array("{\(members.joined(separator: ","))}".utf8)
        while (json.count + 8) % 64 != 0 { json.append(UInt8(ascii: " ")) }
        return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private static func replace(_ url: URL, _ body: (Int32) -> Bool) throws(CLIPError) {
        let folder = url.deletingLastPathComponent()
        let temporary = folder.appendingPathComponent(".\(url.lastPathComponent).\(UUID().uuidString).tmp").path
        func failed() -> CLIPError { .unwritable(path: url.path, reason: String(cString: strerror(errno))) }
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failed() }
        let isWritten = body(descriptor) && fsync(descriptor) == 0
        let writing = failed()
        let isClosed = close(descriptor) == 0
        guard isWritten, isClosed, rename(temporary, url.path) == 0 else {
            let error = isWritten ? failed() : writing
            unlink(temporary)
            throw error
        }
        let parent = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard parent >= 0 else { throw failed() }
        defer { close(parent) }
        guard fsync(parent) == 0 else { throw failed() }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = Foundation.write(descriptor, base, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        return true
    }
}
