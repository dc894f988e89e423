internal import CZlib

/// zlib, as far as ZIP needs it.
enum ZipInflate {
    /// The bytes of a raw deflate stream that inflates to exactly `size` bytes; nil for any other.
    static func inflate(_ compressed: UnsafeRawBufferPointer, size: Int) -> [UInt8]? {
        guard let inputCount = UInt32(exactly: compressed.count), let outputCount = UInt32(exactly: size) else { return nil }
        var stream = z_stream()
        // Negative window bits: no zlib header around the stream.
        guard inflateInit2_(&stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        var isWhole = false
        // One byte more than announced, so that a longer stream is noticed.
        let inflated = [UInt8](unsafeUninitializedCapacity: size + 1) { target, count in
            stream.next_in = UnsafeMutablePointer(mutating: compressed.bindMemory(to: UInt8.self).baseAddress)
            stream.avail_in = inputCount
            stream.next_out = target.baseAddress
            stream.avail_out = outputCount + 1
            isWhole = CZlib.inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 1
            count = size + 1 - Int(stream.avail_out)
        }
        return isWhole ? inflated : nil
    }

    /// CRC-32 of up to 4 GiB.
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBufferPointer { UInt32(truncatingIfNeeded: crc32_z(0, $0.baseAddress, $0.count)) }
    }
}
