/// A JSON document from outside: strict grammar, no repeated keys, bounded depth and number of values.
enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// What a document may cost. A file is as large as its author likes; a tree of its values is several times larger.
    struct Limits: Sendable {
        let depth: Int
        let values: Int

        /// Configurations and indices: a few hundred values in truth.
        static let configuration = Limits(depth: 32, values: 100_000)
        /// A header of tensors takes 8 values each; the largest CLIPs have under 2,000 tensors.
        static let header = Limits(depth: 8, values: 400_000)
        /// Vocabularies: 49,408 tokens and 48,894 merges, as pairs in newer files.
        static let vocabulary = Limits(depth: 32, values: 1_000_000)
    }

    /// Why a document was refused, and at which byte.
    struct Fault: Error, Equatable {
        let offset: Int
        let reason: String
    }

    static func parse(_ bytes: UnsafeRawBufferPointer, limits: Limits) throws(Fault) -> JSONValue {
        var parser = JSONParser(bytes: bytes, limits: limits)
        return try parser.document()
    }

    var object: [String: JSONValue]? { if case .object(let members) = self { members } else { nil } }
    var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    var string: String? { if case .string(let text) = self { text } else { nil } }
    var integer: Int? { if case .integer(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// An integer or a fraction.
    var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}
