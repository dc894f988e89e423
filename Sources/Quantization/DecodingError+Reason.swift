internal import Yams

extension DecodingError {
    /// Where something is wrong, and what.
    var reason: String {
        switch self {
        case .keyNotFound(let key, let context): return "\(Self.place(context))there is no \(key.stringValue)"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            if let cause = context.underlyingError as? YamlError { return "\(cause)" }
            return Self.place(context) + context.debugDescription
        @unknown default: return "\(self)"
        }
    }

    private static func place(_ context: Context) -> String {
        context.codingPath.isEmpty ? "" : "at \(context.codingPath.map(\.stringValue).joined(separator: ".")): "
    }
}
