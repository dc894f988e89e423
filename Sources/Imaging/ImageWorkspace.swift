internal import Tensors

/// Memory that decoding and preprocessing use again and again; one a thread.
package final class ImageWorkspace {
    enum Direction { case across, down }

    /// The picture that was decoded last.
    package let image = RGBImage()
    private var buffer = UnsafeMutableBufferPointer<UInt8>(start: nil, count: 0)
    private var axes: [Direction: (spec: ResampleSpec, axis: ResampleAxis)] = [:]

    package init() {}

    deinit { buffer.deallocate() }

    /// Room for what lies between the two passes of a resize.
    func between(_ count: Int) -> UnsafeMutableBufferPointer<UInt8> {
        if buffer.count < count {
            buffer.deallocate()
            buffer = .allocate(capacity: count)
        }
        return UnsafeMutableBufferPointer(rebasing: buffer[0..<count])
    }

    /// The axis for `spec`, which is the last one's where pictures of one size follow each other.
    func axis(_ spec: ResampleSpec, _ direction: Direction) -> ResampleAxis {
        if let known = axes[direction], known.spec == spec { return known.axis }
        let axis = spec.axis()
        axes[direction] = (spec, axis)
        return axis
    }
}

extension ImagePreprocessor {
    /// Decodes, resizes and cuts a file: `output` becomes [side, side, 3]. `workspace.image` is the whole picture afterwards.
    package func crop(
        _ file: UnsafeRawBufferPointer, decoder: ImageDecoder, into output: UnsafeMutableBufferPointer<UInt8>, workspace: ImageWorkspace
    ) throws(ImagingError) {
        try decoder.decode(file, into: workspace.image)
        crop(workspace.image, into: output, workspace: workspace)
    }

    /// A file to what the model takes, [3, side, side]: for single pictures; batches keep crops and a workspace.
    package func preprocess(_ file: UnsafeRawBufferPointer, decoder: ImageDecoder = ImageDecoder()) throws(ImagingError) -> [Float] {
        var crop = [UInt8](repeating: 0, count: sampleCount)
        let workspace = ImageWorkspace()
        try crop.withUnsafeMutableBufferPointer { output throws(ImagingError) in
            try self.crop(file, decoder: decoder, into: output, workspace: workspace)
        }
        return [Float](unsafeUninitializedCapacity: sampleCount) { output, count in
            crop.withUnsafeBufferPointer { normalize($0, into: UnsafeMutableBufferPointer(rebasing: output[0..<sampleCount])) }
            count = sampleCount
        }
    }
}
