import CLIP
import Foundation
import Quantization
import Tensors
import TestSupport
import Testing

struct ReconstructionTests {
    private static let plan = QuantizationPlan(
        bits: BitPlan(weights: .three, activations: .eight, attention: .eight), observer: .minMax, rounding: .reconstruction)

    /// Crops of smooth pictures, whose neighbouring inputs say much about each other; in batches.
    private static func pictures(_ batches: Int, count: Int) -> [[UInt8]] {
        (0..<batches).map { batch in
            (0..<count).flatMap { image in
                (0..<21 * 21).flatMap { (pixel: Int) -> [UInt8] in
                    let (x, y) = (Float(pixel % 21), Float(pixel / 21))
                    let (a, b) = (Float((batch * count + image) % 7) / 7, Float((batch * count + image) % 5) / 5)
                    let red: Float = 128 + 100 * a * (x / 20 - 0.5)
                    let green: Float = 128 + 100 * b * (y / 20 - 0.5)
                    let blue: Float = 40 + 20 * a + 90 * b
                    return [UInt8(red), UInt8(green), UInt8(blue)]
                }
            }
        }
    }

    private struct Made {
        let float: FloatImageEncoder
        let nearest: QuantizedTensors
        let reconstructed: QuantizedTensors
        let batches: [[UInt8]]

        init(threads: Int) throws {
            let checkpoint = Checkpoint.random(SmallQuantizedCLIP.configuration, name: "small", seed: 7)
            let pool = ThreadPool(threads: threads)
            float = FloatImageEncoder(checkpoint, normalization: SmallQuantizedCLIP.normalization)
            let text = FloatTextEncoder(checkpoint)
            batches = ReconstructionTests.pictures(6, count: 8)
            let calibrator = Calibrator(
                image: float, text: text, activationBits: [8], attentionBits: [8], pool: pool, keepsData: true)
            for batch in batches { try calibrator.observe(crops: batch) }
            try calibrator.observe(prompts: SmallQuantizedCLIP.prompts)
            nearest = try QuantizedTensors(checkpoint, calibrator.finish(), plan)
            var reconstruction = Reconstruction(nearest, checkpoint, plan, image: float, text: text, pool: pool) { _, _, _ in }
            reconstructed = try reconstruction.run(crops: calibrator.crops, prompts: calibrator.embeddedPrompts)
        }

        /// The mean squared distance of all features from the float tower's.
        func error(_ tensors: QuantizedTensors) -> Float {
            let encoder = QuantizedImageEncoder(
                tensors, SmallQuantizedCLIP.configuration, normalization: SmallQuantizedCLIP.normalization)
            var sum: Float = 0
            for batch in batches {
                let own = encode(encoder, batch, count: 8, threads: 1, batch: 8)
                let wanted = encode(float, batch, count: 8, threads: 1, batch: 8)
                for (a, b) in zip(own, wanted) { sum += (a - b) * (a - b) }
            }
            return sum
        }
    }

    private static func codes(_ tensors: QuantizedTensors) -> [String: [Int8]] { tensors.packed.mapValues { $0.codes() } }

    @Test func `features come nearer to the float model than by rounding each weight for itself`() throws {
        let made = try Made(threads: 2)
        #expect(made.error(made.reconstructed) < 0.5 * made.error(made.nearest))
    }

    @Test func `the same data give the same model on any number of threads, and nothing but weights, scales and biases changes`() throws {
        let (one, two) = (try Made(threads: 1), try Made(threads: 3))
        #expect(Self.codes(one.reconstructed) == Self.codes(two.reconstructed))
        #expect(one.reconstructed.points == one.nearest.points)
        #expect(Set(one.reconstructed.packed.keys) == Set(one.nearest.packed.keys))
        let changed = Self.codes(one.reconstructed).filter { one.nearest.packed[$0.key]?.codes() != $0.value }
        // Every linear map of the image tower: 3 blocks of 6, and the patches; of the text tower's at least some.
        #expect(changed.keys.count { $0.hasPrefix("vision_model") } == 19)
        #expect(changed.keys.contains { $0.hasPrefix("text_model") })
        #expect(!changed.keys.contains { $0.contains("projection") })
    }

    @Test func `a quantized folder's description says how weights were rounded, and reads it`() throws {
        let file = URL(fileURLWithPath: "config.json")
        #expect(try QuantizationDescription(Self.plan).plan(file: file) == Self.plan)
        #expect(QuantizationDescription(Self.plan).rounding == "reconstruction")
        let nearest = QuantizationPlan(bits: Self.plan.bits, observer: .omse)
        #expect(QuantizationDescription(nearest).rounding == nil)
        #expect(try QuantizationDescription(nearest).plan(file: file) == nearest)
    }
}
