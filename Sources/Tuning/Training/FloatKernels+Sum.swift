internal import Tensors

extension FloatKernels {
    /// Sums arrays of one length in order, into the beginning of `sum`: the same bits on any number of threads.
    func sum(_ parts: [[Float]], to sum: inout [Float], pool: ThreadPool) {
        guard let count = parts.first?.count else { return }
        precondition(parts.allSatisfy { $0.count == count } && sum.count >= count, "arrays of other lengths than \(count)")
        sum.withUnsafeMutableBufferPointer { sum in
            // Safe: each range is one call's.
            nonisolated(unsafe) let sum = sum
            pool.forEachRange(count, multiple: 16) { range in
                guard let target = sum.baseAddress.map({ $0 + range.lowerBound }) else { return }
                target.update(repeating: 0, count: range.count)
                for part in parts {
                    part.withUnsafeBufferPointer { part in
                        guard let part = part.baseAddress else { return }
                        addBias(target, stride: range.count, bias: part + range.lowerBound, rows: 1, width: range.count)
                    }
                }
            }
        }
    }
}
