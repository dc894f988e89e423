package import Tensors

/// Bit widths of a plan: weights and activations of linear maps, and what attention's two products take.
package struct BitPlan: Sendable, Equatable, CustomStringConvertible {
    package var weights: BitWidth
    package var activations: BitWidth
    package var attention: BitWidth

    package init(weights: BitWidth, activations: BitWidth, attention: BitWidth) {
        self.weights = weights
        self.activations = activations
        self.attention = attention
    }

    /// Reads "4-4-8"; nil for anything else.
    package init?(_ text: String) {
        let widths = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0).flatMap(BitWidth.init(rawValue:)) }
        guard widths.count == 3, let weights = widths[0], let activations = widths[1], let attention = widths[2] else { return nil }
        self.init(weights: weights, activations: activations, attention: attention)
    }

    package var description: String { "\(weights.rawValue)-\(activations.rawValue)-\(attention.rawValue)" }
}
