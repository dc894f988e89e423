internal import Foundation
internal import Tensors

/// A ZIP archive, mapped, its directory checked: entries lie inside the file without overlapping, and their names can't leave a folder.
///
/// Nothing is ever written to disk; what is stored uncompressed is read in place.
struct ZipArchive {
    struct Entry {
        let name: String
        /// 0 stored, 8 deflated.
        let method: UInt16
        let checksum: UInt32
        /// Bytes in the file.
        let storedSize: Int
        /// Bytes after inflating.
        let size: Int
        /// Of the data, in the file.
        let offset: Int
        /// Of the local header before it.
        let headerOffset: Int

        var isStored: Bool { method == 0 }
    }

    /// Checkpoints have a few hundred entries, one for each tensor.
    static let entryLimit = 65_536
    /// What is inflated is a pickle or a word such as "little", never a tensor.
    static let inflatedLimit = 8 << 20

    let file: MappedFile
    let entries: [String: Entry]

    init(_ file: MappedFile) throws(CLIPError) {
        self.file = file
        let name = file.url.path
        entries = try file.withUnsafeBytes { (bytes) throws(CLIPError) in
            try ZipDirectory(bytes: bytes, file: name).entries()
        }
    }

    /// Whether a file with these first bytes claims to be an archive.
    static func claims(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count >= 4 && bytes[0] == 0x50 && bytes[1] == 0x4B && bytes[2] == 3 && bytes[3] == 4
    }

    /// The bytes of a small entry, inflated if need be, checked against its checksum.
    func contents(_ entry: Entry) throws(CLIPError) -> [UInt8] {
        let path = file.url.path
        guard entry.size <= Self.inflatedLimit else {
            throw .archive(file: path, entry: entry.name, reason: "has \(entry.size) bytes where at most \(Self.inflatedLimit) are read")
        }
        let contents = try file.withUnsafeBytes { (bytes) throws(CLIPError) in
            let stored = UnsafeRawBufferPointer(rebasing: bytes[entry.offset..<entry.offset + entry.storedSize])
            if entry.isStored { return Array(stored) }
            guard let inflated = ZipInflate.inflate(stored, size: entry.size) else {
                throw .archive(file: path, entry: entry.name, reason: "can't be inflated to the \(entry.size) bytes it announces")
            }
            return inflated
        }
        guard ZipInflate.checksum(contents) == entry.checksum else {
            throw .archive(file: path, entry: entry.name, reason: "doesn't have the checksum it announces")
        }
        return contents
    }
}
