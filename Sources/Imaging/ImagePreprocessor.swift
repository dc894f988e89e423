package import Tensors

/// Pictures to what a model takes: resized, cut to a square from the middle, normalised. The crop is bit for bit what Pillow's
/// antialiased resize and transformers' centre crop give; only the part that survives the crop is resampled.
package struct ImagePreprocessor: Sendable {
    package let configuration: PreprocessorConfiguration
    /// The side of the square that comes out.
    package let side: Int
    /// What a pixel value v becomes in channel c: `normalization[c * 256 + v]`, that is (v * rescaleFactor - mean) / deviation,
    /// computed in double and rounded once.
    package let normalization: [Float]
    private let resampler: Resampler

    /// Throws: `configuration` if the steps don't end in a square of a fixed size.
    package init(_ configuration: PreprocessorConfiguration, instructionSet: InstructionSet = .best) throws(ImagingError) {
        self.configuration = configuration
        side = try configuration.outputSide()
        normalization = (0..<3).flatMap { channel in
            (0..<256).map { value in
                let (mean, deviation) = (configuration.mean[channel], configuration.deviation[channel])
                return Float((Double(value) * configuration.rescaleFactor - mean) / deviation)
            }
        }
        resampler = Resampler(instructionSet)
    }

    /// Bytes of a crop, and elements of a normalised one.
    package var sampleCount: Int { side * side * 3 }

    /// Resizes and cuts: `output` becomes [side, side, 3]. Where the picture is smaller than the crop, zeros surround it.
    /// Precondition: `output.count == sampleCount`.
    package func crop(_ image: RGBImage, into output: UnsafeMutableBufferPointer<UInt8>, workspace: ImageWorkspace) {
        precondition(output.count == sampleCount, "a crop is [\(side), \(side), 3], and there is room for \(output.count)")
        let (width, height) = resizedSize(width: image.width, height: image.height)
        let columns = CropSpan(resized: width, side: side)
        let rows = CropSpan(resized: height, side: side)
        if columns.isPadded || rows.isPadded { output.update(repeating: 0) }
        let filter = configuration.filter
        let across = ResampleSpec(inputs: image.width, outputs: width, window: columns.window, filter: filter)
        let down = ResampleSpec(inputs: image.height, outputs: height, window: rows.window, filter: filter)
        let target = UnsafeMutableBufferPointer(rebasing: output[((rows.padding * side + columns.padding) * 3)...])
        image.withPixels { pixels in
            resample(pixels, stride: image.width * 3, across: across, down: down, into: target, side * 3, workspace)
        }
    }

    /// The whole resized picture before the crop, [height, width, 3] of `resizedSize`: for looking at and comparing; models take crops.
    /// Throws: `tooLarge` above `limit` pixels.
    package func resize(_ image: RGBImage, limit: Int, workspace: ImageWorkspace) throws(ImagingError) -> RGBImage {
        let (width, height) = resizedSize(width: image.width, height: image.height)
        guard width.multipliedReportingOverflow(by: height).partialValue <= limit else {
            throw .tooLarge("\(width) x \(height) resized pixels, and \(limit) are allowed")
        }
        let resized = RGBImage()
        try resized.reshape(width: width, height: height, format: image.format)
        let across = ResampleSpec(inputs: image.width, outputs: width, window: 0..<width, filter: configuration.filter)
        let down = ResampleSpec(inputs: image.height, outputs: height, window: 0..<height, filter: configuration.filter)
        image.withPixels { pixels in
            resized.withMutablePixels { target in
                resample(pixels, stride: image.width * 3, across: across, down: down, into: target, width * 3, workspace)
            }
        }
        return resized
    }

    /// [side, side, 3] of 8-bit values to [3, side, side] of what the model takes.
    /// Precondition: both hold `sampleCount`.
    package func normalize(_ crop: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableBufferPointer<Float>) {
        precondition(crop.count == sampleCount && output.count == sampleCount, "crop and output are [\(side), \(side), 3]")
        let plane = side * side
        normalization.withUnsafeBufferPointer { table in
            guard let table = table.baseAddress, let crop = crop.baseAddress, let output = output.baseAddress else { return }
            for i in 0..<plane {
                output[i] = table[Int(crop[i * 3])]
                output[plane + i] = table[256 + Int(crop[i * 3 + 1])]
                output[2 * plane + i] = table[512 + Int(crop[i * 3 + 2])]
            }
        }
    }

    /// The size before the crop, as transformers computes it.
    package func resizedSize(width: Int, height: Int) -> (width: Int, height: Int) {
        switch configuration.resize {
        case .none: (width, height)
        case .exact(let newHeight, let newWidth): (newWidth, newHeight)
        case .shortestEdge(let edge): width <= height ? (edge, edge * height / width) : (edge * width / height, edge)
        }
    }

    /// Along rows first, then down columns, with 8-bit values between, each only if its size changes.
    private func resample(
        _ pixels: UnsafeBufferPointer<UInt8>, stride: Int, across: ResampleSpec, down: ResampleSpec,
        into target: UnsafeMutableBufferPointer<UInt8>, _ targetStride: Int, _ workspace: ImageWorkspace
    ) {
        let columns = across.changesSize ? across.inputWindow : across.window
        let rows = down.changesSize ? down.inputWindow : down.window
        if columns.isEmpty || rows.isEmpty { return }
        let start = rows.lowerBound * stride + columns.lowerBound * 3
        let part = UnsafeBufferPointer(rebasing: pixels[start..<((rows.upperBound - 1) * stride + columns.upperBound * 3)])
        let rowBytes = across.window.count * 3
        guard across.changesSize else {
            finish(part, stride: stride, down, rowBytes: rowBytes, into: target, targetStride, workspace)
            return
        }
        let between = workspace.between(rows.count * rowBytes)
        resampler.resampleColumns(workspace.axis(across, .across), input: part, inputStride: stride, rows: rows.count, output: between)
        finish(UnsafeBufferPointer(between), stride: rowBytes, down, rowBytes: rowBytes, into: target, targetStride, workspace)
    }

    private func finish(
        _ input: UnsafeBufferPointer<UInt8>, stride: Int, _ down: ResampleSpec, rowBytes: Int,
        into target: UnsafeMutableBufferPointer<UInt8>, _ targetStride: Int, _ workspace: ImageWorkspace
    ) {
        if down.changesSize {
            resampler.resampleRows(
                workspace.axis(down, .down), input: input, inputStride: stride, rowBytes: rowBytes, output: target,
                outputStride: targetStride)
            return
        }
        for y in 0..<down.window.count {
            let row = UnsafeBufferPointer(rebasing: input[(y * stride)..<(y * stride + rowBytes)])
            _ = UnsafeMutableBufferPointer(rebasing: target[(y * targetStride)...]).update(fromContentsOf: row)
        }
    }
}

/// Where a centre crop of `side` lies on one axis of a picture that was resized to `resized`.
private struct CropSpan {
    /// The part of the resized picture that is kept.
    let window: Range<Int>
    /// Zeros before it.
    let padding: Int
    let isPadded: Bool

    /// Source: transformers' `center_crop`: the offset rounds down, the padding up.
    init(resized: Int, side: Int) {
        if resized >= side {
            let first = (resized - side) / 2
            (window, padding, isPadded) = (first..<(first + side), 0, false)
        } else {
            (window, padding, isPadded) = (0..<resized, (side - resized + 1) / 2, true)
        }
    }
}
