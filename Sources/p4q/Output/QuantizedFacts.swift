import CLIP
import Foundation
import Quantization
import TextTable

/// What `p4q model inspect` prints of a quantized folder.
struct QuantizedFacts: Encodable {
    let name: String
    let sha256: String
    let size_mib: Double
    /// What the tensors of one kind take in the file.
    let bytes: [String: Int]
    let manifest: QuantizedManifest

    /// Reads the folder and checks every tensor, and that there is a manifest.
    ///
    /// - Throws: what is wrong with the folder.
    init(_ folder: URL) throws {
        let model = try QuantizedFolder.load(folder)
        guard let manifest = QuantizedManifest(folder: folder) else {
            throw QuantizationError.description(
                file: folder.appendingPathComponent(QuantizedManifest.fileName).path, reason: "is missing or damaged")
        }
        name = model.name
        sha256 = model.sha256
        let weights = folder.appendingPathComponent("model.safetensors")
        size_mib = EvaluatedModel.sizeMiB(of: [weights])
        bytes = try Dictionary(
            SafetensorsFile(weights).tensors.map { (Self.kind($0.key), $0.value.shape.reduce($0.value.type.size, *)) }, uniquingKeysWith: +)
        self.manifest = manifest
    }

    private static func kind(_ name: String) -> String {
        if name == "vocabulary.codes" { return "token codes" }
        if name.hasSuffix(".codes") { return "weight codes" }
        if name.hasSuffix(".scales") { return "scales" }
        return name.hasPrefix("point.") ? "points" : "float"
    }

    /// For people.
    var lines: [String] {
        let calibration = manifest.calibration
        let drawn = calibration.seed.map { "drawn with seed \($0)" } ?? "as a queue delivered them"
        let facts = [
            ("name", name), ("sha256", sha256),
            ("bits", "\(manifest.bits), recipe \(manifest.recipe), observer \(manifest.observer)\(exceptions)"),
            ("from", "\(manifest.source.name), sha256 \(manifest.source.sha256)"),
            ("calibrated on", "\(calibration.images) images, \(drawn), and \(calibration.prompts) prompts"),
            (
                "size",
                "\(fixed(size_mib, 2)) MiB: "
                    + bytes.sorted { $0.value > $1.value }.map { "\($0.key) \(fixed(Double($0.value) / 1_048_576, 2))" }
                    .joined(separator: ", ")
            ),
        ]
        return facts.map { $0.0.padding(toLength: 16, withPad: " ", startingAt: 0) + $0.1 } + [""] + pointLines + [""] + weightLines
    }

    /// What else the plan says.
    private var exceptions: String {
        let overrides = manifest.overrides?.count ?? 0
        return (manifest.rounding.map { ", rounding \($0)" } ?? "") + (overrides == 0 ? "" : ", \(overrides) overrides")
    }

    private var channelLines: [String] {
        guard let points = manifest.channel_points else { return [] }
        let table = TextTable<(name: String, point: QuantizedManifest.ChannelPoint)> { row in
            let point = row.point
            return [
                Column(title: "point", value: row.name), Column(title: "channels", value: "\(point.channels)", align: .right),
                Column(title: "codes", value: "0...\(point.top)", align: .right),
                Column(title: "observed", value: Self.range(point.observed_low, point.observed_high), align: .right),
                Column(title: "clipped %", value: point.clipped.map { fixed($0 * 100, 4) } ?? "", align: .right),
                Column(title: "SNR dB", value: point.snr_db.map { fixed($0, 1) } ?? "", align: .right),
            ]
        }
        return EvaluationTable.drawn(table, points.sorted { Self.precedes($0.key, $1.key) }.map { ($0.key, $0.value) }, .plain) + [""]
    }

    private var pointLines: [String] {
        if manifest.points.isEmpty { return channelLines }
        let table = TextTable<(name: String, point: QuantizedManifest.Point)> { row in
            let point = row.point
            return [
                Column(title: "point", value: row.name), Column(title: "codes", value: "0...\(point.top)", align: .right),
                Column(title: "scale", value: String(format: "%.6g", point.scale), align: .right),
                Column(title: "zero", value: "\(point.zero_point)", align: .right),
                Column(title: "range", value: "\(fixed(point.low, 3)) ... \(fixed(point.high, 3))", align: .right),
                Column(title: "observed", value: Self.range(point.observed_low, point.observed_high), align: .right),
                Column(title: "clipped %", value: point.clipped.map { fixed($0 * 100, 4) } ?? "", align: .right),
                Column(title: "SNR dB", value: point.snr_db.map { fixed($0, 1) } ?? "", align: .right),
            ]
        }
        return EvaluationTable.drawn(table, manifest.points.sorted { Self.precedes($0.key, $1.key) }.map { ($0.key, $0.value) }, .plain)
    }

    private static func range(_ low: Double?, _ high: Double?) -> String {
        guard let low, let high else { return "" }
        return "\(fixed(low, 3)) ... \(fixed(high, 3))"
    }

    private var weightLines: [String] {
        let table = TextTable<(name: String, weight: QuantizedManifest.Weight)> { row in
            [
                Column(title: "weights", value: row.name), Column(title: "bits", value: "\(row.weight.bits)", align: .right),
                Column(title: "outputs", value: "\(row.weight.outputs)", align: .right),
                Column(title: "inputs", value: "\(row.weight.inputs)", align: .right),
                Column(title: "SNR dB", value: row.weight.snr_db.map { fixed($0, 1) } ?? "", align: .right),
            ]
        }
        let weights = manifest.weights ?? [:]
        return EvaluationTable.drawn(table, weights.sorted { Self.precedes($0.key, $1.key) }.map { ($0.key, $0.value) }, .plain)
    }

    /// Block 10 comes after block 9.
    private static func precedes(_ a: String, _ b: String) -> Bool { a.compare(b, options: .numeric) == .orderedAscending }
}
