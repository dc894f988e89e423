import Foundation
import JobQueue

/// A file of results, a JSON line each, that is written exactly once whatever happens: locked, synced before anything is acknowledged, cut
/// where a killed process left half a line, and read at the start so that repeats are known.
final class ResultFile {
    private let path: String
    private let descriptor: Int32
    /// Sequence numbers of the lines that are there.
    private(set) var sequences = SequenceRanges()
    /// The latest generation of a line.
    private(set) var generation: UInt64 = 0
    /// Bytes of a torn last line that were cut off.
    private(set) var cut = 0

    /// Why a file of results can't be used.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter waits: wait for another process that writes the file, instead of failing; it takes over when that one ends.
    init(path: String, waits: Bool = false) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0o644)
        guard descriptor >= 0 else { throw Failure(description: "can't write \(path): \(String(cString: strerror(errno)))") }
        var isLocked = flock(descriptor, LOCK_EX | (waits ? 0 : LOCK_NB)) == 0
        while !isLocked, waits, errno == EINTR { isLocked = flock(descriptor, LOCK_EX) == 0 }
        guard isLocked else {
            throw Failure(description: "\(path) is written by another process: stop that one, or choose another file")
        }
        try recover()
        try syncFolder()
    }

    deinit { close(descriptor) }

    /// Adds lines and syncs them. Throws if they may not all be on the disk.
    func append(_ lines: [(sequence: UInt64, generation: UInt64, text: String)]) throws {
        var bytes: [UInt8] = []
        for line in lines {
            bytes += Array(line.text.utf8)
            bytes.append(UInt8(ascii: "\n"))
        }
        var start = 0
        while start < bytes.count {
            let written = bytes[start...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written > 0 {
                start += written
            } else if errno != EINTR {
                throw Failure(description: "can't write \(path): \(String(cString: strerror(errno)))")
            }
        }
        guard fdatasync(descriptor) == 0 else {
            throw Failure(description: "can't write \(path) to the disk: \(String(cString: strerror(errno)))")
        }
        for line in lines {
            sequences.insert(line.sequence)
            generation = max(generation, line.generation)
        }
    }

    /// The two fields of a line that matter here.
    private struct Place: Decodable {
        let seq: UInt64
        let generation: UInt64?
    }

    private func recover() throws {
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: false)
        try handle.seek(toOffset: 0)
        var rest = Data()
        var size: UInt64 = 0
        let decoder = JSONDecoder()
        while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty {
            rest.append(piece)
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = rest[rest.startIndex..<end]
                guard let place = try? decoder.decode(Place.self, from: line) else {
                    throw Failure(description: "\(path) has a line at byte \(size) that p4q collect has not written: choose another file")
                }
                sequences.insert(place.seq)
                generation = max(generation, place.generation ?? 0)
                size += UInt64(line.count + 1)
                rest = rest[(end + 1)...]
            }
            rest = Data(rest)
        }
        cut = rest.count
        if cut > 0, ftruncate(descriptor, off_t(size)) != 0 {
            throw Failure(description: "can't cut the torn last line off \(path): \(String(cString: strerror(errno)))")
        }
        // Lines that a collector wrote and did not live to sync are counted as kept: they must be.
        guard fdatasync(descriptor) == 0 else { throw Failure(description: "can't sync \(path): \(String(cString: strerror(errno)))") }
    }

    private func syncFolder() throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { return }
        defer { close(handle) }
        guard fsync(handle) == 0 else { throw Failure(description: "can't sync \(folder): \(String(cString: strerror(errno)))") }
    }
}
