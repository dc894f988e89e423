import Foundation
import Tuning

/// The report as a page with plots.
struct PaperPage {
    private let report: PaperReport

    init(_ report: PaperReport) { self.report = report }

    private var names: [String] { report.classes }

    var text: String {
        var page = HTMLPage("P4Q on \(report.model), \(report.class_set)")
        page.paragraph(
            "\(report.training_images) training images, \(report.epochs) epochs, \(report.seeds) \(report.seeds == 1 ? "seed" : "seeds"); mean ± sample standard deviation."
        )
        for table in PaperTables(report).all {
            page.heading(table.title)
            page.table(table.head, table.rows)
        }
        page.heading("Accuracy against size")
        page.figures([(sizes, "Top-1 on the first test set over the size of the weights, for each bit width.")])
        similarities(&page)
        distributions(&page)
        for bits in report.bits { results(bits, &page) }
        return page.text
    }

    private var sizes: String {
        func line(_ name: String, _ key: String) -> SVGChart.Line {
            let points = report.bits.compactMap { report.row("\($0)/\(key)") }.map { ($0.size_mib, $0.mean * 100) }
            return SVGChart.Line(name: name, points: points, hasMarks: true)
        }
        let lines = [
            line("OMSE", "omse"), line("OMSE + probe", "probe"), line("P4Q", "p4q"), line("P4Q, searched", "search"),
            line("P4Q, reconstructed", "reconstructed"),
        ]
        let points = lines.flatMap(\.points)
        let (least, most) = (points.map(\.x).min() ?? 0, points.map(\.x).max() ?? 1)
        let room = max((most - least) * 0.05, 0.01)
        // To the tens below and above.
        let low = max(0, ((points.map(\.y).min() ?? 0) / 10).rounded(.down) * 10)
        let high = max(low + 10, min(100, ((points.map(\.y).max() ?? 100) / 10).rounded(.up) * 10))
        return SVGChart.lines(lines, x: least - room...most + room, y: low...high, labels: ("MiB", "top-1 %"))
    }

    /// Full precision, and each bit width before and after learning.
    private var pictured: [(name: String, cell: PaperCell)] {
        let keys = ["float/zero-shot"] + report.bits.flatMap { ["\($0)/omse", "\($0)/p4q/seed 0"] }
        return keys.compactMap { key in report.cell(key).flatMap { $0.pictures == nil ? nil : (key, $0) } }
    }

    private func similarities(_ page: inout HTMLPage) {
        let matrices = pictured.compactMap { name, cell in cell.pictures?.similarities.map { (name, $0.map { $0.map(Double.init) }) } }
        if matrices.isEmpty { return }
        page.heading("Similarity of images and texts")
        page.paragraph(
            "Cosine of each class's mean image feature (rows) with each class's text feature (columns); each from its least to its greatest value."
        )
        page.figures(
            matrices.map { name, values in
                let all = values.flatMap(\.self)
                return (SVGChart.matrix(values, range: (all.min() ?? 0)...(all.max() ?? 1), names: names), name)
            })
    }

    private func distributions(_ page: inout HTMLPage) {
        let cells = pictured
        if cells.isEmpty { return }
        page.heading("Distributions of features")
        page.paragraph("Elements of unit-norm features of the first test set's images, and of its classes' texts.")
        func line(_ name: String, _ histogram: Histogram) -> SVGChart.Line {
            let total = Double(max(histogram.counts.reduce(0, +), 1))
            let step = Double(histogram.high - histogram.low) / Double(histogram.counts.count)
            return SVGChart.Line(
                name: name,
                points: histogram.counts.enumerated().map { (Double(histogram.low) + (Double($0) + 0.5) * step, Double($1) / total / step) }
            )
        }
        page.figures(
            cells.compactMap { name, cell in
                guard let pictures = cell.pictures else { return nil }
                let lines = [line("images", pictures.images), line("texts", pictures.texts)]
                let top = lines.flatMap(\.points).map(\.y).max() ?? 1
                let x = Double(pictures.images.low)...Double(pictures.images.high)
                return (SVGChart.lines(lines, x: x, y: 0...top, labels: ("value", "density")), name)
            })
    }

    private func results(_ bits: String, _ page: inout HTMLPage) {
        guard let cell = report.cell("\(bits)/p4q/seed 0"), let figures = cell.tests.first else { return }
        page.heading("P4Q at \(bits)")
        var charts: [(svg: String, caption: String)] = []
        if let confusion = figures.confusion {
            let shares = confusion.map { row in
                let total = Double(max(row.reduce(0, +), 1))
                return row.map { Double($0) / total }
            }
            charts.append(
                (SVGChart.matrix(shares, range: 0...1, names: names), "Confusion: labels down, answers across, shares of a label's images.")
            )
        }
        let bins = figures.bins.compactMap { bin in bin.confidence.flatMap { c in bin.accuracy.map { (confidence: c, accuracy: $0) } } }
        let error = fixed(figures.expected_calibration_error * 100, 2)
        charts.append((SVGChart.reliability([("measured", bins)]), "Reliability; expected calibration error \(error) %."))
        page.figures(charts)
    }
}
