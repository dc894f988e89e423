package import Foundation
internal import Tensors

/// `manifest.json` of a quantized folder: where the model comes from, and how well it is kept.
package struct QuantizedManifest: Codable, Sendable, Equatable {
    package static let fileName = "manifest.json"

    package struct Source: Codable, Sendable, Equatable {
        package let name: String
        package let sha256: String
    }

    package struct CalibrationData: Codable, Sendable, Equatable {
        package let images: Int
        package let images_sha256: String
        package let prompts: Int
        /// Of the prompts' tokens, and of the learned vectors before them; absent in older files.
        package let prompts_sha256: String?
        /// Images of a batch.
        package let batch: Int?
        /// Of the draw; absent where images were taken as a queue delivered them.
        package let seed: UInt64?
    }

    /// A quantization point.
    package struct Point: Codable, Sendable, Equatable {
        package let scale: Double
        package let zero_point: Int
        /// The largest code.
        package let top: Int
        /// The range that codes can express.
        package let low: Double
        package let high: Double
        /// Of the last calibration batch, as are the next three.
        package let observed_low: Double?
        package let observed_high: Double?
        /// The share of values outside of low ... high.
        package let clipped: Double?
        /// Signal-to-noise ratio in dB; absent where there is no error at all.
        package let snr_db: Double?
    }

    /// A quantization point with a scale a channel; the figures are of all channels together.
    package struct ChannelPoint: Codable, Sendable, Equatable {
        package let channels: Int
        /// The largest code.
        package let top: Int
        package let observed_low: Double?
        package let observed_high: Double?
        /// The share of values outside of their channel's range.
        package let clipped: Double?
        package let snr_db: Double?
    }

    /// A weight matrix, or the token embedding.
    package struct Weight: Codable, Sendable, Equatable {
        package let bits: Int
        package let outputs: Int
        package let inputs: Int
        package let snr_db: Double?
    }

    package let source: Source
    package let calibration: CalibrationData
    package let bits: String
    package let observer: String
    package let recipe: String
    /// How weights became codes; absent where each was rounded for itself.
    package let rounding: String?
    /// Exceptions from `bits` and `observer`.
    package let overrides: [PlanOverride]?
    package let model_sha256: String
    package let points: [String: Point]
    /// Of the recipe `reference`.
    package let channel_points: [String: ChannelPoint]?
    package let weights: [String: Weight]?

    init(
        _ tensors: QuantizedTensors, _ description: QuantizationDescription, _ provenance: QuantizedFolder.Provenance,
        weightsSHA256: String,
        points pointFigures: [String: PointFigures], weights: [String: WeightFigures]
    ) {
        source = Source(name: provenance.source, sha256: provenance.sourceSHA256)
        calibration = CalibrationData(
            images: provenance.images, images_sha256: provenance.imagesSHA256, prompts: provenance.prompts,
            prompts_sha256: provenance.promptsSHA256, batch: provenance.batch, seed: provenance.seed)
        bits = description.bits
        observer = description.observer
        recipe = description.recipe
        rounding = description.rounding
        overrides = description.overrides
        model_sha256 = weightsSHA256
        points = Dictionary(
            uniqueKeysWithValues: tensors.points.map { name, meaning in (name, Point(meaning, pointFigures[name])) })
        let channels = tensors.channelPoints.map { name, quantizer in (name, ChannelPoint(quantizer, pointFigures[name])) }
        channel_points = channels.isEmpty ? nil : Dictionary(uniqueKeysWithValues: channels)
        self.weights = weights.mapValues {
            Weight(bits: $0.bits, outputs: $0.outputs, inputs: $0.inputs, snr_db: $0.signalToNoise.map { rounded($0, 1e3) })
        }
    }

    /// Reads a folder's; nil if it is missing or not one.
    package init?(folder: URL) {
        guard let data = try? Data(contentsOf: folder.appendingPathComponent(Self.fileName)), data.count <= 16 << 20,
            let manifest = try? JSONDecoder().decode(QuantizedManifest.self, from: data)
        else { return nil }
        self = manifest
    }

    /// - Throws: `otherWeights` where `model.safetensors` has another digest than when this was written.
    package func check(weightsSHA256: String, folder: URL) throws(QuantizationError) {
        if weightsSHA256 != model_sha256 { throw .otherWeights(folder: folder.path) }
    }

    func encoded() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}

extension QuantizedManifest.Point {
    init(_ meaning: CodeScale, _ figures: PointFigures?) {
        let (scale, zero) = (Double(meaning.scale), Double(meaning.zeroPoint))
        self.init(
            scale: scale, zero_point: meaning.zeroPoint, top: meaning.top, low: (0 - zero) * scale,
            high: (Double(meaning.top) - zero) * scale,
            observed_low: figures.map { Double($0.low) }, observed_high: figures.map { Double($0.high) },
            clipped: figures.map { rounded($0.clipped, 1e9) }, snr_db: figures?.signalToNoise.map { rounded($0, 1e3) })
    }
}

extension QuantizedManifest.ChannelPoint {
    init(_ quantizer: ChannelQuantizer, _ figures: PointFigures?) {
        self.init(
            channels: quantizer.scales.count, top: Int(quantizer.top), observed_low: figures.map { Double($0.low) },
            observed_high: figures.map { Double($0.high) }, clipped: figures.map { rounded($0.clipped, 1e9) },
            snr_db: figures?.signalToNoise.map { rounded($0, 1e3) })
    }
}

/// To whole parts of 1 / `unit`: more digits mean nothing.
private func rounded(_ value: Double, _ unit: Double) -> Double { (value * unit).rounded(.toNearestOrEven) / unit }
