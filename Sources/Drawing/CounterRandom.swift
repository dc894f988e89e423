/// A counter-based generator: number `n` of stream (seed, index, purpose) is a hash of these four and of nothing else, so any picture can be
/// drawn without the ones before it, on any thread, with the same result everywhere.
///
/// The hash is SplitMix64's output function, applied to a counter in steps of the golden ratio.
package struct CounterRandom: RandomNumberGenerator, Sendable {
    /// What the numbers are for; each purpose has a stream of its own, so that drawing more of one changes no other.
    package enum Purpose: UInt64, Sendable {
        case scene = 1, caption, shape, background, clutter, texture, degradation, training, order
    }

    private var state: UInt64

    package init(seed: UInt64, index: UInt64, purpose: Purpose) {
        state = Self.mix(Self.mix(Self.mix(seed &+ 0x9E37_79B9_7F4A_7C15) ^ index) ^ purpose.rawValue &* 0xD1B5_4A32_D192_ED03)
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// In `range`, uniform, of 53 random bits.
    package mutating func uniform(_ range: ClosedRange<Double> = 0...1) -> Double {
        range.lowerBound + (range.upperBound - range.lowerBound) * Double(next() >> 11) * 0x1p-53
    }

    /// From 0 to below `count`.
    package mutating func below(_ count: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(count)).high) }

    /// Whether something of this probability happens.
    package mutating func chance(_ probability: Double) -> Bool { uniform() < probability }

    /// Nearly normal, mean 0, deviation 1: the sum of four uniforms, which needs no logarithm and is the same everywhere.
    package mutating func normal() -> Double {
        let bits = next()
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + bits >> 48
        return (Double(sum) - 131_070) * (1 / 37_837.22)
    }

    /// One of `choices`. Precondition: there is one.
    package mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

    static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
