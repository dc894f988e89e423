import CLIP
import Foundation
import Quantization
import Tensors
import TestSupport
import Testing

/// A small CLIP of made-up weights, calibrated on made-up pictures and prompts; sizes that fill no tile.
struct SmallQuantizedCLIP {
    static let configuration = CLIPConfiguration(
        vision: TowerConfiguration(width: 40, depth: 3, heads: 2, mlpWidth: 72, activation: .quickGELU), imageSide: 21, patchSize: 7,
        text: TowerConfiguration(width: 24, depth: 2, heads: 3, mlpWidth: 50, activation: .gelu), vocabularySize: 50, contextLength: 9,
        projectionWidth: 19)
    static let normalization = (0..<768).map { Float($0 % 256) / 60 - 2 }
    static let prompts: [[Int32]] = [[48, 3, 7, 49], [48, 49], [48, 1, 2, 3, 4, 5, 6, 7, 49], [48, 9, 49], [48, 11, 12, 49]]

    let tensors: QuantizedTensors
    let crops: [UInt8]
    let count = 9

    init(_ bits: BitPlan, observer: Observer = .omse) throws {
        let checkpoint = Checkpoint.random(Self.configuration, name: "small", seed: 7)
        crops = (0..<count * 21 * 21 * 3).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }
        let calibrator = Calibrator(
            image: FloatImageEncoder(checkpoint, normalization: Self.normalization), text: FloatTextEncoder(checkpoint),
            activationBits: [bits.activations.rawValue], attentionBits: [bits.attention.rawValue], pool: .serial)
        try calibrator.observe(crops: crops)
        try calibrator.observe(prompts: Self.prompts)
        tensors = try QuantizedTensors(checkpoint, calibrator.finish(), observer: observer, bits: bits)
    }

    func images(_ set: InstructionSet, threads: Int, batch: Int) -> [Float] {
        let encoder = QuantizedImageEncoder(tensors, Self.configuration, normalization: Self.normalization, instructionSet: set)
        return encode(encoder, crops, count: count, threads: threads, batch: batch)
    }

    func texts(_ set: InstructionSet, threads: Int) -> [Float] {
        QuantizedTextEncoder(tensors, Self.configuration, instructionSet: set).encode(
            prompts: Self.prompts, pool: ThreadPool(threads: threads)
        ).withUnsafeBufferPointer(Array.init)
    }
}

/// Features of all crops, batch by batch.
func encode(_ encoder: any ImageEncoder, _ crops: [UInt8], count: Int, threads: Int, batch: Int) -> [Float] {
    let pool = ThreadPool(threads: threads)
    let size = crops.count / count
    var features = [Float](repeating: 0, count: count * encoder.featureWidth)
    for start in stride(from: 0, to: count, by: batch) {
        let end = min(start + batch, count)
        crops[start * size..<end * size].withUnsafeBufferPointer { crops in
            features[start * encoder.featureWidth..<end * encoder.featureWidth].withUnsafeMutableBufferPointer {
                encoder.encode(crops: crops, count: end - start, features: $0, pool: pool)
            }
        }
    }
    return features
}

struct QuantizedTowerTests {
    @Test(arguments: ["8-8-8", "4-4-8", "3-3-8", "2-2-8", "4-8-8"])
    func `features are the same bits for every instruction set, batch and thread count`(bits: String) throws {
        let model = try SmallQuantizedCLIP(#require(BitPlan(bits)))
        let images = model.images(.scalar, threads: 1, batch: 1)
        let texts = model.texts(.scalar, threads: 1)
        // At 2 bits all pictures of such a model may look the same.
        #expect(Set(images).count > 9 && Set(texts).count > 9)
        for set in InstructionSet.supported {
            for threads in 1...3 {
                for batch in [1, 3, 8] {
                    #expect(model.images(set, threads: threads, batch: batch) == images, "\(set), \(threads) threads, batches of \(batch)")
                }
                #expect(model.texts(set, threads: threads) == texts, "\(set), \(threads) threads")
            }
        }
    }

    @Test(arguments: ["", "8", "8-8", "8-8-8-8", "8-5-8", "8--8", "a-8-8"]) func `a bit plan that is none is refused`(text: String) {
        #expect(BitPlan(text) == nil)
    }
}

@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
struct QuantizedTowerReferenceTests {
    @Test(arguments: ["tiny", "cifar"]) func `features are as near to PyTorch's simulation as its own in float64`(name: String) throws {
        let model = try SimulatedModel(name)
        let calibration = try model.calibrate()
        let configuration = model.checkpoint.configuration
        let crops = model.crops(model.points.probe)
        var shares: [Float] = []
        for observer in Observer.allCases {
            for widths in ["8-8-8", "4-8-8", "4-4-8", "3-3-8", "2-2-8"] {
                let bits = try #require(BitPlan(widths))
                let tensors = try QuantizedTensors(model.checkpoint, calibration, observer: observer, bits: bits)
                let image = QuantizedImageEncoder(tensors, configuration, normalization: model.normalization)
                let text = QuantizedTextEncoder(tensors, configuration)
                let images = encode(image, crops, count: model.points.probe.count, threads: 2, batch: 8)
                let texts = text.encode(prompts: model.prompts, pool: ThreadPool(threads: 2)).withUnsafeBufferPointer(Array.init)
                for (kind, found) in [("image", images), ("text", texts)] {
                    let tag = "\(observer.rawValue).\(widths).\(kind)"
                    let cosine = meanCosine(found, model.features.floats(tag), width: configuration.projectionWidth)
                    let least = try #require(model.sensitivity[tag]?["mean"]) - (bits.activations == .eight ? 0.0005 : 0.01)
                    let near = shareWithin(2e-3, found, model.features.floats(tag), width: configuration.projectionWidth)
                    print("\(name) \(tag): mean cosine \(cosine), at least \(least); \(near) within 2e-3")
                    #expect(cosine >= least, "\(name) \(tag)")
                    shares.append(near)
                }
            }
        }
        // Of all features of the file; a single observer and width may have one flipped code in many pictures.
        let share = shares.reduce(0, +) / Float(shares.count)
        print("\(name): \(share) within 2e-3 on average, least \(shares.min() ?? 0)")
        #expect(share >= 0.9)
    }
}

func meanCosine(_ a: [Float], _ b: [Float], width: Int) -> Float {
    guard a.count == b.count, !a.isEmpty else { return -1 }
    var sum: Float = 0
    for row in stride(from: 0, to: a.count, by: width) {
        var (ab, aa, bb): (Float, Float, Float) = (0, 0, 0)
        for i in row..<row + width {
            ab += a[i] * b[i]
            aa += a[i] * a[i]
            bb += b[i] * b[i]
        }
        sum += ab / (aa * bb).squareRoot()
    }
    return sum / Float(a.count / width)
}

/// The share of elements that differ by no more than `bound` once the rows are normalised.
func shareWithin(_ bound: Float, _ a: [Float], _ b: [Float], width: Int) -> Float {
    guard a.count == b.count, !a.isEmpty else { return 0 }
    func norm(_ v: ArraySlice<Float>) -> Float { v.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot() }
    var close = 0
    for row in stride(from: 0, to: a.count, by: width) {
        let (x, y) = (a[row..<row + width], b[row..<row + width])
        let (nx, ny) = (norm(x), norm(y))
        close += zip(x, y).count { abs($0 / nx - $1 / ny) <= bound }
    }
    return Float(close) / Float(a.count)
}
