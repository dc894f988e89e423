internal import Crypto
internal import Foundation

/// What pictures are classified into: named classes with the texts that stand for them, and how an answer is formed.
package struct ClassSet: Sendable, Equatable {
    /// One class.
    package struct Entry: Sendable, Equatable, Codable {
        /// The label of its predictions.
        package var name: String
        /// Further texts that go into the templates beside the name.
        package var synonyms: [String]
        /// Whole prompts (`{}` stands for the name). A class that has some, and no synonyms, is described by these alone.
        package var prompts: [String]
        /// The least probability at which this class is an answer; the set's own where nil.
        package var threshold: Float?

        package init(name: String, synonyms: [String] = [], prompts: [String] = [], threshold: Float? = nil) {
            self.name = name
            self.synonyms = synonyms
            self.prompts = prompts
            self.threshold = threshold
        }

        /// The prompts whose features are averaged, in order.
        package func texts(templates: [String]) -> [String] {
            let verbatim = prompts.map { $0.replacingOccurrences(of: "{}", with: name) }
            if !prompts.isEmpty && synonyms.isEmpty { return verbatim }
            return ([name] + synonyms).flatMap { text in templates.map { $0.replacingOccurrences(of: "{}", with: text) } } + verbatim
        }
    }

    /// The template of a set that names none.
    package static let defaultTemplates = ["a photo of a {}."]
    /// Predictions of an answer where nobody says how many.
    package static let defaultTopK = 5
    /// Bounds of what comes over a queue: 1,000 classes are usual, and each costs a pass of the text tower for every template.
    package static let maximumClasses = 10_000
    package static let maximumPrompts = 200_000

    package let name: String
    package let classes: [Entry]
    package let templates: [String]
    package let topK: Int
    /// Below this probability of the first prediction the answer is `unknown`; 0 never is.
    package let threshold: Float
    /// SHA-256 of the set's canonical form, hex: equal for equal sets, however they were written.
    package let sha256: String

    package init(
        name: String, classes: [Entry], templates: [String] = defaultTemplates, topK: Int = defaultTopK, threshold: Float = 0
    ) throws(CLIPError) {
        self.name = name
        self.classes = classes
        self.templates = templates.isEmpty ? Self.defaultTemplates : templates
        self.topK = topK
        self.threshold = threshold
        sha256 = Self.digest(name: name, classes: classes, templates: self.templates, topK: topK, threshold: threshold)
        try validate()
    }

    /// A set made of labels alone, as a command line or a job brings them.
    package init(labels: [String], templates: [String] = [], topK: Int = defaultTopK) throws(CLIPError) {
        try self.init(name: "inline", classes: labels.map { Entry(name: $0) }, templates: templates, topK: topK)
    }

    private func validate() throws(CLIPError) {
        func invalid(_ reason: String) -> CLIPError { .classSet(name: name, reason: reason) }
        if name.isEmpty { throw invalid("it has no name") }
        if classes.isEmpty { throw invalid("it has no classes; give at least one") }
        if classes.count > Self.maximumClasses { throw invalid("\(classes.count) classes are more than \(Self.maximumClasses)") }
        if topK < 1 { throw invalid("top_k is \(topK); at least 1 is needed") }
        if let template = templates.first(where: { !$0.contains("{}") }) {
            throw invalid("the template \"\(template)\" has no {} where the class name goes")
        }
        var seen: Set<String> = []
        for entry in classes {
            if entry.name.isEmpty { throw invalid("a class has an empty name") }
            if !seen.insert(entry.name).inserted { throw invalid("the class \"\(entry.name)\" occurs twice") }
        }
        for threshold in [threshold] + classes.compactMap(\.threshold) where !(0...1).contains(threshold) {
            throw invalid("a threshold is \(threshold); probabilities lie between 0 and 1")
        }
        let prompts = classes.reduce(0) { $0 + ($1.synonyms.count + 1) * templates.count + $1.prompts.count }
        if prompts > Self.maximumPrompts { throw invalid("its \(prompts) prompts are more than \(Self.maximumPrompts)") }
    }

    private struct Canonical: Codable {
        let name: String
        let classes: [Entry]
        let templates: [String]
        let topK: Int
        let threshold: Float
    }

    /// The set's canonical form, whose hash `sha256` is: JSON on one line.
    package var canonicalText: String {
        String(
            decoding: Self.canonical(name: name, classes: classes, templates: templates, topK: topK, threshold: threshold), as: UTF8.self)
    }

    /// Reads a canonical form; `origin` stands for it in errors.
    package init(canonicalText: String, origin: String) throws(CLIPError) {
        let form: Canonical
        do {
            form = try JSONDecoder().decode(Canonical.self, from: Data(canonicalText.utf8))
        } catch {
            throw .classSet(name: origin, reason: "its class set can't be read")
        }
        try self.init(name: form.name, classes: form.classes, templates: form.templates, topK: form.topK, threshold: form.threshold)
    }

    private static func digest(name: String, classes: [Entry], templates: [String], topK: Int, threshold: Float) -> String {
        SHA256.hash(data: canonical(name: name, classes: classes, templates: templates, topK: topK, threshold: threshold)).hexadecimal
    }

    private static func canonical(name: String, classes: [Entry], templates: [String], topK: Int, threshold: Float) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let canonical = Canonical(name: name, classes: classes, templates: templates, topK: topK, threshold: threshold)
        // Encoding strings, integers and floats with a strategy for the non-finite ones cannot fail; an empty form would only weaken the hash.
        return (try? encoder.encode(canonical)) ?? Data()
    }
}
