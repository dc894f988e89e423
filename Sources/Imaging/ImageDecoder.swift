internal import CImageCodecs

/// PNG and JPEG files to RGB, equal to `PIL.ImageOps.exif_transpose(image).convert("RGB")`: alpha dropped, 16-bit samples by their
/// high byte, gamma and colour profiles ignored.
package struct ImageDecoder: Sendable {
    package var limits: ImageLimits
    /// Whether a picture is turned as its EXIF orientation says.
    package var appliesOrientation: Bool

    package init(limits: ImageLimits = ImageLimits(), appliesOrientation: Bool = true) {
        self.limits = limits
        self.appliesOrientation = appliesOrientation
    }

    /// Throws: what is wrong with `bytes`; nothing about them can trap or end the process.
    package func decode(_ bytes: UnsafeRawBufferPointer) throws(ImagingError) -> RGBImage {
        let image = RGBImage()
        try decode(bytes, into: image)
        return image
    }

    /// Decodes into memory that `image` has from pictures before. After an error its pixels are undefined.
    package func decode(_ bytes: UnsafeRawBufferPointer, into image: RGBImage) throws(ImagingError) {
        let format = try ImageFormat.of(bytes)
        try limits.check(byteCount: bytes.count)
        switch format {
        case .png: try PNGReader(bytes).read(into: image, limits)
        case .jpeg: try JPEGReader(bytes).read(into: image, limits)
        }
        if appliesOrientation { try image.apply(Orientation(bytes, format)) }
    }
}

/// A file of which the header has been read. Owns the C reader; borrows the bytes, so it must not outlive them.
private struct PNGReader: ~Copyable {
    private let reader: OpaquePointer?
    private let header: p4q_image_header

    init(_ bytes: UnsafeRawBufferPointer) throws(ImagingError) {
        var reader: OpaquePointer?
        var header = p4q_image_header()
        let status = p4q_png_open(bytes.baseAddress, bytes.count, &reader, &header)
        (self.reader, self.header) = (reader, header)
        try Self.check(status, reader)
    }

    deinit { p4q_png_close(reader) }

    func read(into image: RGBImage, _ limits: ImageLimits) throws(ImagingError) {
        try limits.check(ImageLimits.Claim(header))
        try image.reshape(width: Int(header.width), height: Int(header.height), format: .png)
        let status = image.withMutablePixels { p4q_png_read(reader, $0.baseAddress, image.width &* 3) }
        try Self.check(status, reader)
    }

    private static func check(_ status: p4q_image_status, _ reader: OpaquePointer?) throws(ImagingError) {
        if let error = ImagingError(status, .png, p4q_png_message(reader)) { throw error }
    }
}

private struct JPEGReader: ~Copyable {
    private let reader: OpaquePointer?
    private let header: p4q_image_header

    init(_ bytes: UnsafeRawBufferPointer) throws(ImagingError) {
        var reader: OpaquePointer?
        var header = p4q_image_header()
        let status = p4q_jpeg_open(bytes.baseAddress, bytes.count, &reader, &header)
        (self.reader, self.header) = (reader, header)
        try Self.check(status, reader)
    }

    deinit { p4q_jpeg_close(reader) }

    func read(into image: RGBImage, _ limits: ImageLimits) throws(ImagingError) {
        try limits.check(ImageLimits.Claim(header))
        try image.reshape(width: Int(header.width), height: Int(header.height), format: .jpeg)
        let scans = UInt32(clamping: limits.scans(pixels: image.width &* image.height))
        let status = image.withMutablePixels { p4q_jpeg_read(reader, scans, $0.baseAddress, image.width &* 3) }
        try Self.check(status, reader)
    }

    private static func check(_ status: p4q_image_status, _ reader: OpaquePointer?) throws(ImagingError) {
        if let error = ImagingError(status, .jpeg, p4q_jpeg_message(reader)) { throw error }
    }
}

extension ImageLimits.Claim {
    fileprivate init(_ header: p4q_image_header) {
        self.init(
            width: Int(header.width), height: Int(header.height), bitsPerPixel: Int(header.bits_per_pixel),
            workingBytes: Int(clamping: header.working_bytes), codedBytes: Int(clamping: header.coded_bytes))
    }
}

extension ImagingError {
    fileprivate init?(_ status: p4q_image_status, _ format: ImageFormat, _ message: UnsafePointer<CChar>?) {
        if status == P4Q_IMAGE_OK { return nil }
        let why = message.map { String(cString: $0) } ?? ""
        switch status {
        case P4Q_IMAGE_TRUNCATED: self = .truncated(format, why)
        case P4Q_IMAGE_UNSUPPORTED: self = .unsupported(why)
        case P4Q_IMAGE_TOO_LARGE: self = .tooLarge(why)
        default: self = .corrupt(format, why)
        }
    }
}
