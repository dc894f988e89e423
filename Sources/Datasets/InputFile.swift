internal import Glibc

/// An open file, read from front to back. Paths are bytes: a name need not be UTF-8.
final class InputFile {
    let name: String
    private let descriptor: Int32
    private let isOwned: Bool
    private var buffer: [UInt8] = []
    private var head = 0
    /// Bytes that were handed out or skipped.
    private(set) var offset = 0

    init(_ path: [UInt8]) throws(DatasetError) {
        name = String(decoding: path, as: UTF8.self)
        guard !path.contains(0) else { throw .unreadable(path: name, reason: "a path can't have a zero byte") }
        descriptor = path.withCPath { open($0, O_RDONLY | O_CLOEXEC) }
        isOwned = true
        guard descriptor >= 0 else { throw .unreadable(path: name, reason: Self.reason) }
    }

    /// Standard input.
    init() {
        name = "standard input"
        descriptor = STDIN_FILENO
        isOwned = false
    }

    deinit { if isOwned { close(descriptor) } }

    static var reason: String { String(cString: strerror(errno)) }

    /// Its length in bytes; 0 for a pipe.
    var size: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Everything that is left, if it is at most `limit` bytes.
    func readAll(limit: Int) throws(DatasetError) -> [UInt8] {
        let expected = size
        guard expected <= limit else { throw .tooLarge(item: name, bytes: expected, limit: limit) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(expected)
        while let chunk = try nextChunk() {
            bytes += chunk
            // A file that grows, or a pipe, has no size to look at.
            guard bytes.count <= limit else { throw .tooLarge(item: name, bytes: bytes.count, limit: limit) }
        }
        return bytes
    }

    /// Up to `count` bytes; fewer only at the end of the file. Memory grows with what is really there, not with `count`.
    func read(_ count: Int) throws(DatasetError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            if head == buffer.count, try !fill() { break }
            let taken = min(count - bytes.count, buffer.count - head)
            bytes += buffer[head..<head + taken]
            head += taken
        }
        offset += bytes.count
        return bytes
    }

    /// The next byte, or nil at the end of the file.
    func readByte() throws(DatasetError) -> UInt8? {
        if head == buffer.count, try !fill() { return nil }
        defer {
            head += 1
            offset += 1
        }
        return buffer[head]
    }

    /// Skips `count` bytes; false if the file ends before.
    func skip(_ count: Int) throws(DatasetError) -> Bool {
        var left = count
        while left > 0 {
            if head == buffer.count, try !fill() { return false }
            let taken = min(left, buffer.count - head)
            head += taken
            left -= taken
            offset += taken
        }
        return true
    }

    private func nextChunk() throws(DatasetError) -> [UInt8]? {
        if head == buffer.count, try !fill() { return nil }
        defer {
            offset += buffer.count - head
            head = buffer.count
        }
        return head == 0 ? buffer : Array(buffer[head...])
    }

    /// False at the end of the file.
    private func fill() throws(DatasetError) -> Bool {
        var count = 0
        buffer = [UInt8](unsafeUninitializedCapacity: 256 << 10) { target, initialized in
            repeat { count = Glibc.read(descriptor, target.baseAddress, target.count) } while count < 0 && errno == EINTR
            initialized = max(0, count)
        }
        head = 0
        guard count >= 0 else { throw .unreadable(path: name, reason: Self.reason) }
        return count > 0
    }
}

/// What lies at a path.
enum PathKind: Equatable {
    case file, folder(device: UInt64, inode: UInt64), other

    /// Nil if there is nothing, or nothing that may be looked at; `errno` says why. Links are followed.
    init?(_ path: [UInt8]) {
        var status = stat()
        guard path.withCPath({ stat($0, &status) }) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: self = .file
        case S_IFDIR: self = .folder(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        default: self = .other
        }
    }
}

extension [UInt8] {
    /// Lends the bytes as a C string.
    func withCPath<Value>(_ body: (UnsafePointer<CChar>) -> Value) -> Value {
        let characters = map { CChar(bitPattern: $0) } + [0]
        return characters.withUnsafeBufferPointer { buffer in
            // An array with a zero at its end is never empty.
            buffer.baseAddress.map(body) ?? body("")
        }
    }

    /// True if the name ends as PNG and JPEG files do, in either case.
    var isImageName: Bool {
        ["png", "jpg", "jpeg"].contains { hasSuffix(".\($0)") }
    }

    /// ASCII without regard to case.
    func hasSuffix(_ suffix: String) -> Bool {
        count > suffix.utf8.count
            && zip(self.suffix(suffix.utf8.count), suffix.utf8).allSatisfy { byte, expected in
                (byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte) == expected
            }
    }
}
