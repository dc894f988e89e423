internal import CGlibc
internal import Foundation

/// Puts a whole folder in the place of another in one step, so that nobody ever sees a mixture and a crash leaves the old one or the new one.
enum FolderReplacement {
    /// Lets `body` write into a new folder beside `folder`, syncs everything, and exchanges the two.
    ///
    /// - Parameter known: names that the folder in place may hold; with any other nothing is written, so that no stranger's files are lost.
    /// - Throws: `unwritable`, or what `body` throws; the old folder is in place then.
    static func write(_ folder: URL, replacing known: Set<String>, _ body: (URL) throws -> Void) throws {
        let folder = folder.standardizedFileURL.resolvingSymlinksInPath()
        let isThere = try check(folder, known)
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
    private static func check(_ folder: URL, _ known: Set<String>) throws(QuantizationError) -> Bool {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder) else { return false }
        guard isFolder.boolValue, let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
            throw .unwritable(folder: folder.path, reason: "there is something else of that name; choose another")
        }
        if let stranger = names.filter({ !known.contains($0) }).min() {
            throw .unwritable(
                folder: folder.path, reason: "it holds \(stranger), which is no part of a quantized model; choose another, or move it away")
        }
        return true
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
