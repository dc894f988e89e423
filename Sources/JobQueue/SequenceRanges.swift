/// A set of sequence numbers as ascending ranges that don't touch.
package struct SequenceRanges: Hashable, Sendable {
    package private(set) var ranges: [ClosedRange<UInt64>] = []

    package init() {}

    /// Nil unless the ranges ascend and don't touch.
    package init?(_ ranges: [ClosedRange<UInt64>]) {
        for (one, next) in zip(ranges, ranges.dropFirst()) where one.upperBound >= next.lowerBound || one.upperBound + 1 == next.lowerBound
        {
            return nil
        }
        self.ranges = ranges
    }

    package var isEmpty: Bool { ranges.isEmpty }

    package func contains(_ sequence: UInt64) -> Bool {
        let index = firstIndex(endingAtOrAfter: sequence)
        return index < ranges.count && ranges[index].contains(sequence)
    }

    /// False if it was in already.
    @discardableResult
    package mutating func insert(_ sequence: UInt64) -> Bool {
        let index = firstIndex(endingAtOrAfter: sequence)
        if index < ranges.count, ranges[index].contains(sequence) { return false }
        let joinsLeft = index > 0 && ranges[index - 1].upperBound + 1 == sequence
        let joinsRight = index < ranges.count && sequence + 1 == ranges[index].lowerBound
        switch (joinsLeft, joinsRight) {
        case (true, true):
            ranges[index - 1] = ranges[index - 1].lowerBound...ranges[index].upperBound
            ranges.remove(at: index)
        case (true, false): ranges[index - 1] = ranges[index - 1].lowerBound...sequence
        case (false, true): ranges[index] = sequence...ranges[index].upperBound
        case (false, false): ranges.insert(sequence...sequence, at: index)
        }
        return true
    }

    /// Takes out everything up to and including `sequence`.
    package mutating func removeThrough(_ sequence: UInt64) {
        let index = firstIndex(endingAtOrAfter: sequence)
        ranges.removeFirst(index)
        guard let first = ranges.first, first.lowerBound <= sequence else { return }
        if first.upperBound == sequence { ranges.removeFirst() } else { ranges[0] = (sequence + 1)...first.upperBound }
    }

    /// The end of the range that begins at `sequence`, or nil.
    func end(ofRangeFrom sequence: UInt64) -> UInt64? {
        guard let first = ranges.first, first.contains(sequence) else { return nil }
        return first.upperBound
    }

    private func firstIndex(endingAtOrAfter sequence: UInt64) -> Int {
        if let last = ranges.last, last.upperBound < sequence { return ranges.count }
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
