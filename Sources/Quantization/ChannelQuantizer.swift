internal import Tensors

/// Activation quantizers side by side, one a channel, of the same width: `q(x) = clamp(roundeven(x / scale + zeroPoint), 0, top)`.
package struct ChannelQuantizer: Sendable, Equatable {
    /// [channels]
    package let scales: [Float]
    /// [channels]
    package let zeroPoints: [Float]
    package let bits: Int

    /// The largest code.
    package var top: Float { Float(Int32(1) << bits - 1) }

    init(scales: [Float], zeroPoints: [Float], bits: Int) {
        self.scales = scales
        self.zeroPoints = zeroPoints
        self.bits = bits
    }

    init(_ quantizers: [ActivationQuantizer], bits: Int) {
        self.init(scales: quantizers.map(\.scale), zeroPoints: quantizers.map { Float($0.zeroPoint) }, bits: bits)
    }

    /// Codes of `rows` rows of one element a channel. Every operation is one IEEE operation, so that the codes are the same everywhere.
    func quantize(_ x: UnsafePointer<Float>, rows: Int, to codes: UnsafeMutablePointer<UInt8>) {
        let (width, top) = (scales.count, top)
        // Added and taken away again, it rounds what lies in 0 ... 2^22 half to even.
        let rounder: Float = 0x1.8p23
        scales.withUnsafeBufferPointer { scales in
            zeroPoints.withUnsafeBufferPointer { zeros in
                for row in 0..<rows {
                    let (x, codes) = (x + row * width, codes + row * width)
                    for i in 0..<width {
                        let place = x[i] / scales[i] + zeros[i]
                        let low = place > 0 ? place : 0
                        let clamped = low < top ? low : top
                        codes[i] = UInt8(truncatingIfNeeded: Int32((clamped + rounder) - rounder))
                    }
                }
            }
        }
    }

    /// Codes of one channel's values.
    func quantize(_ x: UnsafeBufferPointer<Float>, channel: Int) -> [UInt8] {
        let quantizer = ActivationQuantizer(scale: scales[channel], zeroPoint: Int32(zeroPoints[channel]), bits: bits)
        return x.map { UInt8(quantizer.code($0)) }
    }
}
