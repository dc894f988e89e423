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
        let text: String
        do {
            text = try String(contentsOf: url, encoding: .utf8)
        } catch {
            throw CLIPError.classSet(name: url.path, reason: "it can't be read: \(error.localizedDescription)")
        }
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
        case DecodingError.keyNotFound(let key, _): "the field \"\(key.stringValue)\" is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            "at \(context.codingPath.map(\.stringValue).joined(separator: ".")): \(context.debugDescription)"
        default: "it is neither YAML nor JSON: \(error)"
        }
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
