import CLIP
import Foundation
import Quantization
import Tensors
import TestSupport
import Testing

struct EmbeddedPromptTests {
    @Test func `context vectors stand behind the start token, in float and quantized towers alike`() throws {
        let (configuration, checkpoint) = (ShapedCLIP.odd.configuration, ShapedCLIP.odd.checkpoint)
        let table = checkpoint["text_model.embeddings.token_embedding.weight"]
        // The vectors of tokens 3 and 7 as context: the same prompt as with the tokens themselves.
        let context = FloatTensor(shape: [2, configuration.text.width]) { target in
            table.withUnsafeBufferPointer { rows in
                for (place, id) in [3, 7].enumerated() {
                    for i in 0..<configuration.text.width {
                        target[place * configuration.text.width + i] = rows[id * configuration.text.width + i]
                    }
                }
            }
        }
        let float = FloatTextEncoder(checkpoint)
        let prompt = EmbeddedPrompt(ids: [48, 5, 49], context: context)
        let found = float.encode(embedded: [prompt], pool: .serial).withUnsafeBufferPointer(Array.init)
        #expect(found == float.encode(prompts: [[48, 3, 7, 5, 49]], pool: .serial).withUnsafeBufferPointer(Array.init))
        let bits = BitPlan(weights: .eight, activations: .eight, attention: .eight)
        let tensors = try QuantizedTensors(checkpoint, ShapedCLIP.odd.calibrate(checkpoint), observer: .minMax, bits: bits)
        let quantized = QuantizedTextEncoder(tensors, configuration)
        let features = quantized.encode(embedded: [prompt, EmbeddedPrompt(ids: [48, 5, 49])], pool: .serial).withUnsafeBufferPointer(
            Array.init)
        let width = configuration.projectionWidth
        #expect(meanCosine(Array(features[..<width]), found, width: width) > 0.99)
        #expect(Array(features[width...]) == quantized.encode(prompts: [[48, 5, 49]], pool: .serial).withUnsafeBufferPointer(Array.init))
    }

    @Test func `initial vectors are drawn from a normal distribution of standard deviation 0.02, by seed`() {
        let values = EmbeddedPrompt.initialContext(tokens: 64, width: 512, seed: 3).withUnsafeBufferPointer(Array.init)
        let mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
        let deviation = (values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(values.count)).squareRoot()
        // Five standard errors of 32,768 draws.
        #expect(abs(mean) < 0.00056 && abs(deviation - 0.02) < 0.0004, "\(mean), \(deviation)")
        #expect(values == EmbeddedPrompt.initialContext(tokens: 64, width: 512, seed: 3).withUnsafeBufferPointer(Array.init))
        #expect(values != EmbeddedPrompt.initialContext(tokens: 64, width: 512, seed: 4).withUnsafeBufferPointer(Array.init))
    }
}

@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
struct LearnedPromptCalibrationTests {
    @Test func `prompts with untrained vectors among the calibration's leave text prompts as they are`() throws {
        let model = try SimulatedModel("cifar")
        let configuration = model.checkpoint.configuration
        let tokenizer = try Tokenizer.load(SharedFolder.file("models/cifar10-clip"))
        let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
        func prompts(_ seed: UInt64) -> [EmbeddedPrompt] {
            let context = EmbeddedPrompt.initialContext(tokens: 16, width: configuration.text.width, seed: seed)
            return names.map { EmbeddedPrompt(ids: tokenizer.encode("\($0)."), context: context) }
        }
        let plain = model.prompts.map { EmbeddedPrompt(ids: $0) }
        let calibrations = try [plain, plain + prompts(1)].map { prompts in
            let calibrator = Calibrator(
                image: model.image, text: model.text, activationBits: [8, 4, 3, 2], attentionBits: [8], pool: ThreadPool(threads: 2))
            try calibrator.observe(crops: model.crops(Array(model.points.calibration[0].prefix(2))))
            try calibrator.observe(embedded: prompts)
            return calibrator.finish()
        }
        let learned = (101...105).flatMap { prompts(UInt64($0)) }
        let (wantedLearned, wantedPlain) = (
            features(model.text.encode(embedded: learned, pool: .serial)), features(model.text.encode(embedded: plain, pool: .serial))
        )
        for widths in ["8-8-8", "4-4-8", "3-3-8", "2-2-8"] {
            let bits = try #require(BitPlan(widths))
            let cosines = try calibrations.map { calibration in
                let tensors = try QuantizedTensors(model.checkpoint, calibration, observer: .omse, bits: bits)
                let text = QuantizedTextEncoder(tensors, configuration)
                return [(learned, wantedLearned), (plain, wantedPlain)].map { prompts, wanted in
                    meanCosine(features(text.encode(embedded: prompts, pool: .serial)), wanted, width: configuration.projectionWidth)
                }
            }
            print(
                "\(widths): learned prompts \(cosines[0][0]) without, \(cosines[1][0]) with; text prompts \(cosines[0][1]) without, \(cosines[1][1]) with"
            )
            // Whether such prompts themselves gain is measured, not asserted: at 3 and 2 bits they lose, which is why it is no default.
            #expect(cosines[1][1] > cosines[0][1] - 0.001, "\(widths)")
            if bits.activations == .eight { #expect(cosines[1][0] > 0.999 && cosines[0][0] > 0.999) }
        }
    }

    private func features(_ tensor: FloatTensor) -> [Float] { tensor.withUnsafeBufferPointer(Array.init) }
}
