/// One image to push: what to call it, its label if the place it came from gives one, and its bytes when they are asked for.
package struct DatasetItem: Sendable {
    /// A file's path as it was given, or the given folder's path and the path inside of it; a tar member's name.
    ///
    /// Names that are not UTF-8 are shown with replacement characters.
    package let id: String
    /// The name of the folder it lies in, inside of what was given; or what the sample's `.cls`, `.json` or `.txt` says.
    package let label: String?
    private let content: Content

    enum Content: Sendable {
        case file(path: [UInt8], limit: Int)
        case loaded([UInt8])
    }

    init(id: String, label: String?, content: Content) {
        self.id = id
        self.label = label
        self.content = content
    }

    /// The image's bytes, read now if it is a file.
    ///
    /// Throws: `unreadable`, or `tooLarge` before more than the limit is read.
    package func load() throws(DatasetError) -> [UInt8] {
        switch content {
        case .loaded(let bytes): return bytes
        case .file(let path, let limit): return try InputFile(path).readAll(limit: limit)
        }
    }
}
