/// The regular files of a tar archive, one after the other: ustar, GNU (long names, large sizes) and pax.
///
/// Nothing is ever written, so names need no trust. Links, devices and folders are passed over.
struct TarReader {
    struct Member {
        /// Without `./` in front.
        let name: [UInt8]
        let size: Int
        /// Where its header begins.
        let offset: Int
    }

    static let blockSize = 512
    /// Bytes of a long name or a pax header; names have 4096 at most on Linux.
    private static let longestExtension = 1 << 20

    private let file: InputFile
    /// Bytes of the current member, and of the padding behind it, that were not read yet.
    private var unread = 0
    private var padding = 0
    private var isAtEnd = false
    /// From a pax header that holds for all members behind it.
    private var common = TarExtension()

    init(_ file: InputFile) { self.file = file }

    /// The next member. nil at the archive's end mark; what follows that is not looked at.
    ///
    /// Throws: `corruptArchive`, `truncatedArchive`, `unreadable`; there is no going on after that.
    mutating func next() throws(DatasetError) -> Member? {
        guard !isAtEnd else { return nil }
        isAtEnd = true  // until the member is known to be good
        var pending = TarExtension()
        while true {
            try skipRest()
            let offset = file.offset
            let block = try file.read(Self.blockSize)
            guard block.count == Self.blockSize else { throw .truncatedArchive(path: file.name, offset: file.offset) }
            guard block.contains(where: { $0 != 0 }) else { return nil }
            let header: TarHeader
            do throws(TarHeader.Problem) { header = try TarHeader(block) } catch { throw corrupt(error.reason, at: offset) }
            var size = header.hasNoContent ? 0 : header.size
            if header.isRegular { size = pending.size ?? common.size ?? size }
            guard size <= Int.max - Self.blockSize else { throw corrupt("a member of \(size) bytes can't be", at: offset) }
            unread = size
            padding = (Self.blockSize - size % Self.blockSize) % Self.blockSize

            switch header.type {
            case UInt8(ascii: "L"):
                pending.path = Array(try readExtension().prefix { $0 != 0 })
            case UInt8(ascii: "x"):
                let problem = pending.read(try readExtension())
                if let problem { throw corrupt(problem, at: offset) }
            case UInt8(ascii: "g"):
                let problem = common.read(try readExtension())
                if let problem { throw corrupt(problem, at: offset) }
            case _ where header.isRegular:
                var name = pending.path ?? common.path ?? header.name
                while name.starts(with: [UInt8(ascii: "."), UInt8(ascii: "/")]) { name.removeFirst(2) }
                isAtEnd = false
                return Member(name: name, size: size, offset: offset)
            case UInt8(ascii: "K"):
                continue
            default:
                pending = TarExtension()
            }
        }
    }

    /// The bytes of the member that `next` just gave. Without this call they are skipped.
    mutating func readMember() throws(DatasetError) -> [UInt8] {
        let bytes = try file.read(unread)
        guard bytes.count == unread else {
            isAtEnd = true
            throw .truncatedArchive(path: file.name, offset: file.offset)
        }
        unread = 0
        return bytes
    }

    private mutating func readExtension() throws(DatasetError) -> [UInt8] {
        guard unread <= Self.longestExtension else { throw corrupt("a header of \(unread) bytes", at: file.offset) }
        let bytes = try readMember()
        try skipRest()
        return bytes
    }

    private mutating func skipRest() throws(DatasetError) {
        guard try file.skip(unread), try file.skip(padding) else { throw .truncatedArchive(path: file.name, offset: file.offset) }
        (unread, padding) = (0, 0)
    }

    private func corrupt(_ reason: String, at offset: Int) -> DatasetError {
        .corruptArchive(path: file.name, offset: offset, reason: reason)
    }
}
