internal import Foundation

/// A table of labelled images: CSV with a header that names the columns `path`, `label` and, if wanted, `id`; or JSON Lines with these members.
///
/// Relative paths are looked up beside the table.
package final class LabelTable {
    private struct Line: Decodable {
        let path: String
        let label: String
        let id: String?
    }

    private var lines: [(number: Int, text: Substring)]
    private let columns: [String]?
    private let file: String
    private let limit: Int

    /// Whether `path` is named as such a table is.
    package static func isOne(_ path: String) -> Bool { [".csv", ".jsonl", ".ndjson"].contains { path.lowercased().hasSuffix($0) } }

    /// Throws: `unreadable`, or `badTable` for a header without `path` and `label`.
    package init(_ file: String, limit: Int) throws(DatasetError) {
        guard let data = FileManager.default.contents(atPath: file) else { throw .unreadable(path: file, reason: "it can't be read") }
        self.file = file
        self.limit = limit
        let all = String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline)
        lines = all.enumerated().map { ($0 + 1, $1) }.reversed()
        guard file.lowercased().hasSuffix(".csv") else {
            columns = nil
            return
        }
        let header = lines.popLast().map { Self.fields($0.text) } ?? []
        guard header.contains("path"), header.contains("label") else {
            throw .badTable(path: file, line: 1, reason: "its header must name the columns path and label")
        }
        columns = header
    }

    /// The next image; nil at the end. A line that can't be used throws, and the next call goes on behind it.
    package func next() throws(DatasetError) -> DatasetItem? {
        guard let (number, text) = lines.popLast() else { return nil }
        let line: Line
        if let columns {
            let fields = Self.fields(text)
            func field(_ name: String) -> String? {
                guard let place = columns.firstIndex(of: name), place < fields.count, !fields[place].isEmpty else { return nil }
                return fields[place]
            }
            guard let path = field("path"), let label = field("label") else {
                throw .badTable(path: file, line: number, reason: "it has no path or no label")
            }
            line = Line(path: path, label: label, id: field("id"))
        } else {
            guard let decoded = try? JSONDecoder().decode(Line.self, from: Data(text.utf8)) else {
                throw .badTable(path: file, line: number, reason: "it is no JSON object with the members path and label")
            }
            line = decoded
        }
        let folder = (file as NSString).deletingLastPathComponent
        let path = line.path.hasPrefix("/") ? line.path : (folder as NSString).appendingPathComponent(line.path)
        return DatasetItem(id: line.id ?? line.path, label: line.label, content: .file(path: Array(path.utf8), limit: limit))
    }

    /// The fields of one record of RFC 4180 that holds no line ends.
    private static func fields(_ line: Substring) -> [String] {
        var (fields, field, isQuoted) = ([String](), "", false)
        var rest = line[...]
        while let character = rest.popFirst() {
            switch character {
            case "\"" where isQuoted && rest.first == "\"": field.append(rest.removeFirst())
            case "\"": isQuoted.toggle()
            case "," where !isQuoted:
                fields.append(field)
                field = ""
            default: field.append(character)
            }
        }
        return fields + [field]
    }
}
