import Foundation

/// Stops a part of `p4q serve` when serve is gone, however it went: the part's standard input is a pipe whose other end only serve holds, and
/// which the kernel closes with it.
///
/// A parent-death signal would not do: it comes when the thread that started the child ends, and those of a pool come and go.
enum Lifeline {
    /// Set in the environment of a process that has one.
    static let variable = "P4Q_LIFELINE"

    /// To be called before there are other threads.
    static func watch() {
        guard getenv(variable) != nil else { return }
        unsetenv(variable)
        let thread = Thread {
            var byte: UInt8 = 0
            while true {
                let count = read(STDIN_FILENO, &byte, 1)
                if count == 0 || (count < 0 && errno != EINTR) { break }
            }
            kill(getpid(), SIGTERM)
        }
        thread.name = "p4q-lifeline"
        thread.start()
    }
}
