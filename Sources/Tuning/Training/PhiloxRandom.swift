internal import Foundation

/// Random numbers by counting: number `i` of a stream depends on seed, stream and `i` alone, so a resumed run, and any number of threads, sees
/// the same ones.
///
/// Philox 4x32-10. Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011).
package struct PhiloxRandom: Sendable {
    private let key: (UInt32, UInt32)
    private let stream: UInt64

    package init(seed: UInt64) {
        self.init(key: (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)), stream: 0)
    }

    private init(key: (UInt32, UInt32), stream: UInt64) {
        self.key = key
        self.stream = stream
    }

    /// Stream `index` of this one: streams of different indices share no numbers, as long as indices stay below 65,536 and nest four deep.
    package func stream(_ index: Int) -> PhiloxRandom { PhiloxRandom(key: key, stream: stream << 16 | UInt64(index + 1)) }

    /// Four numbers of 32 bits.
    package func block(_ counter: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
        func halves(_ x: UInt64) -> (UInt32, UInt32) { (UInt32(truncatingIfNeeded: x), UInt32(truncatingIfNeeded: x >> 32)) }
        let (low, high) = (halves(counter), halves(stream))
        return Self.philox((low.0, low.1, high.0, high.1), key: key)
    }

    /// The generator's function.
    package static func philox(
        _ counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)
    ) -> (UInt32, UInt32, UInt32, UInt32) {
        var (x, key) = (counter, key)
        for _ in 0..<10 {
            let first = x.0.multipliedFullWidth(by: 0xD251_1F53)
            let second = x.2.multipliedFullWidth(by: 0xCD9E_8D57)
            x = (second.high ^ x.1 ^ key.0, second.low, first.high ^ x.3 ^ key.1, first.low)
            key = (key.0 &+ 0x9E37_79B9, key.1 &+ 0xBB67_AE85)
        }
        return x
    }

    /// Number `index`, evenly in 0 ..< 1.
    package func uniform(_ index: Int) -> Double {
        let block = block(UInt64(index))
        return Double(UInt64(block.0) << 21 ^ UInt64(block.1) >> 11) * 0x1p-53
    }

    /// `count` numbers evenly in `-bound ..< bound`.
    package func uniforms(_ count: Int, _ bound: Float) -> [Float] {
        (0..<count).map { Float((uniform($0) * 2 - 1) * Double(bound)) }
    }

    /// `count` numbers of N(0, deviation^2), by Box and Muller.
    package func normals(_ count: Int, deviation: Float) -> [Float] {
        (0..<count).map { index in
            let block = block(UInt64(index))
            let radius = (-2 * log((Double(block.0) + 1) * 0x1p-32)).squareRoot()
            return deviation * Float(radius * cos(2 * Double.pi * Double(block.1) * 0x1p-32))
        }
    }

    /// 0 ..< count in an order in which every one is as likely as any other.
    package func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for index in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(index, min(Int(uniform(index) * Double(index + 1)), index))
        }
        return order
    }
}
