import ArgumentParser
import Foundation
import Synchronization

/// stdout carries data only, a whole line at a time.
enum StandardOutput {
    private static let buffer = Mutex<[UInt8]>([])

    /// Adds a line; it is written when there is a page of them, or by `flush`.
    static func line(_ text: String) throws {
        let full = buffer.withLock { buffer in
            buffer.append(contentsOf: text.utf8)
            buffer.append(UInt8(ascii: "\n"))
            return buffer.count >= 1 << 14
        }
        if full { try flush() }
    }

    /// Writes what has been added. Throws: exit code 0 where the reader has gone, 74 where the disk is full.
    static func flush() throws {
        let bytes = buffer.withLock { buffer in
            defer { buffer.removeAll(keepingCapacity: true) }
            return buffer
        }
        var start = 0
        while start < bytes.count {
            let written = bytes[start...].withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if written > 0 {
                start += written
            } else if errno != EINTR {
                throw ExitCode(errno == EPIPE ? 0 : 74)
            }
        }
    }

    /// Whether a person reads it.
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
}

/// Words for the person who started the command, on stderr.
struct Notices {
    let isQuiet: Bool

    /// A line that explains; not with `--quiet`.
    func note(_ text: String) {
        if !isQuiet { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
    }

    /// A line about something that went wrong; always.
    func warn(_ text: String) { FileHandle.standardError.write(Data("p4q: \(text)\n".utf8)) }
}
