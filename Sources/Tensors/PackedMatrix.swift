internal import CKernels

/// Immutable integer weights [outputs, inputs] at 8, 4, 3 or 2 bits, packed as kernels read them (`p4q_gemm.h` draws the layout), in memory
/// of their own or inside a mapped file. The bytes are the same for every instruction set.
package final class PackedMatrix: @unchecked Sendable {
    // Safe: the bytes are written in init only; `owner` keeps the memory they lie in, or is nil, and deinit frees it.
    private let base: UnsafeRawPointer
    private let owner: AnyObject?

    /// Output channels.
    package let outputs: Int

    /// Inputs of each channel.
    package let inputs: Int

    package let bits: BitWidth

    /// The packed form's length: `outputs * inputs * bits / 8` after padding outputs to 16 and inputs to 4, 8, 32, 16 (8, 4, 3, 2 bits).
    package let byteCount: Int

    /// Each channel's sum over its codes, made at load.
    package let sums: [Int32]

    /// Packs `codes`, row-major [outputs, inputs].
    package convenience init(codes: [Int8], outputs: Int, inputs: Int, bits: BitWidth) throws(TensorsError) {
        let byteCount = try Self.byteCount(outputs: outputs, inputs: inputs, bits: bits)
        guard codes.count == outputs * inputs else {
            throw .packedLength(outputs: outputs, inputs: inputs, bits: bits.rawValue, expected: outputs * inputs, found: codes.count)
        }
        if let stray = codes.firstIndex(where: { !bits.signedRange.contains(Int($0)) }) {
            throw .codeOutOfRange(code: Int(codes[stray]), output: stray / inputs, input: stray % inputs, bits: bits.rawValue)
        }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: 64)
        p4q_pack_codes(codes, Int64(outputs), Int64(inputs), Int32(bits.rawValue), memory.assumingMemoryBound(to: UInt8.self))
        self.init(base: memory, owner: nil, outputs: outputs, inputs: inputs, bits: bits, byteCount: byteCount)
    }

    /// The weights at `byteOffset` of `file`, read in place.
    ///
    /// - Throws: `packedLength` unless exactly `length` bytes are needed and the file holds them there.
    package convenience init(
        file: MappedFile, byteOffset: Int, length: Int, outputs: Int, inputs: Int, bits: BitWidth
    ) throws(TensorsError) {
        let byteCount = try Self.byteCount(outputs: outputs, inputs: inputs, bits: bits)
        let available = byteOffset >= 0 && byteOffset <= file.count ? min(length, file.count - byteOffset) : 0
        guard length == byteCount, available == byteCount else {
            throw .packedLength(
                outputs: outputs, inputs: inputs, bits: bits.rawValue, expected: byteCount, found: length == byteCount ? available : length)
        }
        let place = file.withUnsafeBytes { $0.baseAddress }.map { $0 + byteOffset }
        // Only an empty file has no address, and then there is nothing to read.
        self.init(
            base: place ?? UnsafeRawPointer(bitPattern: 64).unsafelyUnwrapped, owner: file, outputs: outputs, inputs: inputs, bits: bits,
            byteCount: byteCount)
    }

    private init(base: UnsafeRawPointer, owner: AnyObject?, outputs: Int, inputs: Int, bits: BitWidth, byteCount: Int) {
        self.base = base
        self.owner = owner
        self.outputs = outputs
        self.inputs = inputs
        self.bits = bits
        self.byteCount = byteCount
        sums = [Int32](unsafeUninitializedCapacity: outputs) { sums, count in
            if let start = sums.baseAddress {
                p4q_packed_sums(base.assumingMemoryBound(to: UInt8.self), Int64(outputs), Int64(inputs), Int32(bits.rawValue), start)
            }
            count = outputs
        }
    }

    deinit {
        if owner == nil { UnsafeMutableRawPointer(mutating: base).deallocate() }
    }

    /// Bytes that [outputs, inputs] takes when packed.
    ///
    /// - Throws: `packedShape` if an extent is negative, `inputs` above 65,536 (sums would leave 32 bits) or the size absurd.
    package static func byteCount(outputs: Int, inputs: Int, bits: BitWidth) throws(TensorsError) -> Int {
        let bytes = p4q_packed_bytes(Int64(outputs), Int64(inputs), Int32(bits.rawValue))
        guard bytes >= 0 else { throw .packedShape(outputs: outputs, inputs: inputs, bits: bits.rawValue) }
        return Int(bytes)
    }

    /// The codes again, row-major [outputs, inputs].
    package func codes() -> [Int8] {
        [Int8](unsafeUninitializedCapacity: outputs * inputs) { codes, count in
            if let start = codes.baseAddress {
                p4q_unpack_codes(
                    base.assumingMemoryBound(to: UInt8.self), Int64(outputs), Int64(inputs), Int32(bits.rawValue), start)
            }
            count = outputs * inputs
        }
    }

    /// Lends the packed bytes, to be written to a file; the buffer is void after `body`.
    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: byteCount))
    }
}
