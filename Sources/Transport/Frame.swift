internal import CZeroMQ
internal import Synchronization

/// One frame of a message: bytes that libzmq owns and nobody changes. Reading it and sending it on copies nothing.
package final class Frame: Sendable {
    /// The number of bytes.
    package let count: Int

    // Safe: made by init, freed by deinit, and its bytes never change. zmq_msg_copy counts references inside it, so it runs under `copying`.
    private nonisolated(unsafe) let message: UnsafeMutablePointer<zmq_msg_t>
    private let copying = Mutex(())

    /// A frame of these bytes, which are copied once.
    ///
    /// Throws: `setup` if there is no memory.
    package convenience init(_ bytes: [UInt8]) throws(TransportError) {
        try self.init(count: bytes.count) { target in bytes.withUnsafeBytes(target.copyMemory) }
    }

    /// A frame of `count` bytes that `fill` writes, all of them.
    package init(count: Int, fill: (UnsafeMutableRawBufferPointer) -> Void) throws(TransportError) {
        let message = UnsafeMutablePointer<zmq_msg_t>.allocate(capacity: 1)
        guard zmq_msg_init_size(message, count) == 0 else {
            let code = zmq_errno()
            message.deallocate()
            throw .setup("a frame of \(count) bytes", errno: code)
        }
        fill(UnsafeMutableRawBufferPointer(start: zmq_msg_data(message), count: count))
        self.message = message
        self.count = count
    }

    /// Takes over a received message; its memory is freed with the frame.
    init(adopting message: UnsafeMutablePointer<zmq_msg_t>) {
        self.message = message
        count = zmq_msg_size(message)
    }

    deinit {
        zmq_msg_close(message)
        message.deallocate()
    }

    /// Lends the bytes; they are not aligned to anything.
    package func withUnsafeBytes<Value, Failure: Error>(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Value) throws(Failure) -> Value
    {
        try body(UnsafeRawBufferPointer(start: zmq_msg_data(message), count: count))
    }

    /// A copy of the bytes.
    package var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    /// Who the sender is, as ZAP said when its connection was let in; nil without authentication, and for frames made here.
    package var userID: String? { zmq_msg_gets(message, "User-Id").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } }

    /// Hands a second reference to the same bytes to `body`, which gives it away or closes it.
    func withReference<Value>(_ body: (UnsafeMutablePointer<zmq_msg_t>) -> Value) -> Value {
        var reference = zmq_msg_t()
        zmq_msg_init(&reference)
        copying.withLock { _ in _ = zmq_msg_copy(&reference, message) }
        return body(&reference)
    }
}
