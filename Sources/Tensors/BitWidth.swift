/// The widths that codes come in.
package enum BitWidth: Int, CaseIterable, Sendable {
    case two = 2
    case three = 3
    case four = 4
    case eight = 8

    /// Weights: `-2^(bits-1) ... 2^(bits-1) - 1`.
    package var signedRange: ClosedRange<Int> { -(1 << (rawValue - 1))...(1 << (rawValue - 1)) - 1 }

    /// Activations: `0 ... 2^bits - 1`.
    package var unsignedRange: ClosedRange<Int> { 0...(1 << rawValue) - 1 }
}
