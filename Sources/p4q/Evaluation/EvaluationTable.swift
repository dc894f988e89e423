import Foundation
import TextTable

/// Reports for people: one model a row; of a single model its classes too.
enum EvaluationTable {
    /// How a table is drawn.
    enum Form { case plain, markdown }

    /// The models side by side.
    static func lines(_ reports: [EvaluationReport], form: Form = .plain) -> [String] {
        let table = TextTable<EvaluationReport> { report in
            [
                Column(title: "model", value: report.model), Column(title: "bits", value: report.bits),
                Column(title: "observer", value: report.observer ?? ""),
                Column(title: "top-1 %", value: percent(report.top1), align: .right),
                Column(title: "top-5 %", value: percent(report.top5), align: .right),
                Column(title: "ECE %", value: percent(report.expected_calibration_error), align: .right),
                Column(title: "MiB", value: fixed(report.size_mib, 2), align: .right),
                Column(title: "images/s", value: report.images_per_second.map { fixed($0, 1) } ?? "", align: .right),
            ]
        }
        return drawn(table, reports, form)
    }

    /// A class a row, with the classes that it is most often taken for.
    static func classLines(_ report: EvaluationReport, form: Form = .plain) -> [String] {
        let table = TextTable<EvaluationReport.ClassFigures> { row in
            let others = row.answers.filter { $0.key != row.label }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            let confused = others.prefix(3).map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            return [
                Column(title: "class", value: row.label), Column(title: "images", value: "\(row.images)", align: .right),
                Column(title: "right %", value: percent(row.accuracy), align: .right), Column(title: "taken for", value: confused),
            ]
        }
        return drawn(table, report.classes, form)
    }

    /// The table's lines.
    static func drawn<Row>(_ table: TextTable<Row>, _ rows: [Row], _ form: Form) -> [String] {
        guard !rows.isEmpty else { return [] }
        let text =
            switch form {
            case .plain: table.string(for: rows, style: Style.plain)
            case .markdown: table.string(for: rows, style: Style.pipe)
            }
        return (text ?? "").split(separator: "\n").map { $0.reversed().drop { $0 == " " }.reversed() }.map { String($0) }
    }

    private static func percent(_ share: Double?) -> String { share.map { fixed($0 * 100, 2) } ?? "" }
}

/// A number with a fixed count of decimals.
func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
