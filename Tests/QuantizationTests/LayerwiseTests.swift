import CLIP
import Foundation
import Quantization
import Tensors
import Testing

/// A CLIP of made-up weights, biases and norms, calibrated on made-up pictures and prompts.
struct ShapedCLIP: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let configuration: CLIPConfiguration
    let prompts: [[Int32]]
    let images: Int

    /// Sizes that fill no tile.
    static let odd = ShapedCLIP(
        testDescription: "odd sizes", configuration: SmallQuantizedCLIP.configuration, prompts: SmallQuantizedCLIP.prompts, images: 5)
    /// Patches of one pixel, one head, GELU in the image tower.
    static let narrow = ShapedCLIP(
        testDescription: "narrow",
        configuration: CLIPConfiguration(
            vision: TowerConfiguration(width: 16, depth: 2, heads: 1, mlpWidth: 33, activation: .gelu), imageSide: 4, patchSize: 1,
            text: TowerConfiguration(width: 17, depth: 1, heads: 1, mlpWidth: 16, activation: .quickGELU), vocabularySize: 20,
            contextLength: 77, projectionWidth: 8),
        prompts: [[18, 1, 19], [18] + (0..<75).map { Int32($0 % 17) } + [19]], images: 3)
    /// ViT-B/32's widths.
    static let real = ShapedCLIP(
        testDescription: "ViT-B/32's widths, 2 blocks",
        configuration: CLIPConfiguration(
            vision: TowerConfiguration(width: 768, depth: 2, heads: 12, mlpWidth: 3072, activation: .quickGELU), imageSide: 224,
            patchSize: 32, text: TowerConfiguration(width: 512, depth: 2, heads: 8, mlpWidth: 2048, activation: .quickGELU),
            vocabularySize: 100, contextLength: 77, projectionWidth: 512),
        prompts: [[98, 3, 4, 5, 6, 7, 8, 9, 10, 99], [98, 1, 99]], images: 1)

    /// Every tensor drawn from its own stream: biases and norms too, so that none of them can be left out unseen.
    var checkpoint: Checkpoint {
        let made = Checkpoint.random(configuration, name: "shaped", seed: 5)
        var tensors: [String: FloatTensor] = [:]
        for (name, shape) in configuration.tensorShapes {
            guard shape.count == 1, name != "logit_scale", !name.hasSuffix("class_embedding") else {
                tensors[name] = made[name]
                continue
            }
            var random = Draw(name)
            tensors[name] = FloatTensor(shape: shape) { values in
                for index in values.indices { values[index] = (name.hasSuffix("weight") ? 1 : 0) + 0.4 * random.next() }
            }
        }
        return Checkpoint(configuration: configuration, name: "shaped", tensors: tensors)
    }

    var crops: [UInt8] {
        (0..<images * configuration.imageSide * configuration.imageSide * 3).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }
    }

    func calibrate(_ checkpoint: Checkpoint) throws -> Calibration {
        let calibrator = Calibrator(
            image: FloatImageEncoder(checkpoint, normalization: SmallQuantizedCLIP.normalization), text: FloatTextEncoder(checkpoint),
            activationBits: [8, 4, 3, 2], attentionBits: [8], pool: .serial)
        try calibrator.observe(crops: crops)
        try calibrator.observe(prompts: prompts)
        return calibrator.finish()
    }
}

/// Numbers in -0.5 ..< 0.5 that depend on a name alone.
struct Draw {
    private var state: UInt64
    init(_ name: String) { state = name.utf8.reduce(0x9E37_79B9_7F4A_7C15) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 } }

    mutating func next() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(state >> 40) * 0x1p-24 - 0.5
    }
}

/// The integer towers against the unfused simulation, layer by layer on the same inputs.
struct LayerwiseTests {
    @Test(arguments: [ShapedCLIP.odd, .narrow, .real])
    func `codes of every layer are the simulation's but for rounding ties, fewer than one in ten thousand`(shape: ShapedCLIP) throws {
        let checkpoint = shape.checkpoint
        let calibration = try shape.calibrate(checkpoint)
        for widths in ["8-8-8", "4-8-8", "4-4-8", "3-3-8", "2-2-8"] {
            let bits = try #require(BitPlan(widths))
            let tensors = try QuantizedTensors(checkpoint, calibration, observer: .omse, bits: bits)
            let agreement = compareLayers(shape, checkpoint, tensors) { _, _, _ in bits.weights.rawValue }
            print("\(shape.testDescription), \(widths): \(agreement.differing) of \(agreement.compared) codes differ")
            #expect(agreement.faults.isEmpty, "\(widths): \(agreement.faults.count) faults: \(agreement.faults.prefix(5))")
            #expect(agreement.differing * 10_000 <= agreement.compared, "\(widths): \(agreement.differing) of \(agreement.compared)")
            #expect(agreement.compared > 4_000)
        }
    }

    @Test(arguments: ["patch.in", "0.qkv.in", "1.q", "1.k", "0.v", "2.probs", "1.out.in", "2.fc1.in", "0.fc2.in"])
    func `a scale off by a thousandth, or a zero point by one, is seen at every kind of point`(point: String) throws {
        let checkpoint = ShapedCLIP.odd.checkpoint
        let bits = BitPlan(weights: .eight, activations: .eight, attention: .eight)
        let tensors = try QuantizedTensors(checkpoint, ShapedCLIP.odd.calibrate(checkpoint), observer: .omse, bits: bits)
        let name = "vision.\(point)"
        let right = try #require(tensors.points[name])
        let zero = right.zeroPoint == 0 ? 1 : right.zeroPoint - 1
        for wrong in [
            CodeScale(scale: right.scale * 1.001, zeroPoint: right.zeroPoint, bits: .eight),
            CodeScale(scale: right.scale, zeroPoint: zero, bits: .eight),
        ] {
            let changed = tensors.replacing(points: tensors.points.merging([name: wrong]) { $1 })
            let agreement = compareLayers(ShapedCLIP.odd, checkpoint, changed, quantizers: tensors.points) { _, _, _ in 8 }
            #expect(!agreement.faults.isEmpty, "\(wrong) in place of \(right)")
        }
    }

    @Test(arguments: [
        "self_attn.q_proj.bias", "self_attn.v_proj.bias", "self_attn.out_proj.bias", "mlp.fc1.bias", "mlp.fc2.bias", "layer_norm1.bias",
        "layer_norm2.weight", "self_attn.k_proj.weight", "mlp.fc2.weight",
    ])
    func `a parameter left out or exchanged is seen`(name: String) throws {
        let checkpoint = ShapedCLIP.odd.checkpoint
        let bits = BitPlan(weights: .eight, activations: .eight, attention: .eight)
        let tensors = try QuantizedTensors(checkpoint, ShapedCLIP.odd.calibrate(checkpoint), observer: .omse, bits: bits)
        let place = "text_model.encoder.layers.1.\(name)"
        var all: [String: FloatTensor] = [:]
        for (name, shape) in checkpoint.configuration.tensorShapes {
            all[name] = name == place ? FloatTensor(shape: shape) { $0.update(repeating: 0) } : checkpoint[name]
        }
        let other = Checkpoint(configuration: checkpoint.configuration, name: "other", tensors: all)
        let agreement = compareLayers(ShapedCLIP.odd, other, tensors) { _, _, _ in 8 }
        #expect(!agreement.faults.isEmpty, "\(place)")
    }
}

/// Runs both integer towers and simulates each of their layers, with the float weights of `checkpoint` and the towers' own quantizers or others.
func compareLayers(
    _ shape: ShapedCLIP, _ checkpoint: Checkpoint, _ tensors: QuantizedTensors, quantizers: [String: CodeScale]? = nil,
    weightBits: @escaping (Tower, Int, String) -> Int
) -> Agreement {
    var agreement = Agreement()
    let quantizers = quantizers ?? tensors.points
    let configuration = shape.configuration
    let image = QuantizedImageEncoder(tensors, configuration, normalization: SmallQuantizedCLIP.normalization)
    let seen = Recording()
    let crops = shape.crops
    let features = crops.withUnsafeBufferPointer { image.encode(crops: $0, count: shape.images, tap: seen.see) }
    if features != encode(image, crops, count: shape.images, threads: 1, batch: 2) {
        agreement.fault("the image tower changes when it is looked at")
    }
    let tokens = configuration.visionPositions
    let vision = LayerSimulation(
        checkpoint: checkpoint, tower: .vision, recording: seen, sequences: (0..<shape.images).map { $0 * tokens..<($0 + 1) * tokens },
        weightBits: weightBits, quantizers: quantizers)
    vision.compareEmbedding(crops, images: shape.images, &agreement)
    vision.compare(&agreement)

    let text = QuantizedTextEncoder(tensors, configuration)
    let read = Recording()
    let found = text.encode(prompts: shape.prompts, tap: read.see).withUnsafeBufferPointer(Array.init)
    if found != text.encode(prompts: shape.prompts, pool: .serial).withUnsafeBufferPointer(Array.init) {
        agreement.fault("the text tower changes when it is looked at")
    }
    var rows: [Range<Int>] = []
    for prompt in shape.prompts { rows.append((rows.last?.upperBound ?? 0)..<(rows.last?.upperBound ?? 0) + prompt.count) }
    let prompts = LayerSimulation(
        checkpoint: checkpoint, tower: .text, recording: read, sequences: rows, weightBits: weightBits, quantizers: quantizers)
    prompts.compareEmbedding(shape.prompts, &agreement)
    prompts.compare(&agreement)
    return agreement
}

extension LayerSimulation {
    /// Pixels' codes, and the residual stream that the patch embedding gives.
    func compareEmbedding(_ crops: [UInt8], images: Int, _ agreement: inout Agreement) {
        let configuration = checkpoint.configuration
        let (side, patch, across, width) = (
            configuration.imageSide, configuration.patchSize, configuration.patchesPerSide, configuration.vision.width
        )
        let size = 3 * patch * patch
        var pixels: [Double] = []
        for image in 0..<images {
            for place in 0..<across * across {
                for element in 0..<size {
                    let (channel, y, x) = (
                        element / patch / patch, place / across * patch + element / patch % patch, place % across * patch + element % patch
                    )
                    pixels.append(
                        Double(SmallQuantizedCLIP.normalization[channel * 256 + Int(crops[((image * side + y) * side + x) * 3 + channel])]))
                }
            }
        }
        let codes = recording.codes["-1.patch.in", default: []]
        let quantizer = quantizer(-1, "patch.in")
        agreement.compare("vision.patch.in", codes[...], Simulation.Values(values: pixels, magnitudes: pixels.map(abs)), quantizer)
        let weights = Simulation.quantizedWeights(
            floats("vision_model.embeddings.patch_embedding.weight"), rows: width, bits: weightBits(.vision, -1, "patch"))
        let patches = Simulation.linear(codes.map(quantizer.value), inputs: size, weights, bias: nil)
        let (start, positions) = (
            floats("vision_model.embeddings.class_embedding"), floats("vision_model.embeddings.position_embedding.weight")
        )
        let tokens = configuration.visionPositions
        var hidden = Simulation.Values(values: [], magnitudes: [])
        for index in 0..<images * tokens * width {
            let (token, column) = (index / width % tokens, index % width)
            let row = (index / width / tokens * (tokens - 1) + token - 1) * width
            let value = token == 0 ? Double(start[column]) : patches.values[row + column]
            hidden.values.append(value + Double(positions[token * width + column]))
        }
        let normed = Simulation.layerNorm(
            hidden.values, floats("vision_model.pre_layrnorm.weight"), floats("vision_model.pre_layrnorm.bias"),
            epsilon: Double(configuration.vision.layerNormEpsilon))
        agreement.compare("the patch embedding", recording.residuals[0]?.first ?? [], normed)
    }

    /// The residual stream that the token embedding gives: 8-bit codes, one scale a token.
    func compareEmbedding(_ prompts: [[Int32]], _ agreement: inout Agreement) {
        let width = checkpoint.configuration.text.width
        let table = Simulation.quantizedWeights(
            floats("text_model.embeddings.token_embedding.weight"), rows: checkpoint.configuration.vocabularySize, bits: 8)
        let positions = floats("text_model.embeddings.position_embedding.weight")
        var values: [Double] = []
        for prompt in prompts {
            for (place, id) in prompt.enumerated() {
                for column in 0..<width { values.append(table[Int(id) * width + column] + Double(positions[place * width + column])) }
            }
        }
        agreement.compare(
            "the token embedding", recording.residuals[0]?.first ?? [],
            Simulation.Values(values: values, magnitudes: values.map { abs($0) + 1 }))
    }
}
