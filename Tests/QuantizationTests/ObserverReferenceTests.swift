import Foundation
import Quantization
import Tensors
import TestSupport
import Testing

@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
struct ObserverReferenceTests {
    private struct Case: Decodable {
        struct Result: Decodable {
            let scale: Float
            let zero_point: Int32
        }
        let kind: String
        let bits: Int
        let results: [String: Result]
        let codes_sum: [String: Int]
    }

    @Test func `scales, zero points and codes are the reference's for every observer, width and distribution`() throws {
        let cases = try JSONDecoder().decode([Case].self, from: Data(contentsOf: SharedFolder.file("oracles/observers/expected.json")))
        let tensors = try ReferenceTensors(SharedFolder.file("oracles/observers/inputs.safetensors"))
        #expect(cases.count >= 24)
        for reference in cases {
            let values = tensors.floats("batches.\(reference.kind)")
            let shape = tensors.shape("batches.\(reference.kind)")
            let size = values.count / shape[0]
            let batches = (0..<shape[0]).map { Array(values[$0 * size..<($0 + 1) * size]) }
            for observer in Observer.allCases {
                let expected = try #require(reference.results[observer.rawValue])
                let quantizer = try #require(try calibrate(observer, batches, bits: reference.bits))
                let name = "\(reference.kind) at \(reference.bits) bits, \(observer)"
                #expect(abs(quantizer.scale - expected.scale) <= 1e-6 * expected.scale, "scale of \(name)")
                #expect(quantizer.zeroPoint == expected.zero_point, "zero point of \(name)")
                #expect(
                    batches[shape[0] - 1].reduce(0) { $0 + Int(quantizer.code($1)) } == reference.codes_sum[observer.rawValue],
                    "codes of \(name)")
            }
        }
    }

    @Test(arguments: [8, 4, 3, 2]) func `weight scales and codes are the reference's`(bits: Int) throws {
        let tensors = try ReferenceTensors(SharedFolder.file("oracles/observers/inputs.safetensors"))
        let shape = tensors.shape("weight")
        let weights = tensors.floats("weight")
        let found = weights.withUnsafeBufferPointer { WeightCodes($0, rows: shape[0], columns: shape[1], bits: bits) }
        #expect(found.scales == tensors.floats("weight.scale.\(bits)"))
        #expect(found.codes == tensors.int8s("weight.codes.\(bits)"))
    }
}

/// Passes the batches through the observer in uneven pieces.
func calibrate(_ observer: Observer, _ batches: [[Float]], bits: Int) throws -> ActivationQuantizer? {
    let kernels = FloatKernels()
    var tracker = RangeTracker(kernels: kernels)
    for batch in batches {
        batch.withUnsafeBufferPointer { values in
            let half = values.count / 3
            tracker.observe(UnsafeBufferPointer(rebasing: values[..<half]))
            tracker.observe(UnsafeBufferPointer(rebasing: values[half...]))
        }
        try tracker.endBatch()
    }
    guard let range = tracker.range(observer) else { return nil }
    guard observer == .omse, let last = batches.last else { return ActivationQuantizer(low: range.low, high: range.high, bits: bits) }
    var search = OMSESearch(range: range, bits: [bits], kernels: kernels)
    last.withUnsafeBufferPointer { search.observe($0) }
    return search.quantizer(bits: bits)
}
