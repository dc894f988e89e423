/// Why a picture, or a description of how to prepare pictures, could not be used. None of them can be cured by trying again.
package enum ImagingError: Error, Equatable, Sendable {
    case empty
    case unsupported(String)
    case tooLarge(String)
    case truncated(ImageFormat, String)
    case corrupt(ImageFormat, String)
    case configuration(key: String, String)

    /// A stable name for programs.
    package var code: String {
        switch self {
        case .empty: "decode.empty"
        case .unsupported: "decode.unsupported"
        case .tooLarge: "decode.too_large"
        case .truncated: "decode.truncated"
        case .corrupt: "decode.corrupt"
        case .configuration: "preprocessor.invalid"
        }
    }

    /// Whether the same bytes could succeed later.
    package var isRetryable: Bool { false }

    /// What a person reads: what failed, why, and what to do.
    package var message: String {
        switch self {
        case .empty: "the image has no bytes; send the whole file"
        case .unsupported(let why): "the image is of a kind that is not decoded: \(why); convert it to PNG or JPEG"
        case .tooLarge(let why): "the image is larger than allowed: \(why); scale it down, or raise the limit"
        case .truncated(let format, let why): "the \(format.rawValue) image is cut short: \(why); send the whole file"
        case .corrupt(let format, let why): "the \(format.rawValue) image is damaged: \(why); write the file anew"
        case .configuration(let key, let why): "preprocessor_config.json, \(key): \(why)"
        }
    }

    /// `message` with the name of the image it is about.
    package func message(for item: String) -> String { "\(item): \(message)" }
}

extension ImagingError: CustomStringConvertible {
    package var description: String { "\(code): \(message)" }
}
