import Foundation

/// A decoded picture: 8-bit RGB, rows from the top, [height, width, 3], without gaps. Its memory is reused by the next decode into it.
package final class RGBImage {
    package private(set) var width = 0
    package private(set) var height = 0
    package private(set) var format = ImageFormat.png
    private var storage: UnsafeMutableRawBufferPointer?

    /// No pixels yet: something to decode into.
    package init() {}

    /// A picture from pixels that are already there, [height, width, 3].
    /// Precondition: `pixels.count == width * height * 3`.
    package convenience init(width: Int, height: Int, format: ImageFormat = .png, pixels: [UInt8]) throws(ImagingError) {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "pixels are [height, width, 3]")
        self.init()
        try reshape(width: width, height: height, format: format)
        withMutablePixels { $0.baseAddress?.update(from: pixels, count: pixels.count) }
    }

    deinit { free(storage?.baseAddress) }

    package var byteCount: Int { width &* height &* 3 }

    /// Lends the pixels, [height, width, 3].
    package func withPixels<Result, Failure: Error>(_ body: (UnsafeBufferPointer<UInt8>) throws(Failure) -> Result) throws(Failure)
        -> Result
    {
        try body(UnsafeBufferPointer(start: storage?.baseAddress?.assumingMemoryBound(to: UInt8.self), count: byteCount))
    }

    func withMutablePixels<Result, Failure: Error>(
        _ body: (UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeMutableBufferPointer(start: storage?.baseAddress?.assumingMemoryBound(to: UInt8.self), count: byteCount))
    }

    /// Takes the size, and memory for it if there is too little or far too much. The pixels are whatever was there.
    func reshape(width: Int, height: Int, format: ImageFormat) throws(ImagingError) {
        let needed = width &* height &* 3
        let held = storage?.count ?? 0
        if held < needed || held > max(4 &* needed, Self.keptBytes) {
            free(storage?.baseAddress)
            storage = nil
            (self.width, self.height) = (0, 0)
            guard let memory = malloc(needed) else { throw .tooLarge("there is no memory for \(width) x \(height) pixels") }
            storage = UnsafeMutableRawBufferPointer(start: memory, count: needed)
        }
        (self.width, self.height, self.format) = (width, height, format)
    }

    /// Turns the picture the way `orientation` says it is to be seen.
    func apply(_ orientation: Orientation) throws(ImagingError) {
        if orientation == .upright { return }
        let turned = RGBImage()
        let (newWidth, newHeight) = orientation.swapsSides ? (height, width) : (width, height)
        try turned.reshape(width: newWidth, height: newHeight, format: format)
        withPixels { source in
            turned.withMutablePixels { orientation.copy(source, width: width, height: height, to: $0) }
        }
        swap(&storage, &turned.storage)
        (width, height) = (newWidth, newHeight)
    }

    /// Memory that is kept for the next picture even if this one is small: a picture of 5 million pixels.
    private static let keptBytes = 16 << 20
}
