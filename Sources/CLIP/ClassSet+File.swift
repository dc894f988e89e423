package import Foundation
internal import Yams

extension ClassSet {
    /// Reads a YAML or JSON file:
    ///
    ///     name: pets
    ///     templates: ["a photo of a {}.", "a drawing of a {}."]
    ///     top_k: 3
    ///     threshold: 0.4            # below it the answer is unknown
    ///     classes:
    ///       - cat
    ///       - name: dog
    ///         synonyms: [puppy, hound]
    ///         threshold: 0.6
    ///       - name: fish
    ///         prompts: ["a fish in a bowl."]
    package init(contentsOf url: URL) throws(CLIPError) {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            let isThere = FileManager.default.fileExists(atPath: url.path)
            throw CLIPError.classSetUnreadable(path: url.path, reason: isThere ? error.localizedDescription : "there is no such file")
        }
        guard let text = String(data: data, encoding: .utf8) else { throw CLIPError.classSet(name: url.path, reason: "it is not UTF-8") }
        try self.init(yaml: text, file: url.path, defaultName: url.deletingPathExtension().lastPathComponent)
    }

    /// Reads the text of such a file.
    package init(yaml text: String, file: String, defaultName: String) throws(CLIPError) {
        let form: Form
        do {
            form = try YAMLDecoder().decode(Form.self, from: text)
        } catch {
            throw CLIPError.classSet(name: file, reason: Self.explain(error))
        }
        try self.init(
            name: form.name ?? defaultName, classes: form.classes.map(\.entry), templates: form.templates ?? [],
            topK: form.top_k ?? Self.defaultTopK, threshold: form.threshold ?? 0)
    }

    private static func explain(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            "the field \"\(key.stringValue)\" is missing" + (context.codingPath.isEmpty ? "" : " in \(place(context))")
        case DecodingError.typeMismatch(_, let context) where context.codingPath.isEmpty:
            "it must be a mapping with the field classes, as {classes: [cat, dog]}"
        case DecodingError.typeMismatch(let type, let context): "\(place(context)) must be \(form(of: type))"
        case DecodingError.dataCorrupted(let context) where context.underlyingError != nil: syntax(context.underlyingError)
        case DecodingError.valueNotFound(_, let context), DecodingError.dataCorrupted(let context):
            "at \(place(context)): \(context.debugDescription)"
        default: "it is neither YAML nor JSON: \(error)"
        }
    }

    /// Why the text is no YAML, and in which line.
    private static func syntax(_ error: (any Error)?) -> String {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return "line \(mark.line) is neither YAML nor JSON: \(problem)"
        case .duplicatedKeysInMapping(let names, let context):
            return "line \(context.mark.line) begins a mapping that has twice: \(names.sorted().joined(separator: ", "))"
        case .reader(let problem, let offset, _, let text):
            let line = offset.map { "line \(text.prefix($0).count(where: \.isNewline) + 1)" } ?? "it"
            return "\(line) is neither YAML nor JSON: \(problem)"
        default: return "it is neither YAML nor JSON: \(error.map { "\($0)" } ?? "")"
        }
    }

    /// As `classes[2].synonyms`, counted from 0.
    private static func place(_ context: DecodingError.Context) -> String {
        context.codingPath.reduce("") { text, key in
            if let index = key.intValue { return "\(text)[\(index)]" }
            return text.isEmpty ? key.stringValue : "\(text).\(key.stringValue)"
        }
    }

    private static func form(of type: Any.Type) -> String {
        if type == Node.Sequence.self { return "a list" }
        if type == Node.Mapping.self { return "a name, or a mapping with the field name" }
        if type == Node.Scalar.self { return "a single value" }
        if type == Int.self { return "a whole number" }
        return type == Float.self ? "a number" : "a text"
    }

    /// The file's own spelling.
    private struct Form: Decodable {
        let name: String?
        let classes: [Item]
        let templates: [String]?
        let top_k: Int?
        let threshold: Float?

        private enum CodingKeys: String, CodingKey, CaseIterable { case name, classes, templates, top_k, threshold }

        init(from decoder: any Decoder) throws {
            try refuseUnknownKeys(decoder, known: CodingKeys.allCases.map(\.rawValue))
            let container = try decoder.container(keyedBy: CodingKeys.self)
            name = try container.decodeIfPresent(String.self, forKey: .name)
            classes = try container.decode([Item].self, forKey: .classes)
            templates = try container.decodeIfPresent([String].self, forKey: .templates)
            top_k = try container.decodeIfPresent(Int.self, forKey: .top_k)
            threshold = try container.decodeIfPresent(Float.self, forKey: .threshold)
        }
    }

    /// A class: its name alone, or its fields.
    private struct Item: Decodable {
        let entry: Entry

        private enum CodingKeys: String, CodingKey, CaseIterable { case name, synonyms, prompts, threshold }

        init(from decoder: any Decoder) throws {
            if let name = try? decoder.singleValueContainer().decode(String.self) {
                entry = Entry(name: name)
                return
            }
            try refuseUnknownKeys(decoder, known: CodingKeys.allCases.map(\.rawValue))
            let container = try decoder.container(keyedBy: CodingKeys.self)
            entry = Entry(
                name: try container.decode(String.self, forKey: .name),
                synonyms: try container.decodeIfPresent([String].self, forKey: .synonyms) ?? [],
                prompts: try container.decodeIfPresent([String].self, forKey: .prompts) ?? [],
                threshold: try container.decodeIfPresent(Float.self, forKey: .threshold))
        }
    }
}

/// Any key of a mapping.
private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// A misspelt field is an error, not a silently ignored wish.
private func refuseUnknownKeys(_ decoder: any Decoder, known: [String]) throws {
    let container = try decoder.container(keyedBy: AnyKey.self)
    if let key = container.allKeys.first(where: { !known.contains($0.stringValue) }) {
        throw DecodingError.dataCorruptedError(
            forKey: key, in: container, debugDescription: "unknown field \"\(key.stringValue)\"; known are \(known.joined(separator: ", "))"
        )
    }
}
