internal import CGlibc
internal import Foundation

/// Puts a whole folder in the place of another in one step, so that nobody ever sees a mixture and a crash leaves the old one or the new one.
enum FolderReplacement {
    /// What a folder in place may be; with anything else nothing is written, so that no stranger's files are lost.
    struct Replaced {
        /// Names that it may hold.
        let names: Set<String>
        /// Whether a folder that holds some of them is one. An empty one always is.
        let isOne: (URL) -> Bool
    }

    /// Lets `body` write into a new folder beside `folder`, syncs everything, and exchanges the two.
    ///
    /// - Throws: `unwritable`, or what `body` throws; the old folder is in place then.
    static func write(_ folder: URL, replacing replaced: Replaced, _ body: (URL) throws -> Void) throws {
        let folder = folder.standardizedFileURL.resolvingSymlinksInPath()
        let isThere = try check(folder, replaced)
        let parent = folder.deletingLastPathComponent()
        let new = parent.appendingPathComponent(".\(folder.lastPathComponent).\(UUID().uuidString).tmp")
        func failed(_ error: any Error) -> QuantizationError { .unwritable(folder: folder.path, reason: error.localizedDescription) }
        do {
            try FileManager.default.createDirectory(at: new, withIntermediateDirectories: true)
        } catch {
            throw failed(error)
        }
        // Afterwards this is the old folder, or what could not be put in place.
        defer { try? FileManager.default.removeItem(at: new) }
        try body(new)
        for name in try FileManager.default.contentsOfDirectory(atPath: new.path) { try sync(new.appendingPathComponent(name), folder) }
        try sync(new, folder)
        try isThere ? exchange(new, folder) : move(new, to: folder)
        try sync(parent, folder)
    }

    /// Whether there is a folder to be replaced.
    ///
    /// - Throws: `unwritable` where there is something else, or `folder` could not be made.
    @discardableResult
    static func check(_ folder: URL, _ replaced: Replaced) throws(QuantizationError) -> Bool {
        let folder = folder.standardizedFileURL.resolvingSymlinksInPath()
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder) else {
            try checkNearest(folder)
            return false
        }
        guard isFolder.boolValue, let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
            throw .unwritable(folder: folder.path, reason: "there is something else of that name; choose another")
        }
        if let stranger = names.filter({ !replaced.names.contains($0) }).min() {
            throw .unwritable(
                folder: folder.path, reason: "it holds \(stranger), which is no part of a quantized model; choose another, or move it away")
        }
        guard names.isEmpty || replaced.isOne(folder) else {
            throw .unwritable(
                folder: folder.path,
                reason: "it holds a model that is not a quantized one and would be lost; choose another, or move it away")
        }
        try checkNearest(folder)
        return true
    }

    /// Whether something can be made beside `folder`: in the nearest folder above it that there is.
    private static func checkNearest(_ folder: URL) throws(QuantizationError) {
        var parent = folder.deletingLastPathComponent()
        var isFolder: ObjCBool = false
        while !FileManager.default.fileExists(atPath: parent.path, isDirectory: &isFolder), parent.path != "/" {
            parent.deleteLastPathComponent()
        }
        guard isFolder.boolValue else { throw .unwritable(folder: folder.path, reason: "\(parent.path) is not a folder") }
        guard access(parent.path, W_OK | X_OK) == 0 else {
            throw .unwritable(folder: folder.path, reason: "\(parent.path): \(String(cString: strerror(errno)))")
        }
    }

    private static func move(_ new: URL, to folder: URL) throws(QuantizationError) {
        guard rename(new.path, folder.path) == 0 else { throw failure(folder) }
    }

    private static func exchange(_ new: URL, _ folder: URL) throws(QuantizationError) {
        if renameat2(AT_FDCWD, new.path, AT_FDCWD, folder.path, UInt32(P4Q_RENAME_EXCHANGE)) == 0 { return }
        guard errno == EINVAL || errno == ENOSYS else { throw failure(folder) }
        // A file system that can't exchange: for a moment there is neither, but both are whole.
        let old = new.appendingPathExtension("old")
        guard rename(folder.path, old.path) == 0 else { throw failure(folder) }
        guard rename(new.path, folder.path) == 0 else {
            let error = failure(folder)
            rename(old.path, folder.path)
            throw error
        }
        try? FileManager.default.removeItem(at: old)
    }

    private static func sync(_ url: URL, _ folder: URL) throws(QuantizationError) {
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure(folder) }
    }

    private static func failure(_ folder: URL) -> QuantizationError {
        .unwritable(folder: folder.path, reason: String(cString: strerror(errno)))
    }
}
