import Quantization
import Tensors
import Testing

/// Kernels multiply by `1 / s` with one rounding, the definition divides and adds with two.
struct RequantizationTests {
    @Test(arguments: [BitWidth.eight, .four, .three, .two])
    func `codes of a kernel are the definition's but for values within a millionth of a rounding tie, fewer than one in 100,000`(
        bits: BitWidth
    )
        throws
    {
        var random = Draw("requantization \(bits.rawValue)")
        var (differing, compared) = (0, 0)
        for _ in 0..<20 {
            let values = (0..<100_000).map { _ in 8 * random.next() * (random.next() + 0.5) }
            let quantizer = ActivationQuantizer(low: -2 - random.next(), high: 3 + random.next(), bits: bits.rawValue)
            let meaning = CodeScale(scale: quantizer.scale, zeroPoint: Int(quantizer.zeroPoint), bits: bits)
            var codes = [UInt8](repeating: 0, count: values.count)
            IntegerGEMM().quantize(
                values, stride: values.count, rows: 1, width: values.count, by: meaning, to: &codes, codesStride: values.count)
            for (value, code) in zip(values, codes) {
                compared += 1
                guard Int32(code) != quantizer.code(value) else { continue }
                differing += 1
                let place = Double(value) / Double(quantizer.scale) + Double(quantizer.zeroPoint)
                #expect(abs(Int32(code) - quantizer.code(value)) == 1 && abs(place - place.rounded(.down) - 0.5) <= 1e-6 * max(place, 1))
            }
        }
        print("\(bits.rawValue) bits: \(differing) of \(compared) codes differ from the definition's")
        #expect(differing * 100_000 <= compared)
    }
}
