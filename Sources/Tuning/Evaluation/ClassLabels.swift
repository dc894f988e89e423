package import CLIP

/// Which class of a class set a data set's label means.
///
/// In this order: a class's name; one of its synonyms; either of them without regard to case, with `_` and `-` taken as spaces; a number as the
/// class's index, from 0. What two classes share means neither.
package struct ClassLabels: Sendable {
    private var exact: [String: Int?] = [:]
    private var loose: [String: Int?] = [:]
    private let count: Int

    package init(_ classSet: ClassSet) {
        count = classSet.classes.count
        for (index, entry) in classSet.classes.enumerated() { exact[entry.name] = index }
        let names = Set(classSet.classes.map(\.name))
        for (index, entry) in classSet.classes.enumerated() {
            for synonym in entry.synonyms where !names.contains(synonym) { Self.put(index, under: synonym, in: &exact) }
            for text in [entry.name] + entry.synonyms { Self.put(index, under: Self.loosened(text), in: &loose) }
        }
    }

    /// The class's index, or nil if the label means none or more than one.
    package func index(of label: String) -> Int? {
        if let found = exact[label] { return found }
        if let found = loose[Self.loosened(label)] { return found }
        guard let number = Int(label), (0..<count).contains(number) else { return nil }
        return number
    }

    private static func put(_ index: Int, under text: String, in table: inout [String: Int?]) {
        if let other = table[text] {
            if other != index { table[text] = .some(nil) }
        } else {
            table[text] = index
        }
    }

    private static func loosened(_ text: String) -> String {
        String(text.lowercased().map { $0 == "_" || $0 == "-" ? " " : $0 })
    }
}
