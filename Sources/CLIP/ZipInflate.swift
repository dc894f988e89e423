internal import CZlib

/// zlib, as far as ZIP and gzip need it. Sizes are known or bounded before anything is inflated.
enum ZipInflate {
    /// The bytes of a raw deflate stream that inflates to exactly `size` bytes; nil for any other.
    static func inflate(_ compressed: UnsafeRawBufferPointer, size: Int) -> [UInt8]? {
        // Negative window bits: no header around the stream. One byte more than announced, so that a longer stream is noticed.
        guard let inflated = run(compressed, windowBits: -15, capacity: size + 1), inflated.count == size else { return nil }
        return inflated
    }

    /// The bytes of a gzip file of one member, up to `limit`; nil for a damaged or longer one.
    static func gunzip(_ compressed: UnsafeRawBufferPointer, limit: Int) -> [UInt8]? {
        guard compressed.count >= 18 else { return nil }
        // The last four bytes tell the size; zlib checks that they tell the truth.
        let size = Int(UInt32(littleEndian: compressed.loadUnaligned(fromByteOffset: compressed.count - 4, as: UInt32.self)))
        guard size <= limit, let inflated = run(compressed, windowBits: 15 + 16, capacity: size + 1), inflated.count == size else {
            return nil
        }
        return inflated
    }

    private static func run(_ compressed: UnsafeRawBufferPointer, windowBits: Int32, capacity: Int) -> [UInt8]? {
        guard let inputCount = UInt32(exactly: compressed.count), let outputCount = UInt32(exactly: capacity) else { return nil }
        var stream = z_stream()
        guard inflateInit2_(&stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        var isWhole = false
        let inflated = [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
            stream.next_in = UnsafeMutablePointer(mutating: compressed.bindMemory(to: UInt8.self).baseAddress)
            stream.avail_in = inputCount
            stream.next_out = target.baseAddress
            stream.avail_out = outputCount
            isWhole = CZlib.inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0
            count = capacity - Int(stream.avail_out)
        }
        return isWhole ? inflated : nil
    }

    /// CRC-32.
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBufferPointer { UInt32(truncatingIfNeeded: crc32_z(0, $0.baseAddress, $0.count)) }
    }
}
