internal import DequeModule

/// What was written lately, so that it need not be read again: by number, bounded in bytes, the oldest go first.
///
/// Numbers ascend, nearly without gaps, so a value's place follows from its number.
package struct ContentCache<Value: Sendable>: Sendable {
    private struct Entry {
        var value: Value?
        let bytes: Int
    }

    private var entries = Deque<Entry>()
    /// The first entry's number.
    private var first: UInt64 = 0
    private var bytes = 0
    let limit: Int

    /// What is jumped over costs an entry each; beyond this many, what lies before them is dropped instead.
    private static var longestGap: UInt64 { 4096 }

    /// - Parameter limit: bytes that it holds.
    package init(limit: Int) { self.limit = limit }

    private func place(_ number: UInt64) -> Int? {
        number >= first && number - first < UInt64(entries.count) ? Int(number - first) : nil
    }

    /// What was written under a number, if it is still here.
    package subscript(number: UInt64) -> Value? { place(number).flatMap { entries[$0].value } }

    /// Leaves out what takes more than a quarter of all room.
    ///
    /// - Precondition: none of a larger number was inserted before.
    package mutating func insert(_ value: Value, _ number: UInt64, bytes size: Int) {
        guard size <= limit / 4, place(number) == nil else { return }
        let end = first + UInt64(entries.count)
        if entries.isEmpty || number < end || number - end > Self.longestGap {
            entries.removeAll(keepingCapacity: true)
            (first, bytes) = (number, 0)
        } else {
            for _ in end..<number { entries.append(Entry(value: nil, bytes: 0)) }
        }
        entries.append(Entry(value: value, bytes: size))
        bytes += size
        while bytes > limit, let oldest = entries.popFirst() {
            first += 1
            bytes -= oldest.bytes
        }
    }

    /// Its bytes count until its turn to go has come.
    package mutating func remove(_ number: UInt64) {
        if let place = place(number) { entries[place].value = nil }
    }
}
