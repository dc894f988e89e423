internal import CImageCodecs

/// Pixels to PNG and JPEG files.
package enum ImageFile {
    package enum Encoding: Sendable, Equatable {
        case png
        /// `quality` from 1 to 100, as libjpeg counts it; colours at half resolution.
        case jpeg(quality: Int)
    }

    /// A file of 8-bit RGB `pixels`, [height, width, 3].
    ///
    /// Throws: `tooLarge` where libpng or libjpeg has no memory for it.
    package static func encode(_ pixels: [UInt8], width: Int, height: Int, as encoding: Encoding) throws(ImagingError) -> [UInt8] {
        precondition(
            width > 0 && height > 0 && width <= 65_500 && height <= 65_500 && pixels.count == width * height * 3,
            "\(pixels.count) bytes are not [\(height), \(width), 3]")
        var output = p4q_encoded()
        defer { p4q_encoded_free(&output) }
        let status = pixels.withUnsafeBufferPointer { pixels in
            switch encoding {
            case .png: p4q_png_encode(pixels.baseAddress, UInt32(width), UInt32(height), &output)
            case .jpeg(let quality):
                p4q_jpeg_encode(pixels.baseAddress, UInt32(width), UInt32(height), Int32(clamping: quality), &output)
            }
        }
        guard status == P4Q_IMAGE_OK else { throw .tooLarge("there is no memory to encode \(width) x \(height) pixels") }
        return Array(UnsafeBufferPointer(start: output.bytes, count: output.count))
    }
}
