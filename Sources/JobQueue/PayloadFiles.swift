internal import Crypto
internal import Foundation

/// Where a payload lies. The numbers are journalled.
enum PayloadPlace: Hashable, Sendable {
    /// There is none, or it is in the job's row.
    case row
    /// In `payload-N`.
    case segment(UInt32, offset: Int64)
    /// In `spool/`, under the hex of its SHA-256.
    case spool
}

/// Payloads apart from the database: small files of many payloads, and a file each for large ones. A file goes when nobody needs anything
/// in it any more.
struct PayloadFiles {
    /// Smaller payloads lie in the job's row: a write to another file would cost a second fsync a commit.
    static let rowLimit = 1024
    /// Larger ones get a file of their own, shared by jobs of the same content.
    static let segmentLimit = 256 << 10
    /// A segment that has grown to this is followed by the next.
    static let segmentBytes: Int64 = 64 << 20

    let folder: String
    private var current: (number: UInt32, descriptor: Int32, length: Int64)?
    private var nextSegment: UInt32 = 1
    /// Payloads that are needed, by segment and by content.
    private var live: [UInt32: Int] = [:]
    private var spooled: [[UInt8]: Int] = [:]
    /// Nothing is deleted while a backup copies.
    private var pins = 0
    private var condemned: [String] = []
    /// Full ones, whose payloads may not be counted yet.
    private var justFull: [UInt32] = []

    init(folder: String) {
        self.folder = folder
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        nextSegment = (names.compactMap(Self.segmentNumber).max() ?? 0) + 1
    }

    /// True if no payload is outside the rows.
    var isEmpty: Bool { live.isEmpty && spooled.isEmpty }

    func path(segment: UInt32) -> String { "\(folder)/payload-\(segment)" }
    func path(spool sha256: [UInt8]) -> String {
        "\(folder)/spool/" + sha256.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private static func segmentNumber(_ name: String) -> UInt32? { name.hasPrefix("payload-") ? UInt32(name.dropFirst(8)) : nil }

    // MARK: Writing

    /// Writes payloads and makes them durable. Returns their places, in order, and how many fsyncs it took.
    mutating func write(_ payloads: [(bytes: [UInt8], sha256: [UInt8])]) throws(JobQueueError) -> (places: [PayloadPlace], syncs: Int) {
        var places: [PayloadPlace] = []
        places.reserveCapacity(payloads.count)
        var syncs = 0
        var isSegmentDirty = false
        var hasNewSegment = false
        for (bytes, sha256) in payloads {
            if bytes.count <= Self.rowLimit {
                places.append(.row)
            } else if bytes.count <= Self.segmentLimit {
                if current == nil {
                    try beginSegment()
                    hasNewSegment = true
                }
                places.append(try append(bytes))
                isSegmentDirty = true
                if let (number, descriptor, length) = current, length >= Self.segmentBytes {
                    try Self.sync(descriptor, folder)
                    syncs += 1
                    close(descriptor)
                    current = nil
                    justFull.append(number)
                    isSegmentDirty = false
                }
            } else {
                let path = path(spool: sha256)
                if spooled[sha256] == nil || !FileManager.default.fileExists(atPath: path) {
                    try JournalFolder.replace(path, with: bytes)
                    syncs += 2
                }
                condemned.removeAll { $0 == path }
                places.append(.spool)
            }
        }
        if isSegmentDirty, let current {
            try Self.sync(current.descriptor, folder)
            syncs += 1
        }
        if hasNewSegment {
            try JournalFolder.sync(folder: folder)
            syncs += 1
        }
        return (places, syncs)
    }

    private mutating func beginSegment() throws(JobQueueError) {
        let path = path(segment: nextSegment)
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw JournalFolder.failure(errno, "open", path) }
        current = (nextSegment, descriptor, 0)
        nextSegment += 1
    }

    private mutating func append(_ bytes: [UInt8]) throws(JobQueueError) -> PayloadPlace {
        guard let (number, descriptor, length) = current else { preconditionFailure("no segment is open") }
        do throws(JobQueueError) {
            try JournalFolder.writeAll(bytes, descriptor, path(segment: number))
        } catch {
            // What was begun is cut off again, so that the length stays true.
            ftruncate(descriptor, off_t(length))
            lseek(descriptor, off_t(length), SEEK_SET)
            throw error
        }
        current = (number, descriptor, length + Int64(bytes.count))
        return .segment(number, offset: length)
    }

    private static func sync(_ descriptor: Int32, _ folder: String) throws(JobQueueError) {
        guard fdatasync(descriptor) == 0 else {
            throw .commitUnknown(reason: "fdatasync of payloads in \(folder): \(JournalFolder.errorText())")
        }
    }

    // MARK: Reading

    /// The bytes at a place; nil if they are not there in full.
    ///
    /// - Throws: `noDescriptors`, or `commitUnknown` where its file is there and can't be opened.
    func read(_ place: PayloadPlace, sha256: [UInt8], count: Int) throws(JobQueueError) -> [UInt8]? {
        let (path, offset): (String, Int64)
        switch place {
        case .row: return nil
        case .segment(let number, let start): (path, offset) = (self.path(segment: number), start)
        case .spool: (path, offset) = (self.path(spool: sha256), 0)
        }
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw JournalFolder.failure(errno, "open", path)
        }
        defer { close(descriptor) }
        var isWhole = true
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var done = 0
            while done < count {
                let got = pread(descriptor, buffer.baseAddress.map { $0 + done }, count - done, off_t(offset) + off_t(done))
                if got < 0, errno == EINTR { continue }
                guard got > 0 else { break }
                done += got
            }
            isWhole = done == count
            initialized = done
        }
        return isWhole ? bytes : nil
    }

    // MARK: What is needed

    mutating func retain(_ place: PayloadPlace, sha256: [UInt8]) {
        switch place {
        case .row: break
        case .segment(let number, _): live[number, default: 0] += 1
        case .spool: spooled[sha256, default: 0] += 1
        }
    }

    mutating func release(_ place: PayloadPlace, sha256: [UInt8]) {
        switch place {
        case .row: break
        case .segment(let number, _):
            live[number, default: 0] -= 1
            if live[number] ?? 0 <= 0 {
                live.removeValue(forKey: number)
                if current?.number != number { remove(path(segment: number)) }
            }
        case .spool:
            spooled[sha256, default: 0] -= 1
            if spooled[sha256] ?? 0 <= 0 {
                spooled.removeValue(forKey: sha256)
                remove(path(spool: sha256))
            }
        }
    }

    /// After a commit has counted its payloads: full segments that nobody needs go.
    mutating func settle() {
        guard !justFull.isEmpty else { return }
        for number in justFull where live[number] == nil { remove(path(segment: number)) }
        justFull = []
    }

    private mutating func remove(_ path: String) { if pins > 0 { condemned.append(path) } else { unlink(path) } }

    /// Keeps all files until `unpin`.
    mutating func pin() { pins += 1 }

    mutating func unpin() {
        pins -= 1
        guard pins == 0 else { return }
        for path in condemned { unlink(path) }
        condemned = []
    }

    /// Deletes files that nobody needs: what a process that was killed left behind.
    mutating func sweep() {
        let files = FileManager.default
        for name in (try? files.contentsOfDirectory(atPath: folder)) ?? [] {
            if let number = Self.segmentNumber(name), live[number] == nil, current?.number != number { unlink(path(segment: number)) }
        }
        let wanted = Set(spooled.keys.map { (path(spool: $0) as NSString).lastPathComponent })
        for name in (try? files.contentsOfDirectory(atPath: folder + "/spool")) ?? [] where !wanted.contains(name) {
            unlink("\(folder)/spool/\(name)")
        }
    }

    /// Overwrites a payload with zeros, where nobody else needs the same bytes.
    func overwrite(_ place: PayloadPlace, sha256: [UInt8], count: Int) throws(JobQueueError) {
        let (path, offset): (String, Int64)
        switch place {
        case .row: return
        case .segment(let number, let start): (path, offset) = (self.path(segment: number), start)
        case .spool:
            guard spooled[sha256] ?? 0 <= 1 else { return }
            (path, offset) = (self.path(spool: sha256), 0)
        }
        let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return }
            throw JournalFolder.failure(errno, "open", path)
        }
        defer { close(descriptor) }
        lseek(descriptor, off_t(offset), SEEK_SET)
        try JournalFolder.writeAll([UInt8](repeating: 0, count: count), descriptor, path)
        try Self.sync(descriptor, folder)
    }

    /// Overwrites everything in the segments that is not `kept` with zeros, and makes that durable.
    mutating func scrub(keeping kept: [UInt32: [Range<Int64>]]) throws(JobQueueError) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            guard let number = Self.segmentNumber(name) else { continue }
            let path = path(segment: number)
            let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                if errno == ENOENT { continue }
                throw JournalFolder.failure(errno, "open", path)
            }
            defer { close(descriptor) }
            if let current, current.number == number, live[number] == nil, pins == 0 {
                // Nobody needs any of it: it begins anew.
                ftruncate(current.descriptor, 0)
                lseek(current.descriptor, 0, SEEK_SET)
                self.current = (number, current.descriptor, 0)
            } else {
                try Self.zero(descriptor, path, besides: kept[number] ?? [])
            }
            try Self.sync(descriptor, folder)
        }
    }

    private static func zero(_ descriptor: Int32, _ path: String, besides kept: [Range<Int64>]) throws(JobQueueError) {
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        let length = Int64(lseek(descriptor, 0, SEEK_END))
        var start: Int64 = 0
        for range in kept.sorted(by: { $0.lowerBound < $1.lowerBound }) + [length..<max(length, length)] {
            while start < min(range.lowerBound, length) {
                let count = min(min(range.lowerBound, length) - start, Int64(zeros.count))
                lseek(descriptor, off_t(start), SEEK_SET)
                try JournalFolder.writeAll(Array(zeros.prefix(Int(count))), descriptor, path)
                start += count
            }
            start = max(start, range.upperBound)
        }
    }

    /// Bytes of all files.
    var size: UInt64 {
        let files = FileManager.default
        let paths =
            ((try? files.contentsOfDirectory(atPath: folder)) ?? []).filter { Self.segmentNumber($0) != nil }.map { "\(folder)/\($0)" }
            + ((try? files.contentsOfDirectory(atPath: folder + "/spool")) ?? []).map { "\(folder)/spool/\($0)" }
        return paths.reduce(0) { sum, path in
            var status = stat()
            return stat(path, &status) == 0 ? sum + UInt64(status.st_size) : sum
        }
    }

    mutating func closeFiles() {
        if let current { close(current.descriptor) }
        current = nil
    }
}
