import CLIP
import Quantization
import Tensors
import Testing
import Tuning

struct PromptPassTests {
    private static let length = 3

    /// The whole prompt of a class, context vectors standing where they belong.
    private func ids(_ prompt: [Int32], _ context: [Int32], _ position: ClassPosition) -> [Int32] {
        let tokens = ClassTokens(prompt, fullStop: TinyTower.stop)
        let leading =
            switch position {
            case .end: context.count
            case .middle: context.count / 2
            case .front: 0
            }
        return [tokens.start] + context[..<leading] + tokens.name + context[leading...] + tokens.stop
    }

    private func features(
        _ tower: PromptTower, _ context: [Float], _ position: ClassPosition, threads: Int = 1, sharing: Bool = true
    ) -> [Float] {
        let pass = PromptPass(
            tower: tower, classes: TinyTower.classes, contextLength: Self.length, position: position, pool: ThreadPool(threads: threads),
            sharing: sharing)
        var features = [Float](repeating: 0, count: pass.classes * pass.featureWidth)
        pass.forward(context: context, features: &features)
        return features
    }

    @Test(arguments: ["8-8-8", "4-4-8", "3-3-8", "2-2-8"], ClassPosition.allCases)
    func `features are the integer tower's bits, on every instruction set and number of threads`(
        bits: String, position: ClassPosition
    ) throws {
        let tiny = TinyTower()
        let context: [Int32] = [20, 21, 22]
        for set in InstructionSet.supported {
            let encoder = try tiny.quantized(bits, set)
            let plain = encoder.encode(prompts: TinyTower.prompts.map { ids($0, context, position) }, pool: .serial)
            // A row's vector is its token's and its position's sum, so a context vector is found exactly where position 0 is zero.
            let expected = plain.withUnsafeBufferPointer(Array.init)
            let vectors = try exactVectors(tiny, context, bits, set)
            for threads in 1...3 {
                #expect(features(.quantized(encoder), vectors, position, threads: threads) == expected, "\(set), \(threads) threads")
            }
            #expect(features(.quantized(encoder), vectors, position, sharing: false) == expected)
            let learned = LearnedPromptEncoder(
                tower: .quantized(encoder), context: vectors, position: position, fullStop: TinyTower.stop)
            #expect(learned.encode(prompts: TinyTower.prompts, pool: .serial).withUnsafeBufferPointer(Array.init) == expected)
        }
    }

    /// What the token table holds for some tokens: its codes times their scales.
    private func exactVectors(_ tiny: TinyTower, _ ids: [Int32], _ bits: String, _ set: InstructionSet) throws -> [Float] {
        let width = tiny.configuration.text.width
        let table = tiny.checkpoint["text_model.embeddings.token_embedding.weight"].withUnsafeBufferPointer {
            WeightCodes($0, rows: tiny.configuration.vocabularySize, columns: width, bits: 8)
        }
        return ids.flatMap { id in (0..<width).map { Float(table.codes[Int(id) * width + $0]) * table.scales[Int(id)] } }
    }

    @Test(arguments: ClassPosition.allCases, [Activation.quickGELU, .gelu])
    func `the float tower's gradient is central differences' in double precision`(position: ClassPosition, activation: Activation) {
        let tiny = TinyTower(activation: activation)
        let width = tiny.configuration.text.width
        let context = numbers(Self.length * width, seed: 1, bound: 0.5)
        let weights = numbers(TinyTower.classes.count * tiny.configuration.projectionWidth, seed: 2)
        let reference = DoubleTower(tiny)
        func value(_ context: [Double]) -> Double {
            TinyTower.prompts.enumerated().reduce(0) { sum, entry in
                // Ids beyond the vocabulary stand for context vectors.
                let rows = ids(entry.element, (0..<Int32(Self.length)).map { 1000 + $0 }, position).map { id in
                    id >= 1000 ? Array(context[(Int(id) - 1000) * width..<(Int(id) - 999) * width]) : reference.embedding(id)
                }
                let feature = reference.feature(rows)
                return sum
                    + zip(feature, weights[entry.offset * feature.count..<(entry.offset + 1) * feature.count]).reduce(0) {
                        $0 + $1.0 * Double($1.1)
                    }
            }
        }
        let expected = context.indices.map { index in
            var (above, below) = (context.map(Double.init), context.map(Double.init))
            above[index] += 1e-5
            below[index] -= 1e-5
            return (value(above) - value(below)) / 2e-5
        }
        for sharing in [true, false] {
            let pass = PromptPass(
                tower: .float(tiny.float), classes: TinyTower.classes, contextLength: Self.length, position: position,
                pool: ThreadPool(threads: 2), sharing: sharing)
            var features = [Float](repeating: 0, count: weights.count)
            var gradient = [Float](repeating: 0, count: context.count)
            pass.forward(context: context, features: &features)
            pass.backward(featureGradient: weights, contextGradient: &gradient)
            #expect(relativeDifference(gradient, expected) < 1e-4, "sharing \(sharing)")
        }
    }

    @Test(arguments: ["8-8-8", "4-4-8"], ClassPosition.allCases)
    func `sharing the prefix changes no gradient`(bits: String, position: ClassPosition) throws {
        let tiny = TinyTower()
        let tower = PromptTower.quantized(try tiny.quantized(bits))
        let context = numbers(Self.length * tiny.configuration.text.width, seed: 1, bound: 0.1)
        let weights = numbers(TinyTower.classes.count * tiny.configuration.projectionWidth, seed: 2)
        func gradient(_ sharing: Bool) -> [Float] {
            let pass = PromptPass(
                tower: tower, classes: TinyTower.classes, contextLength: Self.length, position: position, pool: .serial, sharing: sharing)
            var features = [Float](repeating: 0, count: weights.count)
            var gradient = [Float](repeating: 0, count: context.count)
            pass.forward(context: context, features: &features)
            pass.backward(featureGradient: weights, contextGradient: &gradient)
            return gradient
        }
        let plain = gradient(false)
        #expect(plain.contains { $0 != 0 })
        #expect(relativeDifference(gradient(true), plain.map(Double.init)) < 1e-4)
    }
}
