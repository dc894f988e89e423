internal import Crypto
package import Foundation
internal import Synchronization

/// Image features kept on disk by content: what an image's bytes are to one tower, in all views.
///
/// One file for a tower, records behind each other; who writes holds the file's lock. A torn or damaged record counts as absent, and failing to
/// write costs nothing but the next run's time.
///
///     64 bytes   "P4QFEAT1", bytes of a record (u32), 0 (u32), SHA-256 of the tower's identity, zeros
///     records    SHA-256 of the image (32), float32 values, the first 8 bytes of the SHA-256 of all that
package final class FeatureStore: Sendable {
    private static let magic = Array("P4QFEAT1".utf8)
    private static let headerLength = 64

    private struct State {
        var values: [Float] = []
        var places: [[UInt8]: Int] = [:]
        /// Digests that lie in memory but not in the file yet.
        var pending: [[UInt8]] = []
    }

    private let file: URL?
    private let header: [UInt8]
    /// Floats of a record.
    private let length: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - folder: nil keeps features in memory only.
    ///   - identity: equal only for towers and preprocessing that give equal features.
    ///   - length: floats of an image's record.
    package init(folder: URL?, identity: String, length: Int) {
        self.length = length
        let digest = Array(SHA256.hash(data: Data(identity.utf8)))
        let record = UInt32(32 + length * 4 + 8)
        var header = Self.magic + withUnsafeBytes(of: record.littleEndian, Array.init) + [0, 0, 0, 0] + digest
        header += [UInt8](repeating: 0, count: Self.headerLength - header.count)
        self.header = header
        let name = digest.prefix(16).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        file = folder?.appendingPathComponent("\(name).features")
        load()
    }

    /// Images that are there.
    package var count: Int { state.withLock { $0.places.count } }

    /// The record of an image, by the SHA-256 of its bytes.
    package subscript(digest: [UInt8]) -> [Float]? {
        state.withLock { state in state.places[digest].map { Array(state.values[$0..<$0 + length]) } }
    }

    /// Keeps a record.
    package func put(_ values: [Float], for digest: [UInt8]) {
        precondition(values.count == length && digest.count == 32, "\(values.count) floats for records of \(length)")
        state.withLock { state in
            guard state.places[digest] == nil else { return }
            state.places[digest] = state.values.count
            state.values += values
            state.pending.append(digest)
        }
    }

    /// Writes what is new.
    package func flush() {
        guard let file else { return }
        let records = state.withLock { state -> [UInt8] in
            defer { state.pending = [] }
            return state.pending.flatMap { digest in state.places[digest].map { record(digest, state.values[$0..<$0 + length]) } ?? [] }
        }
        guard !records.isEmpty else { return }
        try? FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        let descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX) == 0 else { return }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        // What another process left torn at the end goes.
        let whole = size < Self.headerLength ? 0 : size - (size - Self.headerLength) % recordLength
        guard ftruncate(descriptor, off_t(whole)) == 0, lseek(descriptor, off_t(whole), SEEK_SET) >= 0 else { return }
        write((whole == 0 ? header : []) + records, descriptor)
    }

    private var recordLength: Int { 32 + length * 4 + 8 }

    private func record(_ digest: [UInt8], _ values: ArraySlice<Float>) -> [UInt8] {
        let body = digest + values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
        return body + SHA256.hash(data: body).prefix(8)
    }

    private func write(_ bytes: [UInt8], _ descriptor: Int32) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Foundation.write(descriptor, rest.baseAddressOfSlice, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }

    private func load() {
        guard let file, let data = try? Data(contentsOf: file, options: .mappedIfSafe), data.count >= Self.headerLength,
            Array(data.prefix(Self.headerLength)) == header
        else { return }
        state.withLock { state in
            for start in stride(from: Self.headerLength, through: data.count - recordLength, by: recordLength) {
                let record = data[start..<start + recordLength]
                guard SHA256.hash(data: record.dropLast(8)).prefix(8).elementsEqual(record.suffix(8)) else { continue }
                let digest = Array(record.prefix(32))
                guard state.places[digest] == nil else { continue }
                state.places[digest] = state.values.count
                record.withUnsafeBytes { bytes in
                    for index in 0..<length {
                        let pattern = bytes.loadUnaligned(fromByteOffset: 32 + index * 4, as: UInt32.self)
                        state.values.append(Float(bitPattern: UInt32(littleEndian: pattern)))
                    }
                }
            }
        }
    }
}

extension Slice<UnsafeRawBufferPointer> {
    fileprivate var baseAddressOfSlice: UnsafeRawPointer? { base.baseAddress.map { $0 + startIndex } }
}
