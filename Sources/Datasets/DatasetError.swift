/// Why a file, folder or archive can't give its images.
package enum DatasetError: Error, Hashable, Sendable {
    /// A file or folder can't be opened or read.
    case unreadable(path: String, reason: String)
    /// A file is larger than the limit.
    case tooLarge(item: String, bytes: Int, limit: Int)
    /// A tar archive is not what it should be at this byte.
    case corruptArchive(path: String, offset: Int, reason: String)
    /// A tar archive ends in the middle of a member.
    case truncatedArchive(path: String, offset: Int)
    /// A folder tree that is too deep or has too many entries.
    case limit(path: String, reason: String)
    /// A file or folder can't be made or written.
    case unwritable(path: String, reason: String)
    /// A table of labelled images has a line that can't be used.
    case badTable(path: String, line: Int, reason: String)

    /// Stable and for programs.
    package var code: String {
        switch self {
        case .unreadable: "dataset.unreadable"
        case .tooLarge: "dataset.too_large"
        case .corruptArchive: "dataset.corrupt_archive"
        case .truncatedArchive: "dataset.truncated_archive"
        case .limit: "dataset.limit"
        case .unwritable: "dataset.unwritable"
        case .badTable: "dataset.bad_table"
        }
    }
}

extension DatasetError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreadable(let path, let reason): "can't read \(path): \(reason)"
        case .tooLarge(let item, let bytes, let limit): "\(item) has \(bytes) bytes, the limit is \(limit)"
        case .corruptArchive(let path, let offset, let reason):
            "\(path) is not a tar archive that can be read at byte \(offset): \(reason). Make it again, or leave it out"
        case .truncatedArchive(let path, let offset):
            "\(path) ends at byte \(offset), in the middle of a member: copy it again, the members before were read"
        case .limit(let path, let reason): "\(path): \(reason)"
        case .unwritable(let path, let reason): "can't write \(path): \(reason)"
        case .badTable(let path, let line, let reason): "line \(line) of \(path): \(reason)"
        }
    }
}

extension DatasetError {
    /// The path of the file, folder or archive that it is about.
    package var subject: String {
        switch self {
        case .unreadable(let path, _), .corruptArchive(let path, _, _), .truncatedArchive(let path, _), .limit(let path, _),
            .unwritable(let path, _), .badTable(let path, _, _):
            path
        case .tooLarge(let item, _, _): item
        }
    }
}
