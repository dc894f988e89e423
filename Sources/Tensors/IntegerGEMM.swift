internal import CKernels

/// Integer matrix products `out[M, N] = A[M, K] x W[N, K]^T` with u8 activations and packed weights, on one instruction set. What follows the
/// product is fused behind it and defined to the last bit (`p4q_gemm.h`).
///
/// M rows of activations, N output channels, K inputs. Pointers are rows of row-major matrices; strides are in elements. The caller guarantees
/// the extents.
package struct IntegerGEMM: Sendable {
    package let instructionSet: InstructionSet

    package init(_ instructionSet: InstructionSet = .best) {
        precondition(instructionSet.isSupported, "this machine cannot run \(instructionSet.rawValue)")
        self.instructionSet = instructionSet
    }

    /// Channels of a panel: threads that share a product take whole panels.
    package static let panelChannels = P4Q_PANEL

    /// Panels of a matrix with `outputs` channels.
    package static func panels(_ outputs: Int) -> Int { (outputs + panelChannels - 1) / panelChannels }

    /// Bytes of scratch, aligned to 64, for every product of at most `rows` rows and `inputs` inputs.
    package func scratchByteCount(rows: Int, inputs: Int) -> Int {
        Int(p4q_gemm_scratch_bytes(instructionSet.code, Int64(rows), Int64(inputs)))
    }

    /// Computes the channels of `panels` for `rows` of `activations`, all of them where nil. `scratch` belongs to this call alone.
    /// The time that epilogues take is added to `epilogueTicks`.
    ///
    /// - Precondition: `activations.columns == weights.inputs`.
    package func multiply(
        _ activations: CodeMatrix, _ weights: PackedMatrix, channels: ChannelScales, to output: ProductOutput, stride: Int,
        rows: Range<Int>? = nil, panels: Range<Int>? = nil, scratch: UnsafeMutableRawPointer,
        epilogueTicks: UnsafeMutablePointer<Int64>? = nil
    ) {
        precondition(
            activations.columns == weights.inputs,
            "activations of \(activations.columns) columns meet weights [\(weights.outputs), \(weights.inputs)]")
        var product = p4q_gemm()
        let rows = (rows ?? 0..<activations.rows).clamped(to: 0..<activations.rows)
        activations.rows(rows).describe(in: &product)
        product.n = Int64(weights.outputs)
        product.w_bits = Int32(weights.bits.rawValue)
        let all = 0..<Self.panels(weights.outputs)
        let share = (panels ?? all).clamped(to: all)
        product.first_panel = Int64(share.lowerBound)
        product.end_panel = Int64(share.upperBound)
        channels.describe(in: &product.epilogue)
        output.advanced(by: rows.lowerBound * stride).describe(in: &product.epilogue)
        product.epilogue.out_stride = Int64(stride)
        product.epilogue.out_visible = -1
        product.epilogue_ticks = epilogueTicks
        weights.sums.withUnsafeBufferPointer { sums in
            weights.withUnsafeBytes { bytes in
                product.w_sums = sums.baseAddress
                product.w = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
                p4q_gemm_run(instructionSet.code, &product, scratch)
            }
        }
    }

    /// `codes[row, i]` of `x[row, i]`, as an epilogue makes them.
    package func quantize(
        _ x: UnsafePointer<Float>, stride: Int, rows: Int, width: Int, by quantizer: CodeScale, to codes: UnsafeMutablePointer<UInt8>,
        codesStride: Int
    ) {
        p4q_quantize_rows(
            instructionSet.code, x, Int64(stride), Int64(rows), Int64(width), quantizer.inverseScale, Float(quantizer.zeroPoint),
            Float(quantizer.top), codes, Int64(codesStride))
    }

    /// What the integer dot product that these widths take does on registers alone, on one thread, in short runs that take `milliseconds`
    /// together.
    package func peakRate(activations: BitWidth, weights: BitWidth, milliseconds: Int = 100) -> PeakRate {
        let clock = ContinuousClock()
        let end = clock.now + .milliseconds(milliseconds)
        var (all, seconds, best) = (0.0, 0.0, 0.0)
        repeat {
            var operations = 0.0
            let time =
                clock.measure {
                    operations = Double(
                        p4q_gemm_peak(instructionSet.code, Int32(activations.unsignedRange.upperBound), Int32(weights.rawValue), 1 << 16))
                } / .seconds(1)
            all += operations
            seconds += time
            best = max(best, operations / time)
        } while clock.now < end
        return PeakRate(mean: all / seconds, best: best)
    }

    /// Operations a second; a multiplication and an addition are two.
    package struct PeakRate: Sendable {
        /// Of all runs: what others left of the processor.
        package let mean: Double
        /// Of the fastest run: what the processor can do while nobody disturbs it.
        package let best: Double

        /// Of several threads at once.
        package static func sum(_ threads: [PeakRate]) -> PeakRate {
            PeakRate(mean: threads.reduce(0) { $0 + $1.mean }, best: threads.reduce(0) { $0 + $1.best })
        }
    }
}
