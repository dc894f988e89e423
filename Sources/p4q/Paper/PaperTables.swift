import Foundation
import Quantization

/// The report's tables: a head, and rows of texts.
struct PaperTables {
    struct Table {
        let title: String
        let head: [String]
        let rows: [[String]]
    }

    private let report: PaperReport

    init(_ report: PaperReport) { self.report = report }

    var all: [Table] { ([main] + ablations).filter { !$0.rows.isEmpty } }

    private static let methods: [(name: String, title: String)] =
        Observer.allCases.map { ($0.rawValue, "PTQ, \(title($0))") } + [
            ("probe", "OMSE + quantized linear probe"), ("p4q", "P4Q"),
            ("search", "P4Q, length, share and rate searched (beyond the paper)"),
            ("reconstruction", "OMSE, weights reconstructed (beyond the paper)"),
            ("reconstructed", "P4Q on reconstructed weights, searched (beyond the paper)"),
        ]

    private static func title(_ observer: Observer) -> String {
        switch observer {
        case .minMax: "MinMax"
        case .ema: "EMA"
        case .percentile: "Percentile"
        case .omse: "OMSE"
        }
    }

    private var main: Table {
        var rows: [[String]] = []
        for (key, title) in [
            ("zero-shot", "zero-shot"), ("prompt", "+ prompt"), ("both", "+ prompt + adapter"), ("probe", "+ linear probe"),
        ] {
            if let row = report.row("float/\(key)") { rows.append(line("full precision, \(title)", "32", row)) }
        }
        for bits in report.bits {
            for (name, title) in Self.methods { if let row = report.row("\(bits)/\(name)") { rows.append(line(title, bits, row)) } }
        }
        return Table(
            title: "Full precision, quantization, and what P4Q wins back",
            head: ["method", "bits", "top-1 %", "top-5 %", "ECE %", "GOP an image", "MiB", "gap won back"] + extra, rows: rows)
    }

    private var extra: [String] {
        let paper = report.rows.contains { report.paper($0.key) != nil } ? ["paper's top-1 %"] : []
        return report.tests.dropFirst().map { "top-1 % on \(($0 as NSString).lastPathComponent)" } + paper
    }

    private func line(_ title: String, _ bits: String, _ row: PaperReport.Row) -> [String] {
        let top5 = row.top5.reduce(0, +) / Double(max(row.top5.count, 1))
        let learned = ["p4q", "search", "reconstructed"].contains(row.key.split(separator: "/").last.map(String.init) ?? "")
        let won = learned ? report.wonBack(row, bits: bits).map { "\(fixed($0 * 100, 0)) %" } ?? "" : ""
        let others = (0..<max(report.tests.count - 1, 0)).map { row.elsewhere.indices.contains($0) ? percent(row.elsewhere[$0]) : "" }
        let hasPaper = extra.count > others.count
        return [
            title, bits, top1(row), percent(top5), percent(row.expected_calibration_error), fixed(Double(row.operations) / 1e9, 3),
            fixed(row.size_mib, 2), won,
        ] + others + (hasPaper ? [report.paper(row.key).map { fixed($0, 2) } ?? ""] : [])
    }

    private var ablations: [Table] {
        let rows = report.rows.filter { $0.key.contains("/ablation/") }
        func part(_ name: String) -> [(String, PaperReport.Row)] {
            rows.compactMap { row in
                guard let range = row.key.range(of: "/ablation/\(name)/") else { return nil }
                return (String(row.key[range.upperBound...]), row)
            }
        }
        func plain(_ title: String, _ name: String, _ head: String) -> Table {
            Table(
                title: title,
                head: [head, "top-1 %"] + report.tests.dropFirst().map { "top-1 % on \(($0 as NSString).lastPathComponent)" },
                rows: part(name).map { [$0.0, top1($0.1)] + $0.1.elsewhere.map(percent) })
        }
        let sizes = part("size")
        let lengths = unique(sizes.map { $0.0.components(separatedBy: " x ")[0] })
        let ratios = unique(sizes.map { $0.0.components(separatedBy: " x ").last ?? "" })
        let grid = lengths.map { length in
            [length] + ratios.map { ratio in sizes.first { $0.0 == "\(length) x \(ratio)" }.map { top1($0.1) } ?? "" }
        }
        let bits = rows.first.map { String($0.key.prefix(5)) } ?? ""
        return [
            plain("Ablation at \(bits): what is learned", "parts", "part"),
            plain("Ablation at \(bits): losses", "losses", "loss"),
            Table(title: "Ablation at \(bits): top-1 % by prompt length (rows) and adapter's share", head: ["length"] + ratios, rows: grid),
            plain("Ablation at \(bits): how gradients pass quantizers", "rounding", "rule"),
            plain("Ablation at \(bits): adapter trained through its quantizers", "adapter", "adapter"),
            plain("Generalisation at \(bits) by epochs", "epochs", "epochs"),
        ]
    }

    private func unique(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }

    private func top1(_ row: PaperReport.Row) -> String {
        row.spread.map { "\(percent(row.mean)) ± \(percent($0))" } ?? percent(row.mean)
    }

    private func percent(_ share: Double) -> String { fixed(share * 100, 2) }

    /// All tables in Markdown.
    var markdown: String {
        let facts =
            "\(report.model), class set \(report.class_set), \(report.training_images) training images, \(report.epochs) epochs, "
            + "\(report.context) context vectors, "
            + "\(report.seeds) seeds (mean ± sample standard deviation). One prompt through the text tower: "
            + "\(fixed(Double(report.operations_per_prompt) / 1e9, 3)) GOP.\n"
        return facts
            + all.map { table in
                func line(_ cells: [String]) -> String { "| \(cells.joined(separator: " | ")) |\n" }
                return "\n## \(table.title)\n\n" + line(table.head) + line(table.head.indices.map { $0 == 0 ? "---" : "---:" })
                    + table.rows.map(line).joined()
            }.joined()
    }
}
