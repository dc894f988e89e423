internal import CKernels

/// One axis of a resampling: which inputs each output is made of, and by how much each counts.
package struct ResampleAxis: Sendable {
    private let first: [Int32]
    private let count: [Int32]
    private let pairs: [p4q_resample_pair]
    private let pairsPerOutput: Int
    /// How many outputs there are.
    package var outputs: Int { first.count }
    /// How many inputs must be there.
    package let inputs: Int

    /// The binary point of a tap: 1 is `1 << fractionBits`.
    package static let fractionBits = Int(P4Q_RESAMPLE_FRACTION_BITS)

    /// Output i is made of inputs `first[i]` and on, weighted by `taps[i]`: at least one, each of magnitude below 8 (`8 << fractionBits`).
    package init(first: [Int], taps: [[Int32]]) {
        precondition(first.count == taps.count && taps.allSatisfy { !$0.isEmpty } && first.allSatisfy { $0 >= 0 }, "taps for every output")
        self.first = first.map(Int32.init)
        count = taps.map { Int32($0.count) }
        inputs = zip(first, taps).map { $0 + $1.count }.max() ?? 0
        pairsPerOutput = ((taps.map(\.count).max() ?? 0) + 1) / 2
        var pairs: [p4q_resample_pair] = []
        pairs.reserveCapacity(first.count * pairsPerOutput)
        for output in taps {
            for p in 0..<pairsPerOutput {
                let (a, b) = (p * 2 < output.count ? output[p * 2] : 0, p * 2 + 1 < output.count ? output[p * 2 + 1] : 0)
                pairs.append(p4q_resample_pair(high: (Self.high(a), Self.high(b)), low: (Self.low(a), Self.low(b))))
            }
        }
        self.pairs = pairs
    }

    private static func high(_ tap: Int32) -> Int16 { Int16(tap >> Int32(P4Q_RESAMPLE_LOW_BITS)) }
    private static func low(_ tap: Int32) -> Int16 { Int16(tap & (1 << Int32(P4Q_RESAMPLE_LOW_BITS) - 1)) }

    fileprivate func withKernelAxis(_ body: (UnsafePointer<p4q_resample_axis>) -> Void) {
        first.withUnsafeBufferPointer { first in
            count.withUnsafeBufferPointer { count in
                pairs.withUnsafeBufferPointer { pairs in
                    var axis = p4q_resample_axis(
                        first: first.baseAddress, count: count.baseAddress, taps: pairs.baseAddress, outputs: first.count,
                        pairs: pairsPerOutput)
                    body(&axis)
                }
            }
        }
    }
}

/// Resampling of 8-bit RGB pictures along one axis at a time. Every instruction set gives the same bits.
package struct Resampler: Sendable {
    private let kernels: p4q_resample_kernels

    package init(_ instructionSet: InstructionSet = .best) {
        precondition(instructionSet.isSupported, "this machine runs the instruction set")
        kernels = p4q_resample_kernels_for(instructionSet.code)
    }

    /// input [rows, at least axis.inputs, 3], rows `inputStride` bytes apart -> output [rows, axis.outputs, 3], without gaps.
    package func resampleColumns(
        _ axis: ResampleAxis, input: UnsafeBufferPointer<UInt8>, inputStride: Int, rows: Int, output: UnsafeMutableBufferPointer<UInt8>
    ) {
        if rows == 0 || axis.outputs == 0 { return }
        precondition(
            (rows - 1) * inputStride + axis.inputs * 3 <= input.count, "\(rows) rows of \(axis.inputs) pixels in \(input.count) bytes")
        precondition(rows * axis.outputs * 3 <= output.count, "\(rows) rows of \(axis.outputs) pixels in \(output.count) bytes")
        axis.withKernelAxis { kernels.columns($0, input.baseAddress, inputStride, input.count, output.baseAddress, axis.outputs * 3, rows) }
    }

    /// input [at least axis.inputs, rowBytes], rows `inputStride` bytes apart -> output [axis.outputs, rowBytes], rows `outputStride` apart.
    package func resampleRows(
        _ axis: ResampleAxis, input: UnsafeBufferPointer<UInt8>, inputStride: Int, rowBytes: Int,
        output: UnsafeMutableBufferPointer<UInt8>, outputStride: Int
    ) {
        if rowBytes == 0 || axis.outputs == 0 { return }
        precondition(
            (axis.inputs - 1) * inputStride + rowBytes <= input.count, "\(axis.inputs) rows of \(rowBytes) in \(input.count) bytes")
        precondition(
            (axis.outputs - 1) * outputStride + rowBytes <= output.count, "\(axis.outputs) rows of \(rowBytes) in \(output.count) bytes")
        axis.withKernelAxis { kernels.rows($0, input.baseAddress, inputStride, rowBytes, output.baseAddress, outputStride) }
    }
}
