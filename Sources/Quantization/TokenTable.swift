internal import CLIP

/// The token embedding's 8-bit codes, [vocabulary, width], in memory of their own or in a mapped file.
package struct TokenTable: Sendable {
    private enum Storage: Sendable {
        case owned([Int8])
        case stored(StoredTensor)
    }

    package let width: Int
    private let storage: Storage

    init(codes: [Int8], width: Int) {
        self.width = width
        storage = .owned(codes)
    }

    /// - Precondition: `stored` is [vocabulary, width] of int8; whoever read the file has checked that.
    init(_ stored: StoredTensor) {
        width = stored.shape[1]
        storage = .stored(stored)
    }

    /// `row = codes[id] * scale`
    func copy(_ id: Int, scale: Float, to row: UnsafeMutablePointer<Float>) {
        withUnsafeBytes { bytes in
            for i in 0..<width { row[i] = Float(bytes.load(fromByteOffset: id * width + i, as: Int8.self)) * scale }
        }
    }

    /// Lends the codes; the buffer is void after `body`.
    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        switch storage {
        case .owned(let codes): codes.withUnsafeBytes(body)
        case .stored(let tensor): tensor.withUnsafeBytes(body)
        }
    }
}
