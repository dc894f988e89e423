package import Tensors

/// A tensor where it lies in a file: what a header said, with its place checked against the file's length.
package struct StoredTensor: Sendable {
    package let file: MappedFile
    package let type: ElementType
    /// Extents, outermost first.
    package let shape: [Int]
    /// Elements from one index to the next, per extent; nil where the elements lie row-major without holes.
    let strides: [Int]?
    /// Of the first element, in the file.
    package let byteOffset: Int

    /// The product of the extents.
    package var count: Int { shape.reduce(1, *) }

    /// Bytes of a contiguous tensor, as they lie in the file (little-endian).
    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(strides == nil, "a strided tensor has no bytes of its own")
        return try file.withUnsafeBytes { (bytes) throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: bytes[byteOffset..<byteOffset + count * type.size]))
        }
    }

    /// The elements as float32, in place where they are that already; nil where the type is no floating-point type of weights.
    func floats() -> FloatTensor? {
        switch type {
        case .float32 where strides == nil: FloatTensor(shape: shape, file: file, byteOffset: byteOffset)
        case .float32: converted(UInt32.self, Float.init(bitPattern:))
        case .float16: converted(UInt16.self, Self.float(half:))
        case .bfloat16: converted(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
        default: nil
        }
    }

    /// The value of a scalar or one-element int64 tensor, nil for any other.
    func integer() -> Int? {
        guard type == .int64, count == 1 else { return nil }
        return file.withUnsafeBytes { Int(Int64(littleEndian: $0.loadUnaligned(fromByteOffset: byteOffset, as: Int64.self))) }
    }

    /// float16 to float32, exactly: the exponent is rebiased by a multiplication, which is right for subnormals too.
    @inline(__always)
    static func float(half: UInt16) -> Float {
        let magnitude = UInt32(half & 0x7FFF) << 13
        let scaled = (Float(bitPattern: magnitude) * 0x1p112).bitPattern
        let special = magnitude | 0x7F80_0000
        return Float(bitPattern: (half & 0x7C00 == 0x7C00 ? special : scaled) | UInt32(half & 0x8000) << 16)
    }

    @inline(__always)
    private func converted<Pattern: FixedWidthInteger>(_: Pattern.Type, _ convert: (Pattern) -> Float) -> FloatTensor {
        FloatTensor(shape: shape) { target in
            file.withUnsafeBytes { bytes in
                forEachElement { index, element in
                    let offset = byteOffset + element * MemoryLayout<Pattern>.size
                    target[index] = convert(Pattern(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Pattern.self)))
                }
            }
        }
    }

    /// Row-major index and place in the storage of every element.
    @inline(__always)
    private func forEachElement(_ body: (_ index: Int, _ element: Int) -> Void) {
        guard let strides else {
            for index in 0..<count { body(index, index) }
            return
        }
        var position = [Int](repeating: 0, count: shape.count)
        var element = 0
        for index in 0..<count {
            body(index, element)
            for axis in shape.indices.reversed() {
                position[axis] += 1
                element += strides[axis]
                guard position[axis] == shape[axis] else { break }
                element -= strides[axis] * shape[axis]
                position[axis] = 0
            }
        }
    }
}
