import CLIP
import Foundation
import Quantization
import Tensors
import TestSupport
import Testing

/// A block of the recipe `reference`, simulated from what the tower had before it.
private struct ReferenceSimulation {
    let checkpoint: Checkpoint
    let tower: Tower
    let tensors: QuantizedTensors
    let recording: Recording
    let sequences: [Range<Int>]

    private var configuration: TowerConfiguration { tower == .vision ? checkpoint.configuration.vision : checkpoint.configuration.text }

    private func floats(_ name: String) -> [Float] { checkpoint[name].withUnsafeBufferPointer(Array.init) }

    func quantizers(_ point: String) -> [Simulation.Quantizer] {
        guard let found = tensors.channelPoints[point] else { return [] }
        return zip(found.scales, found.zeroPoints).map {
            Simulation.Quantizer(scale: Double($0), zero: Double($1), top: Double(found.top))
        }
    }

    /// A linear map of the codes at `point`, its scales folded into the weights before these are quantized.
    func linear(_ codes: [UInt8], _ point: String, weights: [Float], bias: [Float]?, run: Int = 1, bits: Int = 8) -> Simulation.Values {
        let quantizers = quantizers(point)
        let columns = quantizers.count * run
        let scaled = weights.indices.map { weights[$0] * Float(quantizers[$0 % columns / run].scale) }
        let steps = codes.indices.map { Double(codes[$0]) - quantizers[$0 % columns / run].zero }
        return Simulation.linear(
            steps, inputs: columns, Simulation.quantizedWeights(scaled, rows: weights.count / columns, bits: bits), bias: bias)
    }

    func compare(_ block: Int, _ agreement: inout Agreement) {
        let prefix = "\(tower.rawValue)_model.encoder.layers.\(block)."
        let name = "\(tower.rawValue).\(block)."
        guard let stream = recording.residuals[block], stream.count == 2, let after = recording.residuals[block + 1]?.first else {
            return agreement.fault("block \(block) showed no residual stream")
        }
        func codes(_ point: String) -> [UInt8] { recording.codes["\(block).\(point)", default: []] }
        func check(_ point: String, _ values: Simulation.Values) {
            let quantizers = quantizers(name + point)
            agreement.compare(name + point, codes(point)[...], values) { quantizers[$0 % quantizers.count] }
        }
        func norm(_ layer: String, _ x: [Float]) -> Simulation.Values {
            Simulation.layerNorm(
                x.map(Double.init), floats(prefix + layer + ".weight"), floats(prefix + layer + ".bias"),
                epsilon: Double(configuration.layerNormEpsilon))
        }
        func map(_ layer: String, _ point: String) -> Simulation.Values {
            linear(codes(point), name + point, weights: floats(prefix + layer + ".weight"), bias: floats(prefix + layer + ".bias"))
        }
        check("qkv.in", norm("layer_norm1", stream[0]))
        let (q, k, v) = (
            map("self_attn.q_proj", "qkv.in").values, map("self_attn.k_proj", "qkv.in").values, map("self_attn.v_proj", "qkv.in").values
        )
        let attended = attention(q, k, v)
        let weights = floats(prefix + "self_attn.out_proj.weight")
        let output = Simulation.quantizedWeights(weights, rows: configuration.width, bits: 8)
        let bias = floats(prefix + "self_attn.out_proj.bias")
        var result = Simulation.linear(attended, inputs: configuration.width, output, bias: bias)
        result.magnitudes = Simulation.linear(attended.map(abs), inputs: configuration.width, output.map(abs), bias: bias.map(abs)).values
        agreement.compare(name + "attention", stream[1], sum(stream[0], result))
        check("fc1.in", norm("layer_norm2", stream[1]))
        check("fc2.in", Simulation.activation(map("mlp.fc1", "fc1.in"), configuration.activation))
        agreement.compare(name + "MLP", after, sum(stream[1], map("mlp.fc2", "fc2.in")))
    }

    private func sum(_ x: [Float], _ y: Simulation.Values) -> Simulation.Values {
        Simulation.Values(
            values: zip(x, y.values).map { Double($0) + $1 }, magnitudes: zip(x, y.magnitudes).map { Double(abs($0)) + $1 })
    }

    private func attention(_ q: [Double], _ k: [Double], _ v: [Double]) -> [Double] {
        let (width, size) = (configuration.width, configuration.width / configuration.heads)
        var result = [Double](repeating: 0, count: q.count)
        for rows in sequences {
            for head in 0..<configuration.heads {
                func part(_ x: [Double]) -> [Double] {
                    var part: [Double] = []
                    for row in rows {
                        let start = row * width + head * size
                        part += x[start..<start + size]
                    }
                    return part
                }
                let shares = Simulation.probabilities(part(q), part(k), width: size, isCausal: tower == .text).values
                let values = part(v)
                for row in 0..<rows.count {
                    for column in 0..<size {
                        var sum = 0.0
                        for token in 0..<rows.count { sum += shares[row * rows.count + token] * values[token * size + column] }
                        let place = (rows.lowerBound + row) * width + head * size
                        result[place + column] = sum
                    }
                }
            }
        }
        return result
    }
}

struct ReferenceRecipeTests {
    static func calibrate(_ shape: ShapedCLIP, _ checkpoint: Checkpoint) throws -> Calibration {
        let calibrator = Calibrator(
            image: FloatImageEncoder(checkpoint, normalization: SmallQuantizedCLIP.normalization), text: FloatTextEncoder(checkpoint),
            activationBits: [8, 4], attentionBits: [], pool: .serial, recipe: .reference)
        try calibrator.observe(crops: shape.crops)
        try calibrator.observe(prompts: shape.prompts)
        return calibrator.finish()
    }

    static func tensors(_ shape: ShapedCLIP, _ checkpoint: Checkpoint, observer: Observer = .minMax) throws -> QuantizedTensors {
        let plan = QuantizationPlan(
            recipe: .reference, bits: BitPlan(weights: .four, activations: .four, attention: .eight), observer: observer)
        return try QuantizedTensors(checkpoint, calibrate(shape, checkpoint), plan)
    }

    @Test(arguments: [ShapedCLIP.odd, .narrow, .real])
    func `codes of every layer are the simulation's but for rounding ties, and its floats are near`(shape: ShapedCLIP) throws {
        let checkpoint = shape.checkpoint
        let tensors = try Self.tensors(shape, checkpoint)
        var agreement = Agreement()
        let image = QuantizedImageEncoder(tensors, shape.configuration, normalization: SmallQuantizedCLIP.normalization)
        let seen = Recording()
        let features = shape.crops.withUnsafeBufferPointer { image.encode(crops: $0, count: shape.images, tap: seen.see) }
        #expect(features == encode(image, shape.crops, count: shape.images, threads: 2, batch: 2))
        let tokens = shape.configuration.visionPositions
        let vision = ReferenceSimulation(
            checkpoint: checkpoint, tower: .vision, tensors: tensors, recording: seen,
            sequences: (0..<shape.images).map { $0 * tokens..<($0 + 1) * tokens })
        for block in 0..<shape.configuration.vision.depth { vision.compare(block, &agreement) }
        let text = ReferenceTextEncoder(tensors, shape.configuration)
        let read = Recording()
        let found = text.encode(prompts: shape.prompts, tap: read.see).withUnsafeBufferPointer(Array.init)
        #expect(found == text.encode(prompts: shape.prompts, pool: .serial).withUnsafeBufferPointer(Array.init))
        var rows: [Range<Int>] = []
        for prompt in shape.prompts { rows.append((rows.last?.upperBound ?? 0)..<(rows.last?.upperBound ?? 0) + prompt.count) }
        let prompts = ReferenceSimulation(checkpoint: checkpoint, tower: .text, tensors: tensors, recording: read, sequences: rows)
        for block in 0..<shape.configuration.text.depth { prompts.compare(block, &agreement) }
        comparePatches(shape, vision, &agreement)
        print("\(shape.testDescription), reference: \(agreement.differing) of \(agreement.compared) codes differ")
        #expect(agreement.faults.isEmpty, "\(agreement.faults.count) faults: \(agreement.faults.prefix(5))")
        #expect(agreement.differing * 10_000 <= agreement.compared && agreement.compared > 4_000)
    }

    private func comparePatches(_ shape: ShapedCLIP, _ simulation: ReferenceSimulation, _ agreement: inout Agreement) {
        let configuration = shape.configuration
        let run = configuration.patchSize * configuration.patchSize
        let (width, tokens) = (configuration.vision.width, configuration.visionPositions)
        let codes = simulation.recording.codes["-1.patch.in", default: []]
        func floats(_ name: String) -> [Float] { simulation.checkpoint["vision_model." + name].withUnsafeBufferPointer(Array.init) }
        let patches = simulation.linear(
            codes, "vision.patch.in", weights: floats("embeddings.patch_embedding.weight"), bias: nil, run: run, bits: 4)
        let (start, positions) = (floats("embeddings.class_embedding"), floats("embeddings.position_embedding.weight"))
        var hidden: [Double] = []
        for index in 0..<shape.images * tokens * width {
            let (token, column) = (index / width % tokens, index % width)
            let row = (index / width / tokens * (tokens - 1) + token - 1) * width
            let value = token == 0 ? Double(start[column]) : patches.values[row + column]
            hidden.append(value + Double(positions[token * width + column]))
        }
        agreement.compare(
            "the patch embedding", simulation.recording.residuals[0]?.first ?? [],
            Simulation.layerNorm(
                hidden, floats("pre_layrnorm.weight"), floats("pre_layrnorm.bias"),
                epsilon: Double(configuration.vision.layerNormEpsilon)))
    }

    @Test func `features are the same bits for every instruction set, batch and thread count`() throws {
        let (shape, checkpoint) = (ShapedCLIP.odd, ShapedCLIP.odd.checkpoint)
        let tensors = try Self.tensors(shape, checkpoint, observer: .omse)
        func features(_ set: InstructionSet, _ threads: Int, _ batch: Int) -> [Float] {
            let image = QuantizedImageEncoder(
                tensors, shape.configuration, normalization: SmallQuantizedCLIP.normalization, instructionSet: set)
            let text = ReferenceTextEncoder(tensors, shape.configuration, instructionSet: set)
            return encode(image, shape.crops, count: shape.images, threads: threads, batch: batch)
                + text.encode(prompts: shape.prompts, pool: ThreadPool(threads: threads)).withUnsafeBufferPointer(Array.init)
        }
        let expected = features(.scalar, 1, 1)
        #expect(Set(expected).count > 100)
        for set in InstructionSet.supported {
            for threads in 1...3 {
                for batch in [1, 3, 5] {
                    #expect(features(set, threads, batch) == expected, "\(set), \(threads) threads, batches of \(batch)")
                }
            }
        }
    }

    @Test(arguments: [Observer.minMax, .ema, .omse]) func `a channel's scale comes from that channel's values alone`(observer: Observer)
        throws
    {
        let (shape, checkpoint) = (ShapedCLIP.odd, ShapedCLIP.odd.checkpoint)
        let calibration = try Self.calibrate(shape, checkpoint)
        var seen: [String: [Float]] = [:]
        let float = FloatImageEncoder(checkpoint, normalization: SmallQuantizedCLIP.normalization)
        var features = [Float](repeating: 0, count: shape.images * float.featureWidth)
        shape.crops.withUnsafeBufferPointer { crops in
            features.withUnsafeMutableBufferPointer {
                float.encode(crops: crops, count: shape.images, features: $0, pool: .serial) { block, point, values in
                    seen[point.name(.vision, block: block), default: []] += values
                }
            }
        }
        for (name, channels, run) in [("vision.patch.in", 3, 49), ("vision.1.qkv.in", 40, 1), ("vision.2.fc2.in", 72, 1)] {
            let values = try #require(seen[name])
            var columns = [[Float]](repeating: [], count: channels)
            for (index, value) in values.enumerated() { columns[index / run % channels].append(value) }
            func quantizers(_ step: Int) -> [ActivationQuantizer] {
                let factor = Float(1 - 0.01 * Double(step))
                return columns.map { ActivationQuantizer(low: ($0.min() ?? 0) * factor, high: ($0.max() ?? 0) * factor, bits: 4) }
            }
            func error(_ step: Int) -> Double {
                var sum = 0.0
                for (quantizer, column) in zip(quantizers(step), columns) {
                    for x in column {
                        let value = Float(quantizer.code(x) - quantizer.zeroPoint) * quantizer.scale
                        sum += Double((value - x) * (value - x))
                    }
                }
                return sum
            }
            let steps = (0..<90).map(error)
            let best = observer == .omse ? steps.firstIndex(of: steps.min() ?? 0) ?? 0 : 0
            let found = try #require(calibration.channelQuantizer(name, observer, bits: 4))
            #expect(found.scales == quantizers(best).map(\.scale), "\(name), step \(best)")
            #expect(found.zeroPoints == quantizers(best).map { Float($0.zeroPoint) }, "\(name)")
        }
        #expect(calibration.channelQuantizer("vision.1.qkv.in", .percentile, bits: 4) == nil)
    }

    @Test func `a file gives the features of the model that wrote it, and is a quarter of the float's size or less`() throws {
        let (shape, checkpoint) = (ShapedCLIP.odd, ShapedCLIP.odd.checkpoint)
        let plan = QuantizationPlan(
            recipe: .reference, bits: BitPlan(weights: .four, activations: .four, attention: .eight), observer: .minMax)
        let tensors = try QuantizedTensors(checkpoint, Self.calibrate(shape, checkpoint), plan)
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-\(UUID().uuidString).safetensors")
        defer { try? FileManager.default.removeItem(at: url) }
        try tensors.write(logitScale: FloatTensor(shape: []) { $0[0] = 1 }, to: url)
        let (read, _) = try QuantizedTensors.read(SafetensorsFile(url), shape.configuration, plan)
        for tensors in [tensors, read] {
            let image = QuantizedImageEncoder(tensors, shape.configuration, normalization: SmallQuantizedCLIP.normalization)
            #expect(
                encode(image, shape.crops, count: shape.images, threads: 1, batch: 8)
                    == encode(
                        QuantizedImageEncoder(read, shape.configuration, normalization: SmallQuantizedCLIP.normalization), shape.crops,
                        count: shape.images, threads: 1, batch: 8))
        }
        let texts = [tensors, read].map {
            ReferenceTextEncoder($0, shape.configuration).encode(prompts: shape.prompts, pool: .serial).withUnsafeBufferPointer(Array.init)
        }
        #expect(texts[0] == texts[1])
        let paper = QuantizationPlan(bits: plan.bits, observer: .minMax)
        #expect(throws: CLIPError.self) { _ = try QuantizedTensors.read(SafetensorsFile(url), shape.configuration, paper) }
    }
}

@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
struct ReferenceRecipeQualityTests {
    @Test func `its features are nearer to the float towers' than the recipe paper's are`() throws {
        let model = try SimulatedModel("cifar")
        let configuration = model.checkpoint.configuration
        let crops = model.crops(model.points.probe)
        let float = encode(model.image, crops, count: model.points.probe.count, threads: 2, batch: 8)
        let words = model.text.encode(prompts: model.prompts, pool: .serial).withUnsafeBufferPointer(Array.init)
        let calibrator = Calibrator(
            image: model.image, text: model.text, activationBits: [8, 4, 3, 2], attentionBits: [], pool: ThreadPool(threads: 2),
            recipe: .reference)
        for batch in model.points.calibration { try calibrator.observe(crops: model.crops(batch)) }
        try calibrator.observe(prompts: model.prompts)
        let (channels, paper) = (calibrator.finish(), try model.calibrate())
        for widths in ["8-8-8", "4-4-8", "3-3-8", "2-2-8"] {
            let bits = try #require(BitPlan(widths))
            var cosines: [Float] = []
            for recipe in [Recipe.reference, .paper] {
                let plan = QuantizationPlan(recipe: recipe, bits: bits, observer: .omse)
                let tensors = try QuantizedTensors(model.checkpoint, recipe == .paper ? paper : channels, plan)
                let image = QuantizedImageEncoder(tensors, configuration, normalization: model.normalization)
                let text: any TextEncoder =
                    recipe == .paper ? QuantizedTextEncoder(tensors, configuration) : ReferenceTextEncoder(tensors, configuration)
                let images = encode(image, crops, count: model.points.probe.count, threads: 2, batch: 8)
                cosines.append(meanCosine(images, float, width: configuration.projectionWidth))
                let texts = text.encode(prompts: model.prompts, pool: .serial).withUnsafeBufferPointer(Array.init)
                cosines.append(meanCosine(texts, words, width: configuration.projectionWidth))
            }
            print("\(widths): reference \(cosines[0]) \(cosines[1]), paper \(cosines[2]) \(cosines[3]) (image, text)")
            #expect(cosines[1] > 0.999, "\(widths): only the image tower has a part of fewer bits")
            #expect(cosines[0] > cosines[2] - 0.0005 && cosines[1] > cosines[3] - 0.0005)
        }
    }
}
