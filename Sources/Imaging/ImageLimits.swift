/// What a picture may cost. All are checked against the header, before memory for pixels is taken.
package struct ImageLimits: Sendable, Equatable {
    /// Bytes of the file. 64 MiB is more than cameras write, and as much as a message carries.
    package var maximumBytes: Int
    /// Pixels. 50 million is what the largest common camera sensors give.
    package var maximumPixels: Int
    /// Long side over short side. A crop for a model keeps the short side, so of more than 1:1000 it would see next to nothing.
    package var maximumAspectRatio: Int
    /// Bytes held while decoding: the RGB rows, and every coefficient of a progressive JPEG. 256 MiB lets a JPEG of maximumPixels through.
    package var maximumMemory: Int
    /// Bytes that any file may unfold to: its samples as stored, or what decoding holds. Up to 48 MiB, that takes a fraction of a second.
    package var unprovenBytes: Int
    /// Above that, how many bytes a byte of the file may unfold to. Photographs stay under 100; deflate and JPEG can reach 1000.
    package var maximumExpansion: Int
    /// Scans of a JPEG. Encoders write about ten; each costs a pass over the whole picture.
    package var maximumScans: Int
    /// Scans times pixels of a JPEG: ten passes over maximumPixels.
    package var maximumScanPixels: Int

    package init(
        maximumBytes: Int = 64 << 20, maximumPixels: Int = 50_000_000, maximumAspectRatio: Int = 1000, maximumMemory: Int = 256 << 20,
        unprovenBytes: Int = 48 << 20, maximumExpansion: Int = 200, maximumScans: Int = 200, maximumScanPixels: Int = 500_000_000
    ) {
        self.maximumBytes = maximumBytes
        self.maximumPixels = maximumPixels
        self.maximumAspectRatio = maximumAspectRatio
        self.maximumMemory = maximumMemory
        self.unprovenBytes = unprovenBytes
        self.maximumExpansion = maximumExpansion
        self.maximumScans = maximumScans
        self.maximumScanPixels = maximumScanPixels
    }

    /// What is checked of a header.
    struct Claim {
        let width: Int, height: Int
        let bitsPerPixel: Int, workingBytes: Int, codedBytes: Int
    }

    func check(byteCount: Int) throws(ImagingError) {
        if byteCount > maximumBytes { throw .tooLarge("\(byteCount) bytes, and \(maximumBytes) are allowed") }
    }

    func check(_ claim: Claim) throws(ImagingError) {
        let size = "\(claim.width) x \(claim.height)"
        let (pixels, overflows) = claim.width.multipliedReportingOverflow(by: claim.height)
        if overflows || pixels > maximumPixels { throw .tooLarge("\(size) pixels, and \(maximumPixels) in all are allowed") }
        let (long, short) = (max(claim.width, claim.height), min(claim.width, claim.height))
        // long / short > ratio, without losing the remainder.
        if long / maximumAspectRatio > short || (long / maximumAspectRatio == short && long % maximumAspectRatio > 0) {
            throw .tooLarge("\(size) pixels is longer than 1:\(maximumAspectRatio)")
        }
        let (memory, wraps) = (pixels &* 3).addingReportingOverflow(claim.workingBytes)
        if wraps || memory > maximumMemory {
            throw .tooLarge("\(size) pixels need \(memory) bytes to decode, and \(maximumMemory) are allowed")
        }
        let unfolded = max(memory, pixels &* claim.bitsPerPixel / 8)
        if unfolded > unprovenBytes, unfolded / maximumExpansion > claim.codedBytes {
            throw .tooLarge("\(size) pixels from \(claim.codedBytes) bytes is more than \(maximumExpansion):1")
        }
    }

    /// How many scans a JPEG of `pixels` pixels may have.
    func scans(pixels: Int) -> Int { max(1, min(maximumScans, maximumScanPixels / max(1, pixels))) }
}
