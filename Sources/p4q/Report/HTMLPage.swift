import Foundation

/// A page that needs nothing but itself.
struct HTMLPage {
    private let title: String
    private var body = ""

    init(_ title: String) { self.title = title }

    mutating func heading(_ text: String) { body += "<h2>\(Self.escaped(text))</h2>\n" }
    mutating func paragraph(_ text: String) { body += "<p>\(Self.escaped(text))</p>\n" }

    /// The first column is text, the others are numbers.
    mutating func table(_ head: [String], _ rows: [[String]]) {
        func cells(_ row: [String], _ tag: String) -> String { row.map { "<\(tag)>\(Self.escaped($0))</\(tag)>" }.joined() }
        body += "<table><thead><tr>\(cells(head, "th"))</tr></thead><tbody>\n"
        for row in rows { body += "<tr>\(cells(row, "td"))</tr>\n" }
        body += "</tbody></table>\n"
    }

    /// A picture with what it shows written under it; several stand side by side.
    mutating func figures(_ figures: [(svg: String, caption: String)]) {
        body += "<div class=\"figures\">\n"
        for figure in figures { body += "<figure>\(figure.svg)<figcaption>\(Self.escaped(figure.caption))</figcaption></figure>\n" }
        body += "</div>\n"
    }

    /// The finished document.
    var text: String {
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><title>\(Self.escaped(title))</title><style>
        body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222; background: #fff }
        table { border-collapse: collapse; margin: 1em 0 } th, td { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right }
        th:first-child, td:first-child { text-align: left } .figures { display: flex; flex-wrap: wrap; gap: 1.5em }
        figure { margin: 0 } figcaption { font-size: 13px; color: #555; max-width: 320px } svg text { font: 11px system-ui, sans-serif }
        </style></head><body><h1>\(Self.escaped(title))</h1>
        \(body)</body></html>

        """
    }

    static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
    }
}
