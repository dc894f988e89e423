internal import Foundation

/// The folder of a journal: its lock, its ballast, the room on its disk, and writes that last.
///
/// `journal.sqlite` (+ `-wal`, `-shm`), `payload-N` (payloads one after the other), `spool/` (large payloads by content),
/// `highwater` (see `HighWaterFile`), `ballast`, `lock`.
final class JournalFolder: Sendable {
    let path: String
    private let lock: Int32

    /// Makes the folder if need be, and locks it for this process.
    init(_ path: String) throws(JobQueueError) {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path + "/spool", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .unusableFolder(path: path, reason: "\(error.localizedDescription)")
        }
        lock = Glibc.open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .unusableFolder(path: path, reason: Self.errorText()) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(lock)
            throw code == EWOULDBLOCK ? .folderLocked(path: path) : .unusableFolder(path: path, reason: Self.errorText(code))
        }
    }

    deinit { close(lock) }

    /// Makes a file that only this user reads, or makes one that is there so. SQLite's other files get the database's permissions.
    func makePrivate(_ name: String) throws(JobQueueError) {
        let descriptor = Glibc.open(file(name), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .unusableFolder(path: path, reason: Self.errorText()) }
        defer { close(descriptor) }
        guard fchmod(descriptor, 0o600) == 0 else { throw .unusableFolder(path: path, reason: Self.errorText()) }
    }

    /// Lets another process have the folder.
    func unlock() { flock(lock, LOCK_UN) }

    func file(_ name: String) -> String { path + "/" + name }

    static func errorText(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }

    // MARK: Room

    static let ballastBytes = 64 << 20
    private static let logRoom: UInt64 = 32 << 20

    /// Bytes that can be written, and how few of them are too few: 512 MB, or 5 % of a small disk; on a very small one, what the log may
    /// grow to twice over, or half of the disk.
    func room(lowest: Int?) -> (free: UInt64, lowest: UInt64) {
        var figures = statvfs()
        guard statvfs(path, &figures) == 0 else { return (0, .max) }
        let free = UInt64(figures.f_bavail) * UInt64(figures.f_frsize)
        let size = UInt64(figures.f_blocks) * UInt64(figures.f_frsize)
        return (free, lowest.map { UInt64($0) } ?? min(512 << 20, max(size / 20, min(size / 2, Self.logRoom))))
    }

    /// Keeps room that `freeBallast` can give back; does without if there is too little to spare.
    func layBallast() {
        let room = room(lowest: nil)
        guard !FileManager.default.fileExists(atPath: file("ballast")), room.free >= room.lowest,
            room.free > UInt64(Self.ballastBytes) * 4
        else { return }
        let descriptor = Glibc.open(file("ballast"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        let isFull = posix_fallocate(descriptor, 0, off_t(Self.ballastBytes)) != 0
        close(descriptor)
        if isFull { unlink(file("ballast")) }
    }

    /// True if there was some.
    func freeBallast() -> Bool { unlink(file("ballast")) == 0 }

    // MARK: Writes that last

    /// Makes the folder's entries durable.
    static func sync(folder: String) throws(JobQueueError) {
        let descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno, "open", folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .commitUnknown(reason: "fsync \(folder): \(errorText())") }
    }

    /// Writes everything; an error is `.diskFull` if nothing else is wrong.
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String) throws(JobQueueError) {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(errno, "write", path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    static func failure(_ code: Int32, _ what: String, _ path: String) -> JobQueueError {
        switch code {
        case ENOSPC, EDQUOT, EFBIG: .diskFull(path: path)
        case EMFILE, ENFILE: .noDescriptors(path: path)
        default: .commitUnknown(reason: "\(what) \(path): \(errorText(code))")
        }
    }

    /// Replaces a file: temporary file, fsync, rename, fsync the folder.
    static func replace(_ path: String, with bytes: [UInt8]) throws(JobQueueError) {
        let temporary = path + ".tmp"
        let descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(errno, "open", temporary) }
        do {
            defer { close(descriptor) }
            try writeAll(bytes, descriptor, temporary)
            guard fsync(descriptor) == 0 else { throw JobQueueError.commitUnknown(reason: "fsync \(temporary): \(errorText())") }
        } catch let error as JobQueueError {
            unlink(temporary)
            throw error
        } catch {
            throw .commitUnknown(reason: "\(error)")
        }
        guard rename(temporary, path) == 0 else { throw failure(errno, "rename", path) }
        try sync(folder: (path as NSString).deletingLastPathComponent)
    }

    static func writeAll(_ bytes: [UInt8], _ descriptor: Int32, _ path: String) throws(JobQueueError) {
        var failure: JobQueueError?
        bytes.withUnsafeBytes { buffer in
            do throws(JobQueueError) { try write(buffer, to: descriptor, path: path) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
