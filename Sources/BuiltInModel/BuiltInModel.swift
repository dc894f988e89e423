internal import CBuiltInModel
internal import Crypto
package import Foundation

/// The model that comes with the program: trained by `p4q pretrain` on pictures that the program draws.
///
/// Its files lie in the executable. Models are mapped from files, so they are unpacked once into a folder and compared with the executable's
/// own bytes whenever they are asked for.
package enum BuiltInModel: String, CaseIterable, Sendable {
    /// As it was trained, in float16.
    case float = "builtin"
    /// The same in integers of 8 bits.
    case eightBit = "builtin-8"

    /// A file of the model.
    package struct File {
        package let name: String
        package let bytes: UnsafeRawBufferPointer
    }

    /// The model's files, in the executable's read-only data.
    package var files: [File] {
        var files: [File] = []
        for index in 0... {
            let file = p4q_builtin_file_at(index)
            guard let name = file.name, let folder = file.folder else { break }
            if String(cString: folder) == rawValue {
                files.append(File(name: String(cString: name), bytes: UnsafeRawBufferPointer(start: file.bytes, count: file.count)))
            }
        }
        return files
    }

    /// SHA-256 of all its files, hex.
    package var sha256: String {
        var hash = SHA256()
        for file in files {
            hash.update(data: Data(file.name.utf8))
            hash.update(bufferPointer: file.bytes)
        }
        return hash.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// Why the files can't be unpacked.
    package struct Unwritable: Error, CustomStringConvertible {
        package let folders: [String]
        package let reason: String

        package var description: String {
            "the built-in model can't be unpacked into \(folders.joined(separator: " or ")): \(reason). Make one of them writable, or give --model"
        }
    }

    /// A folder that holds the model's files, unpacked now if need be.
    ///
    /// - Parameter caches: where the folder may be, the best place first.
    package func folder(in caches: [URL]) throws(Unwritable) -> URL {
        var reason = "there is no folder to try"
        for cache in caches {
            let folder = cache.appendingPathComponent(String(sha256.prefix(16))).appendingPathComponent(rawValue)
            if holdsFiles(folder) { return folder }
            do {
                try unpack(into: folder)
                if holdsFiles(folder) { return folder }
                reason = "\(folder.path) holds something else"
            } catch { reason = error.localizedDescription }
        }
        throw Unwritable(folders: caches.map(\.path), reason: reason)
    }

    /// Whether every file is there, byte for byte.
    private func holdsFiles(_ folder: URL) -> Bool {
        files.allSatisfy { file in
            guard let data = try? Data(contentsOf: folder.appendingPathComponent(file.name), options: .mappedIfSafe) else { return false }
            return data.count == file.bytes.count
                && data.withUnsafeBytes { found in
                    guard let found = found.baseAddress, let own = file.bytes.baseAddress else { return data.isEmpty }
                    return memcmp(found, own, file.bytes.count) == 0
                }
        }
    }

    /// Beside its place, and then renamed, so that nobody sees half a model.
    private func unpack(into folder: URL) throws {
        let manager = FileManager.default
        let parent = folder.deletingLastPathComponent()
        let temporary = parent.appendingPathComponent(".\(rawValue).\(UUID().uuidString)")
        try manager.createDirectory(at: temporary, withIntermediateDirectories: true)
        defer { try? manager.removeItem(at: temporary) }
        for file in files { try Data(file.bytes).write(to: temporary.appendingPathComponent(file.name)) }
        // A damaged one, or one that another process has just put there; both may be replaced.
        try? manager.removeItem(at: folder)
        try manager.moveItem(at: temporary, to: folder)
    }
}
