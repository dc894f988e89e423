package import Foundation

/// A regular file's bytes, mapped read-only for as long as the object lives; or bytes that came another way, laid out like a file's.
///
/// Only pages that are read cost memory, and the kernel can drop them again. Replace such a file by renaming another over it: one that is cut
/// short in place while it is mapped ends the process that reads behind the cut.
package final class MappedFile: @unchecked Sendable {
    // Safe: the mapping is private and not written after init, made in init and taken down in deinit; nobody gets the address but for the length of a closure,
    // except FloatTensor, which retains the file.
    private let base: UnsafeRawPointer?

    /// Length in bytes.
    package let count: Int

    package let url: URL
    private let isFile: Bool

    package init(_ url: URL) throws(TensorsError) {
        self.url = url
        isFile = true
        let path = url.path
        // Without O_NONBLOCK, opening a pipe would wait for its writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .fileUnreadable(path: path, reason: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .fileUnreadable(path: path, reason: String(cString: strerror(errno))) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notAFile(path: path) }
        count = Int(status.st_size)
        guard count > 0 else {
            base = nil
            return
        }
        guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
            throw .fileUnreadable(path: path, reason: String(cString: strerror(errno)))
        }
        base = UnsafeRawPointer(address)
    }

    /// A copy of `bytes`; `name` stands for the file in errors.
    package init(copying bytes: [UInt8], name: String) throws(TensorsError) {
        url = URL(fileURLWithPath: name)
        isFile = false
        count = bytes.count
        guard count > 0 else {
            base = nil
            return
        }
        guard let address = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), address != MAP_FAILED else {
            throw .fileUnreadable(path: name, reason: String(cString: strerror(errno)))
        }
        bytes.withUnsafeBytes { address.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(address), byteCount: $0.count) }
        base = UnsafeRawPointer(address)
    }

    deinit {
        if let base { munmap(UnsafeMutableRawPointer(mutating: base), count) }
    }

    /// Takes the pages that were read out of this process's memory; they come back from the page cache when they are read again.
    package func releasePages() {
        if let base, isFile { madvise(UnsafeMutableRawPointer(mutating: base), count, MADV_DONTNEED) }
    }

    /// Lends the whole file; the buffer is void after `body`.
    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }
}
