internal import Glibc

/// The images in a folder and the folders inside of it, in the order of their paths' bytes. Holds one listing for each level it is in.
struct FolderWalk {
    private struct Level {
        let path: [UInt8]
        /// The folder's own name; nil for the one that was given.
        let label: String?
        let device: UInt64
        let inode: UInt64
        /// Sorted backwards, so that the next is the last.
        var names: [[UInt8]]
    }

    /// Deeper than any collection of images, and shallow enough for the paths.
    private static let deepest = 64

    private let limit: Int
    private var levels: [Level] = []

    init(_ path: [UInt8], limit: Int) throws(DatasetError) {
        self.limit = limit
        var trimmed = path
        while trimmed.count > 1, trimmed.last == UInt8(ascii: "/") { trimmed.removeLast() }
        try enter(trimmed, label: nil)
    }

    /// The next image, or nil at the end. After an error it goes on behind what could not be read.
    mutating func next() throws(DatasetError) -> DatasetItem? {
        while let top = levels.indices.last {
            guard let name = levels[top].names.popLast() else {
                levels.removeLast()
                continue
            }
            let isFolder = name.last == UInt8(ascii: "/")
            let entry = isFolder ? Array(name.dropLast()) : name
            let separator: [UInt8] = levels[top].path.last == UInt8(ascii: "/") ? [] : [UInt8(ascii: "/")]
            let path = levels[top].path + separator + entry
            if isFolder {
                try enter(path, label: String(decoding: entry, as: UTF8.self))
            } else {
                return DatasetItem(
                    id: String(decoding: path, as: UTF8.self), label: levels[top].label, content: .file(path: path, limit: limit))
            }
        }
        return nil
    }

    private mutating func enter(_ path: [UInt8], label: String?) throws(DatasetError) {
        let name = String(decoding: path, as: UTF8.self)
        guard levels.count < Self.deepest else { throw .limit(path: name, reason: "folders are nested deeper than \(Self.deepest)") }
        guard case .folder(let device, let inode) = PathKind(path) else { throw .unreadable(path: name, reason: "it is not a folder") }
        // A link to a folder above would never end.
        guard !levels.contains(where: { $0.device == device && $0.inode == inode }) else { return }
        guard let folder = path.withCPath({ opendir($0) }) else { throw .unreadable(path: name, reason: InputFile.reason) }
        defer { closedir(folder) }

        var names: [[UInt8]] = []
        while let entry = readdir(folder) {
            let name = Self.name(of: entry)
            // As a shell's glob does; among others the files that macOS puts beside each image.
            guard name.first != UInt8(ascii: ".") else { continue }
            switch PathKind(path + [UInt8(ascii: "/")] + name) {
            case .folder: names.append(name + [UInt8(ascii: "/")])
            case .file where name.isImageName: names.append(name)
            default: continue
            }
        }
        // With the slash behind folders, the order is that of the whole paths.
        names.sort { $1.lexicographicallyPrecedes($0) }
        levels.append(Level(path: path, label: label, device: device, inode: inode, names: names))
    }

    private static func name(of entry: UnsafeMutablePointer<dirent>) -> [UInt8] {
        withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
    }
}
