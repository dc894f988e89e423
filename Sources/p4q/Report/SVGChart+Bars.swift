import Foundation

extension SVGChart {
    /// A share with the interval that it lies in.
    struct Estimate {
        let name: String
        let share: Double
        let interval: ClosedRange<Double>
    }

    /// Estimates one under the other, each a point with its interval.
    static func estimates(_ rows: [Estimate]) -> String {
        let left = 24 + 6.4 * Double(rows.map { cut($0.name, 26).count }.max() ?? 0)
        let (step, width) = (30.0, 360.0)
        let low = max(0, (rows.map(\.interval.lowerBound).min() ?? 0) - 0.05)
        let high = min(1, (rows.map(\.interval.upperBound).max() ?? 1) + 0.05)
        func x(_ share: Double) -> Double { left + (share - low) / max(high - low, 1e-9) * width }
        let bottom = 14 + step * Double(rows.count)
        var shapes = ""
        for share in [0, 0.25, 0.5, 0.75, 1] {
            let value = low + share * (high - low)
            shapes += "<path d=\"M\(short(x(value))) 8V\(short(bottom))\" stroke=\"var(--line)\"/>"
            shapes += text("\(tick(value * 100)) %", x(value), bottom + 16, anchor: "middle")
        }
        for (index, row) in rows.enumerated() {
            let y = 14 + step * (Double(index) + 0.5)
            shapes += text(cut(row.name, 26), left - 12, y + 4, anchor: "end", isName: true)
            shapes += "<path d=\"M\(short(x(row.interval.lowerBound))) \(short(y))H\(short(x(row.interval.upperBound)))\" "
            shapes += "stroke=\"\(colour(index))\" stroke-width=\"3\"/>"
            let interval = "\(tick(row.interval.lowerBound * 100)) to \(tick(row.interval.upperBound * 100)) %"
            shapes += "<circle cx=\"\(short(x(row.share)))\" cy=\"\(short(y))\" r=\"5.5\" fill=\"\(colour(index))\">"
            shapes += "\(tip("\(row.name): \(tick(row.share * 100)) %, \(interval)"))</circle>"
        }
        return svg(left + width + 26, bottom + 22, shapes)
    }

    /// Changes from zero to both sides, one under the other; the value is written beside each.
    static func changes(_ rows: [(name: String, value: Double, text: String)]) -> String {
        let left = 16 + 6.4 * Double(rows.map { cut($0.name).count }.max() ?? 0)
        let (step, half) = (18.0, 130.0)
        let most = max(rows.map { abs($0.value) }.max() ?? 0, 1e-9)
        let middle = left + half + 130
        var shapes = "<path d=\"M\(short(middle)) 4V\(short(8 + step * Double(rows.count)))\" stroke=\"var(--line)\"/>"
        for (index, row) in rows.enumerated() {
            let y = 6 + step * Double(index)
            let length = abs(row.value) / most * half
            shapes += text(cut(row.name), left, y + 12, anchor: "end", isName: true)
            shapes += "<rect x=\"\(short(row.value < 0 ? middle - length : middle))\" y=\"\(short(y + 2))\" width=\"\(short(length))\" "
            shapes += "height=\"\(short(step - 5))\" rx=\"2\" fill=\"\(colour(row.value < 0 ? 1 : 2))\"/>"
            let end = row.value < 0 ? middle - length - 5 : middle + length + 5
            shapes += text(row.text, end, y + 12, anchor: row.value < 0 ? "end" : "start")
        }
        return svg(middle + half + 130, 14 + step * Double(rows.count), shapes)
    }

    /// Shares of a whole, a column a moment; the first name lies at the bottom.
    static func shares(_ names: [String], _ columns: [(title: String, counts: [Int])]) -> String {
        let top = legendHeight(names)
        let (left, height) = (46.0, 200.0)
        let width = min(44, max(6, 640 / Double(max(columns.count, 1))))
        var shapes = legend(names, left: left)
        for share in [0, 0.5, 1.0] {
            let y = top + (1 - share) * height
            shapes += "<path d=\"M\(short(left)) \(short(y))h\(short(width * Double(columns.count) + 6))\" stroke=\"var(--line)\"/>"
            shapes += text("\(Int(share * 100)) %", left - 6, y + 4, anchor: "end")
        }
        let every = max(1, Int((64 / width).rounded(.up)))
        for (index, column) in columns.enumerated() {
            let total = Double(max(column.counts.reduce(0, +), 1))
            let x = left + 4 + width * Double(index)
            var y = top + height
            for (place, count) in column.counts.enumerated() where count > 0 {
                let part = Double(count) / total * height
                y -= part
                shapes += "<rect x=\"\(short(x))\" y=\"\(short(y))\" width=\"\(short(max(width - 2, 2)))\" height=\"\(short(part))\" "
                shapes += "fill=\"\(colour(place))\">\(tip("\(column.title): \(names[place]) \(count)"))</rect>"
            }
            guard index % every == 0 else { continue }
            shapes += text(column.title, x + width / 2 - 1, top + height + 16, anchor: columns.count == 1 ? "start" : "middle")
        }
        return svg(max(left + width * Double(columns.count) + 40, left + side + 18), top + height + 24, shapes)
    }
}
