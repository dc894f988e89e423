internal import DequeModule

/// What was written lately, so that it need not be read again: by number, bounded in bytes, the oldest go first.
struct ContentCache<Value: Sendable>: Sendable {
    private var values: [UInt64: Value] = [:]
    private var order = Deque<(number: UInt64, bytes: Int)>()
    private var bytes = 0
    let limit: Int

    init(limit: Int) { self.limit = limit }

    subscript(number: UInt64) -> Value? { values[number] }

    mutating func insert(_ value: Value, _ number: UInt64, bytes size: Int) {
        guard size <= limit / 4, values.updateValue(value, forKey: number) == nil else { return }
        order.append((number, size))
        bytes += size
        while bytes > limit, let oldest = order.popFirst() {
            values.removeValue(forKey: oldest.number)
            bytes -= oldest.bytes
        }
    }

    /// Its bytes count until its turn to go has come.
    mutating func remove(_ number: UInt64) { values.removeValue(forKey: number) }
}
