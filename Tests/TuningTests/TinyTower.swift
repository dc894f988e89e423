import CLIP
import Foundation
import Quantization
import Tensors
import Tuning

/// A small CLIP of made-up weights whose text tower prompts are learned through; sizes that fill no tile.
struct TinyTower {
    static let start: Int32 = 48
    static let stop: Int32 = 47
    static let end: Int32 = 49

    /// Class prompts: start token, name, full stop, end token. One has no full stop.
    static let prompts: [[Int32]] = [
        [start, 3, 7, stop, end], [start, 9, stop, end], [start, 1, 2, 3, stop, end], [start, 5, end], [start, 11, 12, stop, end],
    ]
    static let classes = prompts.map { ClassTokens($0, fullStop: stop) }

    let configuration: CLIPConfiguration
    let checkpoint: Checkpoint

    init(activation: Activation = .quickGELU, depth: Int = 3) {
        configuration = CLIPConfiguration(
            vision: TowerConfiguration(width: 24, depth: 1, heads: 2, mlpWidth: 30, activation: .quickGELU), imageSide: 14, patchSize: 7,
            text: TowerConfiguration(width: 24, depth: depth, heads: 3, mlpWidth: 50, activation: activation), vocabularySize: 50,
            contextLength: 15, projectionWidth: 19)
        checkpoint = Checkpoint.random(configuration, name: "tiny", seed: 3)
    }

    var float: FloatTextEncoder { FloatTextEncoder(checkpoint) }

    func quantized(_ bits: String, _ set: InstructionSet = .best) throws -> QuantizedTextEncoder {
        guard let plan = BitPlan(bits) else { throw CocoaError(.coderInvalidValue) }
        let calibrator = Calibrator(
            image: nil, text: float, activationBits: [plan.activations.rawValue], attentionBits: [plan.attention.rawValue], pool: .serial)
        try calibrator.observe(prompts: Self.prompts)
        let tensors = try QuantizedTensors(checkpoint, calibrator.finish(), observer: .omse, bits: plan, towers: [.text])
        return QuantizedTextEncoder(tensors, configuration, instructionSet: set)
    }

    /// The vectors of tokens without their positions, as a tower embeds them.
    func vectors(_ ids: [Int32], _ encoder: any TextEncoder) -> [Float] {
        let width = configuration.text.width
        return ids.flatMap { id -> [Float] in
            var row = [Float](repeating: 0, count: width)
            switch encoder {
            case let encoder as QuantizedTextEncoder: encoder.embed(id, position: 0, to: &row)
            case let encoder as FloatTextEncoder: encoder.embed(id, position: 0, to: &row)
            default: break
            }
            return row
        }
    }
}

/// Numbers between -`bound` and `bound` that depend on `seed` alone.
func numbers(_ count: Int, seed: UInt64, bound: Float = 1) -> [Float] { PhiloxRandom(seed: seed).uniforms(count, bound) }

/// The largest difference, as a share of the largest expected magnitude.
func relativeDifference(_ found: [Float], _ expected: [Double]) -> Double {
    guard found.count == expected.count, !found.isEmpty else { return .infinity }
    return zip(found, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) } / expected.reduce(1e-9) { max($0, abs($1)) }
}
