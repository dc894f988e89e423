/// Which of a data set's images are calibrated on, and in which order: the first of a permutation that a seed decides.
///
/// It is `torch.randperm(n, generator=torch.Generator().manual_seed(seed))`, so that a model calibrated in PyTorch can be compared image by image.
package enum CalibrationDraw {
    /// The first `samples` places of the permutation of `0..<count`, or all of them.
    ///
    /// - Parameter seed: its low 32 bits count.
    package static func places(count: Int, samples: Int, seed: UInt64) -> [Int] {
        var generator = MersenneTwister(seed: UInt32(truncatingIfNeeded: seed))
        var order = Array(0..<count)
        for place in 0..<min(samples, max(count - 1, 0)) {
            order.swapAt(place, place + Int(generator.next()) % (count - place))
        }
        return Array(order.prefix(samples))
    }
}

/// MT19937. Source: Matsumoto and Nishimura, Mersenne Twister (1998), with the initialisation of 2002.
package struct MersenneTwister {
    private static let length = 624
    private static let middle = 397
    private var state: [UInt32]
    private var place = length

    package init(seed: UInt32) {
        state = [seed]
        for index in 1..<Self.length {
            let last = state[index - 1]
            state.append(1_812_433_253 &* (last ^ (last >> 30)) &+ UInt32(index))
        }
    }

    /// 32 bits.
    package mutating func next() -> UInt32 {
        if place == Self.length { twist() }
        var y = state[place]
        place += 1
        y ^= y >> 11
        y ^= (y << 7) & 0x9D2C_5680
        y ^= (y << 15) & 0xEFC6_0000
        return y ^ (y >> 18)
    }

    private mutating func twist() {
        for index in 0..<Self.length {
            let y = (state[index] & 0x8000_0000) | (state[(index + 1) % Self.length] & 0x7FFF_FFFF)
            state[index] = state[(index + Self.middle) % Self.length] ^ (y >> 1) ^ (y & 1 == 0 ? 0 : 0x9908_B0DF)
        }
        place = 0
    }
}
