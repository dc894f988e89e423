/// Says of most keys that a day's tombstones don't have them, without looking at the disk: what it denies is not there, one key in some
/// hundred that it doesn't deny isn't either.
///
/// Two bytes a key, in segments that are made as they are needed. Source: Putze, Sanders, Singler, Cache-, hash- and space-efficient Bloom
/// filters (2009), section 3: all bits of a key lie in one cache line.
package struct TombstoneFilter: Sendable {
    private static let bitsPerKey = 16
    private static let lineBits = 512
    private static let probes = 6
    private static let firstCapacity = 1 << 16
    private static let largestCapacity = 1 << 20

    private struct Segment: Sendable {
        var words: [UInt64]
        var room: Int

        init(capacity: Int) {
            words = [UInt64](repeating: 0, count: capacity * TombstoneFilter.bitsPerKey / 64)
            room = capacity
        }

        /// The first word of a key's line. Keys are bits of a hash already.
        private func line(_ key: JobKey) -> Int {
            let lines = UInt64(words.count * 64 / TombstoneFilter.lineBits)
            return Int(key.high.multipliedFullWidth(by: lines).high) * (TombstoneFilter.lineBits / 64)
        }

        mutating func insert(_ key: JobKey) {
            room -= 1
            let line = line(key)
            words.withUnsafeMutableBufferPointer { words in
                TombstoneFilter.forEachBit(key) { words[line + $0] |= $1 }
            }
        }

        func mayContain(_ key: JobKey) -> Bool {
            let line = line(key)
            return words.withUnsafeBufferPointer { words in
                var all = true
                TombstoneFilter.forEachBit(key) { all = all && words[line + $0] & $1 != 0 }
                return all
            }
        }
    }

    private var segments: [Segment] = []
    /// It has every key of its day; until then it denies nothing.
    package var isComplete: Bool

    /// - Parameter isComplete: there are no keys yet that have to come in.
    package init(isComplete: Bool) { self.isComplete = isComplete }

    /// A key that is in already takes room again.
    package mutating func insert(_ key: JobKey) {
        if segments.last?.room ?? 0 == 0 {
            segments.append(Segment(capacity: min(Self.firstCapacity << min(segments.count, 8), Self.largestCapacity)))
        }
        segments[segments.count - 1].insert(key)
    }

    /// False: the day's tombstones don't have the key.
    package func mayContain(_ key: JobKey) -> Bool { !isComplete || segments.contains { $0.mayContain(key) } }

    /// The key's bits in its line: the word, and the bit in it.
    private static func forEachBit(_ key: JobKey, _ body: (_ word: Int, _ bit: UInt64) -> Void) {
        var bits = key.low
        for _ in 0..<probes {
            body(Int(bits >> 6 & 7), 1 << (bits & 63))
            bits >>= 9
        }
    }
}
