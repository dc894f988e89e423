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

    /// Reads the folder, checks every tensor and that the manifest belongs to the weights.
    ///
    /// - Throws: what is wrong with the folder.
    init(_ folder: URL) throws {
        let model = try QuantizedFolder.load(folder)
        guard let manifest = QuantizedManifest(folder: folder) else {
            throw QuantizationError.description(
                file: folder.appendingPathComponent(QuantizedManifest.fileName).path, reason: "is missing or damaged")
        }
        guard manifest.model_sha256 == model.sha256 else {
            throw QuantizationError.description(
                file: folder.appendingPathComponent(QuantizedManifest.fileName).path, reason: "belongs to other weights than lie beside it")
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
            ("name", name), ("sha256", sha256), ("bits", "\(manifest.bits), recipe \(manifest.recipe), observer \(manifest.observer)"),
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

    private var pointLines: [String] {
        let table = TextTable<(name: String, point: QuantizedManifest.Point)> { row in
            let point = row.point
            return [
                Column(title: "point", value: row.name), Column(title: "codes", value: "0...\(point.top)", align: .right),
                Column(title: "scale", value: String(format: "%.6g", point.scale), align: .right),
                Column(title: "zero", value: "\(point.zero_point)", align: .right),
                Column(title: "range", value: "\(fixed(point.low, 3)) ... \(fixed(point.high, 3))", align: .right),
                Column(title: "observed", value: observed(point), align: .right),
                Column(title: "clipped %", value: point.clipped.map { fixed($0 * 100, 4) } ?? "", align: .right),
                Column(title: "SNR dB", value: point.snr_db.map { fixed($0, 1) } ?? "", align: .right),
            ]
        }
        return EvaluationTable.drawn(table, manifest.points.sorted { Self.precedes($0.key, $1.key) }.map { ($0.key, $0.value) }, .plain)
    }

    private func observed(_ point: QuantizedManifest.Point) -> String {
        guard let low = point.observed_low, let high = point.observed_high else { return "" }
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
