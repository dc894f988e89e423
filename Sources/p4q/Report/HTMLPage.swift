import Foundation

/// A page that needs nothing but itself, in light and dark.
struct HTMLPage {
    private let title: String
    private var body = ""

    init(_ title: String) { self.title = title }

    mutating func heading(_ text: String) { body += "<h2>\(Self.escaped(text))</h2>\n" }
    mutating func paragraph(_ text: String) { body += "<p>\(Self.escaped(text))</p>\n" }

    /// Columns are numbers but the first one, and those whose places `texts` names.
    mutating func table(_ head: [String], _ rows: [[String]], texts: Set<Int> = []) {
        func cells(_ row: [String], _ tag: String) -> String {
            row.enumerated().map { place, cell in
                "<\(tag)\(texts.contains(place) ? " class=\"text\"" : "")>\(Self.escaped(cell))</\(tag)>"
            }.joined()
        }
        body += "<div class=\"wide\"><table><thead><tr>\(cells(head, "th"))</tr></thead><tbody>\n"
        for row in rows { body += "<tr>\(cells(row, "td"))</tr>\n" }
        body += "</tbody></table></div>\n"
    }

    /// A picture with what it shows written under it; several stand side by side.
    mutating func figures(_ figures: [(svg: String, caption: String)]) {
        body += "<div class=\"figures\">\n"
        for figure in figures { body += "<figure>\(figure.svg)<figcaption>\(Self.escaped(figure.caption))</figcaption></figure>\n" }
        body += "</div>\n"
    }

    /// A card of lines of text, and a picture if there is one.
    struct Card {
        /// PNG or JPEG.
        let picture: [UInt8]?
        let lines: [String]
    }

    /// Cards side by side.
    mutating func cards(_ cards: [Card]) {
        body += "<div class=\"cards\">\n"
        for card in cards {
            body += "<div class=\"card\">"
            if let picture = card.picture {
                let type = picture.first == 0x89 ? "png" : "jpeg"
                body += "<img alt=\"\" src=\"data:image/\(type);base64,\(Data(picture).base64EncodedString())\">"
            }
            body += "<div>" + card.lines.map { "<span>\(Self.escaped($0))</span>" }.joined() + "</div></div>\n"
        }
        body += "</div>\n"
    }

    /// The finished document.
    var text: String {
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(Self.escaped(title))</title><style>
        :root { color-scheme: light dark; --text: #1d232b; --quiet: #5b6570; --line: #d8dde3; --back: #fff; --card: #f4f6f8;
          --c0: #1f6fb4; --c1: #c8414f; --c2: #2f7d3e; --c3: #8450a0; --c4: #b87400; --c5: #6b7280; --c6: #0d8a8a; }
        @media (prefers-color-scheme: dark) { :root { --text: #e3e7ec; --quiet: #9aa5b1; --line: #39424d; --back: #14181d; --card: #1e242b;
          --c0: #5fa8e6; --c1: #ef7682; --c2: #6cc07c; --c3: #bf8fd8; --c4: #e2a63f; --c5: #9aa5b1; --c6: #4fc4c4; } }
        body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto 4em; max-width: 76em; padding: 0 1.2em; color: var(--text);
          background: var(--back) }
        h1 { font-size: 1.6em; line-height: 1.25 } h2 { font-size: 1.2em; margin: 2.2em 0 .4em } p { max-width: 56em; margin: .5em 0 }
        .wide { overflow-x: auto } table { border-collapse: collapse; margin: .8em 0; font-variant-numeric: tabular-nums }
        th, td { padding: .25em .9em .25em 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top }
        th { color: var(--quiet); font-weight: 600 } th:first-child, td:first-child, .text { text-align: left }
        .figures { display: flex; flex-wrap: wrap; gap: 1.8em; margin: .8em 0 } figure { margin: 0; max-width: 100% }
        figure svg { max-width: 100%; height: auto } figcaption { font-size: 13px; color: var(--quiet); max-width: 27em }
        svg text { font: 11px system-ui, sans-serif; fill: var(--quiet) } svg .name { fill: var(--text) }
        .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(15em, 1fr)); gap: .7em; margin: .8em 0 }
        .card { display: flex; gap: .7em; background: var(--card); border-radius: 6px; padding: .6em; font-size: 13px; min-width: 0 }
        .card img { width: 64px; height: 64px; object-fit: contain; flex: none } .card div { min-width: 0 }
        .card span { display: block; overflow-wrap: anywhere } .card span:last-child { color: var(--quiet) }
        </style></head><body><h1>\(Self.escaped(title))</h1>
        \(body)</body></html>

        """
    }

    static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
    }
}
