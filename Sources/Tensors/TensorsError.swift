/// What can go wrong with memory and files of numbers.
package enum TensorsError: Error, Equatable, CustomStringConvertible {
    /// The operating system would not open or map the file.
    case fileUnreadable(path: String, reason: String)
    /// The path names a folder, a device or a pipe.
    case notAFile(path: String)
    /// No packed matrix can have these extents.
    case packedShape(outputs: Int, inputs: Int, bits: Int)
    /// The codes or bytes given for a packed matrix are not as many as its shape needs.
    case packedLength(outputs: Int, inputs: Int, bits: Int, expected: Int, found: Int)
    /// A code does not fit the width.
    case codeOutOfRange(code: Int, output: Int, input: Int, bits: Int)

    /// Stable, for programs.
    package var code: String {
        switch self {
        case .fileUnreadable: "file.unreadable"
        case .notAFile: "file.not_a_file"
        case .packedShape: "packed.shape"
        case .packedLength: "packed.length"
        case .codeOutOfRange: "packed.code_out_of_range"
        }
    }

    package var description: String {
        switch self {
        case .fileUnreadable(let path, let reason): "\(path) can't be read: \(reason)"
        case .notAFile(let path): "\(path) is not a file; give the path of a regular file"
        case .packedShape(let outputs, let inputs, let bits):
            "\(bits)-bit weights [\(outputs), \(inputs)] can't be packed: extents are not negative and inputs at most 65,536"
        case .packedLength(let outputs, let inputs, let bits, let expected, let found):
            "\(bits)-bit weights [\(outputs), \(inputs)] take \(expected) codes or bytes, \(found) were given; the file is damaged or of another shape"
        case .codeOutOfRange(let code, let output, let input, let bits):
            "the weight code \(code) of output \(output), input \(input) does not fit \(bits) signed bits; quantize again at this width"
        }
    }
}
