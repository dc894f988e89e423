/// What can go wrong with memory and files of numbers.
package enum TensorsError: Error, Equatable, CustomStringConvertible {
    /// The operating system would not open or map the file.
    case fileUnreadable(path: String, reason: String)
    /// The path names a folder, a device or a pipe.
    case notAFile(path: String)

    /// Stable, for programs.
    package var code: String {
        switch self {
        case .fileUnreadable: "file.unreadable"
        case .notAFile: "file.not_a_file"
        }
    }

    package var description: String {
        switch self {
        case .fileUnreadable(let path, let reason): "\(path) can't be read: \(reason)"
        case .notAFile(let path): "\(path) is not a file; give the path of a regular file"
        }
    }
}
