/// Paths from a list, one a line.
struct PathList {
    /// Linux allows a path 4096 bytes.
    private static let longestLine = 4096

    private let file: InputFile
    private var line: [UInt8] = []
    private var isAtEnd = false

    init(_ file: InputFile) { self.file = file }

    /// The next path; empty lines are passed over. nil at the end.
    ///
    /// Throws: `limit` for a line that is too long to be a path, behind which it goes on; `unreadable`.
    mutating func next() throws(DatasetError) -> [UInt8]? {
        var isTooLong = false
        while !isAtEnd {
            let byte = try file.readByte()
            isAtEnd = byte == nil
            if let byte, byte != UInt8(ascii: "\n") {
                if line.count < Self.longestLine { line.append(byte) } else { isTooLong = true }
                continue
            }
            defer { line = [] }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if isTooLong { throw .limit(path: file.name, reason: "a line is longer than \(Self.longestLine) bytes, which no path is") }
            if !line.isEmpty { return line }
        }
        return nil
    }
}
