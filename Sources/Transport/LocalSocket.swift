internal import Glibc

/// Sockets of the file system, seen without libzmq.
enum LocalSocket {
    /// True if somebody accepts connections at `address` (`ipc://path`).
    static func isServed(_ address: String) -> Bool {
        let path = Array(address.utf8.dropFirst("ipc://".utf8.count))
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        guard path.first != UInt8(ascii: "@"), path.count < MemoryLayout.size(ofValue: target.sun_path) else { return false }
        withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: path) }

        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}
