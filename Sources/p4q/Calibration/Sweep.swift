import ArgumentParser
import CLIP
import Foundation
import Imaging
import Quantization
import Tensors
import TextTable

/// All observers at several bit widths, from one calibration.
struct Sweep {
    static let defaultBits = "8-8-8,4-8-8,4-4-8,3-3-8,2-2-8"

    let calibrated: CalibratedModel
    let out: URL
    let quiet: Bool

    /// A plan's folder: its observer or, where weights are not rounded each for itself, how; and its widths.
    static func folderName(_ plan: QuantizationPlan) -> String {
        "\(plan.rounding == .nearest ? plan.observer.rawValue : plan.rounding.rawValue)-\(plan.bits)"
    }

    /// Writes every plan's folder, evaluates them where there is data, and prints the table.
    func run(
        _ plans: [QuantizationPlan], data: [String], classSet: ClassSet, float: String, decoder: ImageDecoder, _ interruption: Interruption
    ) throws {
        let rows = try write(plans, interruption)
        if data.isEmpty {
            try report(Table(models: rows), lines: { Row.lines(rows, form: $0) })
        } else {
            try evaluate(float, rows, data, classSet, decoder)
        }
    }

    /// Writes every plan's folder.
    func write(_ plans: [QuantizationPlan], _ interruption: Interruption) throws -> [Row] {
        let figures = try calibrated.measure(plans, quiet: quiet)
        var progress = Progress("models written", total: plans.count, isQuiet: quiet)
        var rows: [Row] = []
        var tensors: QuantizedTensors?
        for (index, plan) in plans.enumerated() {
            // Observers differ in activations only, unless their scales are in the weights or these are chosen for what they meet.
            if index == 0 || plans[index - 1].bits != plan.bits || plans[index - 1].rounding != plan.rounding
                || plan.recipe == .reference || plan.rounding != .nearest
            {
                tensors = nil
            }
            let points = try QuantizedTensors.quantizers(
                calibrated.checkpoint.configuration, calibrated.calibration, plan)
            let present =
                try tensors
                ?? calibrated.tensors(plan, quiet: quiet)
            tensors = present
            let folder = out.appendingPathComponent(Self.folderName(plan))
            try interruption.protecting {
                try calibrated.write(present.replacing(points: points), plan, figures[index], to: folder)
            }
            rows.append(Row(folder: folder, plan: plan, figures: figures[index]))
            progress.update(index + 1)
        }
        progress.finish(plans.count)
        return rows
    }

    private func evaluate(_ float: String, _ rows: [Row], _ data: [String], _ classSet: ClassSet, _ decoder: ImageDecoder) throws {
        let models = try ([float] + rows.map(\.model)).map { try EvaluatedModel($0) }
        let run = EvaluationRun(classSet: classSet, decoder: decoder, pool: calibrated.pool, isQuiet: quiet)
        let reports = try run.evaluate(models, on: data)
        try report(Table(models: reports)) { EvaluationTable.lines(reports, form: $0) }
        if reports.contains(where: { $0.failed > 0 }) { throw CommandFailure.someItemsFailed }
    }

    /// Prints the table, and keeps it beside the folders.
    private func report(_ table: some Encodable, lines: (EvaluationTable.Form) -> [String]) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        try encoder.encode(table).write(to: out.appendingPathComponent("sweep.json"), options: .atomic)
        try Data(lines(.markdown).map { $0 + "\n" }.joined().utf8).write(to: out.appendingPathComponent("sweep.md"), options: .atomic)
        for line in lines(.plain) { try StandardOutput.line(line) }
        try StandardOutput.flush()
    }
}

extension Sweep {
    private struct Table<Model: Encodable>: Encodable { let models: [Model] }

    /// A model that was written, and how well its quantizers keep the last calibration batch.
    struct Row: Encodable {
        let model: String
        let bits: String
        let observer: String
        let size_mib: Double
        /// Over all points, in dB.
        let mean_snr_db: Double
        let least_snr_db: Double
        /// Over all points.
        let mean_clipped: Double

        init(folder: URL, plan: QuantizationPlan, figures: [String: PointFigures]) {
            model = folder.relativePath
            bits = plan.bits.description
            observer = plan.observer.rawValue
            size_mib = EvaluatedModel.sizeMiB(of: [folder.appendingPathComponent("model.safetensors")])
            let ratios = figures.values.compactMap(\.signalToNoise)
            mean_snr_db = rounded(ratios.reduce(0, +) / Double(max(ratios.count, 1)))
            least_snr_db = rounded(ratios.min() ?? 0)
            mean_clipped = rounded(figures.values.reduce(0) { $0 + $1.clipped } / Double(max(figures.count, 1)), 7)
        }

        static func lines(_ rows: [Row], form: EvaluationTable.Form) -> [String] {
            EvaluationTable.drawn(
                TextTable<Row> { row in
                    [
                        Column(title: "model", value: row.model), Column(title: "bits", value: row.bits),
                        Column(title: "observer", value: row.observer), Column(title: "MiB", value: fixed(row.size_mib, 2), align: .right),
                        Column(title: "mean SNR dB", value: fixed(row.mean_snr_db, 1), align: .right),
                        Column(title: "least SNR dB", value: fixed(row.least_snr_db, 1), align: .right),
                        Column(title: "clipped %", value: fixed(row.mean_clipped * 100, 4), align: .right),
                    ]
                }, rows, form)
        }
    }
}
