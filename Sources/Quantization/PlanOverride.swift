package import Foundation
package import Tensors
internal import Yams

/// An exception from a plan: what the layers and points of matching names have instead.
package struct PlanOverride: Sendable, Equatable {
    /// A name of layers or points, as `vision.0.fc1` or `text.*.qkv`: `*` stands for any characters, `?` for one, `[ab]` for one of several.
    package let match: String
    package let weights: BitWidth?
    package let activations: BitWidth?
    package let attention: BitWidth?
    package let observer: Observer?

    package init(
        match: String, weights: BitWidth? = nil, activations: BitWidth? = nil, attention: BitWidth? = nil, observer: Observer? = nil
    ) {
        self.match = match
        self.weights = weights
        self.activations = activations
        self.attention = attention
        self.observer = observer
    }

    func matches(_ name: String) -> Bool { fnmatch(match, name, 0) == 0 }

    /// By its own name, or by its layer's.
    func matches(_ point: QuantizedLayout.Point) -> Bool { matches(point.name) || matches(point.layer) }

    /// The three names that are spelt most like the pattern.
    func nearest(of names: [String]) -> [String] {
        let ranked = names.map { (distance: Self.distance(match, $0), name: $0) }
        return ranked.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(3).map(\.name)
    }

    /// Characters to be put in, taken out or changed. Source: Levenshtein.
    private static func distance(_ a: String, _ b: String) -> Int {
        let b = Array(b)
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let changed = diagonal + (x == y ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(changed, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}

extension PlanOverride: Codable {
    private enum Key: String, CodingKey, CaseIterable { case match, weights, activations, attention, observer }

    private struct AnyKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package init(from decoder: any Decoder) throws {
        let all = try decoder.container(keyedBy: AnyKey.self)
        if let key = all.allKeys.first(where: { Key(rawValue: $0.stringValue) == nil }) {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: all, debugDescription: "unknown field; known are \(Key.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let fields = try decoder.container(keyedBy: Key.self)
        func width(_ key: Key) throws -> BitWidth? {
            guard let bits = try fields.decodeIfPresent(Int.self, forKey: key) else { return nil }
            guard let width = BitWidth(rawValue: bits) else {
                throw DecodingError.dataCorruptedError(forKey: key, in: fields, debugDescription: "\(bits) bits; there are 8, 4, 3 and 2")
            }
            return width
        }
        match = try fields.decode(String.self, forKey: .match)
        weights = try width(.weights)
        activations = try width(.activations)
        attention = try width(.attention)
        observer = try fields.decodeIfPresent(String.self, forKey: .observer).map { name in
            guard let observer = Observer(rawValue: name) else {
                let known = Observer.allCases.map(\.rawValue).joined(separator: ", ")
                throw DecodingError.dataCorruptedError(forKey: .observer, in: fields, debugDescription: "\(name); there are \(known)")
            }
            return observer
        }
        if weights == nil && activations == nil && attention == nil && observer == nil {
            throw DecodingError.dataCorruptedError(
                forKey: .match, in: fields, debugDescription: "\(match) is given neither bits nor observer")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(match, forKey: .match)
        try fields.encodeIfPresent(weights?.rawValue, forKey: .weights)
        try fields.encodeIfPresent(activations?.rawValue, forKey: .activations)
        try fields.encodeIfPresent(attention?.rawValue, forKey: .attention)
        try fields.encodeIfPresent(observer?.rawValue, forKey: .observer)
    }

    /// Reads a YAML or JSON file, a list:
    ///
    ///     - match: vision.0.*
    ///       weights: 8
    ///       activations: 8
    ///     - {match: text.*.qkv, attention: 4, observer: minmax}
    package static func list(contentsOf url: URL) throws(QuantizationError) -> [PlanOverride] {
        let text: String
        do {
            text = try String(contentsOf: url, encoding: .utf8)
        } catch {
            throw .overridesFile(file: url.path, reason: "can't be read: \(error.localizedDescription)")
        }
        do {
            return try YAMLDecoder().decode([PlanOverride].self, from: text)
        } catch let error as DecodingError {
            throw .overridesFile(
                file: url.path, reason: "\(error.reason); it must be a list of exceptions, as - {match: vision.0.*, weights: 8}")
        } catch {
            throw .overridesFile(file: url.path, reason: "is neither YAML nor JSON: \(error)")
        }
    }
}
