/// The file formats that are decoded.
package enum ImageFormat: String, Sendable {
    case png, jpeg

    static let pngSignature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    static let jpegSignature: [UInt8] = [0xFF, 0xD8, 0xFF]

    /// The format that `bytes` start like; the name of a file says nothing.
    static func of(_ bytes: UnsafeRawBufferPointer) throws(ImagingError) -> ImageFormat {
        if bytes.isEmpty { throw .empty }
        if bytes.starts(with: pngSignature) { return .png }
        if bytes.starts(with: jpegSignature) { return .jpeg }
        if pngSignature.starts(with: bytes) { throw .truncated(.png, "the file ends inside its signature") }
        if jpegSignature.starts(with: bytes) { throw .truncated(.jpeg, "the file ends inside its signature") }
        throw .unsupported("it starts like \(guess(bytes)), and PNG and JPEG are what is decoded")
    }

    /// The format whose signature `bytes` begin with, however damaged the rest is; nil if it is neither.
    package static func sniffed(_ bytes: UnsafeRawBufferPointer) -> ImageFormat? { try? of(bytes) }

    private static func guess(_ bytes: UnsafeRawBufferPointer) -> String {
        let signatures: [(String, [UInt8])] = [
            ("GIF", Array("GIF8".utf8)), ("BMP", Array("BM".utf8)), ("TIFF", [0x49, 0x49, 0x2A, 0]), ("TIFF", [0x4D, 0x4D, 0, 0x2A]),
            ("JPEG 2000", [0, 0, 0, 0x0C, 0x6A, 0x50]), ("a JPEG with a damaged first marker", [0xFF, 0xD8]),
        ]
        if let known = signatures.first(where: { bytes.starts(with: $0.1) }) { return known.0 }
        if bytes.count >= 12, bytes.starts(with: Array("RIFF".utf8)), bytes[8..<12].elementsEqual("WEBP".utf8) { return "WebP" }
        return "no known image"
    }
}
