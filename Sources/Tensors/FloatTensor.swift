internal import Foundation

/// Immutable float32 elements, row-major, in memory of their own (64-byte aligned) or inside a mapped file.
package final class FloatTensor: @unchecked Sendable {
    // Safe: the elements are written in init only; `owner` keeps the memory they lie in, or is nil, and deinit frees it.
    private let base: UnsafePointer<Float>
    private let owner: AnyObject?

    /// Extents, outermost first; [] is a scalar.
    package let shape: [Int]

    /// The product of the extents.
    package let count: Int

    /// - Parameter body: gets `count` elements with undefined contents and must write each of them.
    package init<Failure: Error>(
        shape: [Int], initializingWith body: (UnsafeMutableBufferPointer<Float>) throws(Failure) -> Void
    ) throws(Failure) {
        let count = Self.elementCount(shape)
        let memory = Self.allocate(count)
        do {
            try body(UnsafeMutableBufferPointer(start: memory, count: count))
        } catch {
            UnsafeMutableRawPointer(memory).deallocate()
            throw error
        }
        self.shape = shape
        self.count = count
        base = UnsafePointer(memory)
        owner = nil
    }

    /// The elements at `byteOffset` of `file`: in place where that address is a multiple of 4, a copy where it isn't.
    ///
    /// - Precondition: the file holds all of them; whoever read the file's header has checked that.
    package init(shape: [Int], file: MappedFile, byteOffset: Int) {
        let count = Self.elementCount(shape)
        precondition(
            byteOffset >= 0 && byteOffset <= file.count && count <= (file.count - byteOffset) / 4,
            "\(shape) float32 elements at byte \(byteOffset) reach beyond the \(file.count) bytes of \(file.url.path)")
        self.shape = shape
        self.count = count
        let place = file.withUnsafeBytes { $0.baseAddress }.map { $0 + byteOffset }
        if let place, Int(bitPattern: place) % MemoryLayout<Float>.alignment == 0 {
            base = place.assumingMemoryBound(to: Float.self)
            owner = file
        } else {
            let memory = Self.allocate(count)
            if let place { UnsafeMutableRawPointer(memory).copyMemory(from: place, byteCount: count * MemoryLayout<Float>.stride) }
            base = UnsafePointer(memory)
            owner = nil
        }
    }

    private init(shape: [Int], base: UnsafePointer<Float>, owner: AnyObject) {
        self.shape = shape
        count = Self.elementCount(shape)
        self.base = base
        self.owner = owner
    }

    deinit {
        if owner == nil { UnsafeMutableRawPointer(mutating: base).deallocate() }
    }

    /// Lends the elements; the buffer is void after `body`.
    package func withUnsafeBufferPointer<Result, Failure: Error>(
        _ body: (UnsafeBufferPointer<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeBufferPointer(start: base, count: count))
    }

    /// A view of some leading-dimension rows, [range.count, ...]: no copy, keeps its origin alive.
    package func rows(_ range: Range<Int>) -> FloatTensor {
        precondition(
            !shape.isEmpty && range.lowerBound >= 0 && range.upperBound <= shape[0], "rows \(range) of a tensor of shape \(shape)")
        let stride = Self.elementCount(Array(shape.dropFirst()))
        return FloatTensor(shape: [range.count] + shape.dropFirst(), base: base + range.lowerBound * stride, owner: self)
    }

    /// The same elements under another shape of the same count: no copy, keeps its origin alive.
    package func reshaped(_ shape: [Int]) -> FloatTensor {
        precondition(Self.elementCount(shape) == count, "\(self.shape) elements can't have shape \(shape)")
        return FloatTensor(shape: shape, base: base, owner: self)
    }

    /// A copy with the two extents exchanged: [M, N] becomes [N, M].
    package func transposed() -> FloatTensor {
        precondition(shape.count == 2, "only matrices are transposed, not shape \(shape)")
        let (rows, columns) = (shape[0], shape[1])
        return FloatTensor(shape: [columns, rows]) { target in
            withUnsafeBufferPointer { source in
                for column in 0..<columns {
                    for row in 0..<rows { target[column * rows + row] = source[row * columns + column] }
                }
            }
        }
    }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<Float> {
        UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
            .bindMemory(to: Float.self, capacity: max(count, 1))
    }

    private static func elementCount(_ shape: [Int]) -> Int {
        precondition(shape.allSatisfy { $0 >= 0 }, "a tensor of shape \(shape)")
        return shape.reduce(1, *)
    }
}
