/// The right to answer a job once: partition, epoch, counter, the job, and a tag that only the partition's owners can make.
///
/// Leases are not journalled: after a restart the jobs run again. The tag lets a later owner believe an answer that was leased by an
/// earlier one, and only if it comes from the holder it was leased to.
package struct LeaseID: Hashable, Sendable {
    package let partition: PartitionID
    package let epoch: Epoch
    package let counter: UInt64
    package let job: JobNumber
    package let tag: UInt64

    package init(partition: PartitionID, epoch: Epoch, counter: UInt64, job: JobNumber, tag: UInt64) {
        self.partition = partition
        self.epoch = epoch
        self.counter = counter
        self.job = job
        self.tag = tag
    }

    /// Length of `bytes`.
    package static let byteCount = 30

    /// As it travels in envelopes: the fields in the order of `init`, little-endian.
    package var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(Self.byteCount)
        func put(_ value: UInt64, _ count: Int) {
            for index in 0..<count { result.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
        }
        put(UInt64(partition.rawValue), 2)
        put(UInt64(epoch.rawValue), 4)
        put(counter, 8)
        put(job.rawValue, 8)
        put(tag, 8)
        return result
    }

    /// Nil unless there are exactly 30 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self = bytes.withUnsafeBytes { buffer in
            func take<Word: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: Word.Type) -> Word {
                Word(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: type))
            }
            return LeaseID(
                partition: PartitionID(take(0, as: UInt16.self)), epoch: Epoch(take(2, as: UInt32.self)), counter: take(6, as: UInt64.self),
                job: JobNumber(take(14, as: UInt64.self)), tag: take(22, as: UInt64.self))
        }
    }
}

/// The secret that lease tags are made with; made once for each journal and kept in it.
package struct LeaseSecret: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64
    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// The tag of a lease, bound to who holds it (`holder` is a hash of the worker's authenticated identity).
    func tag(partition: PartitionID, epoch: Epoch, counter: UInt64, job: JobNumber, holder: UInt64) -> UInt64 {
        var state = SipHash(key: self)
        state.mix(UInt64(partition.rawValue) << 32 | UInt64(epoch.rawValue))
        state.mix(counter)
        state.mix(job.rawValue)
        state.mix(holder)
        return state.finish()
    }

    /// A hash of a name that is the same in every process that has the secret.
    func hash(_ name: String) -> UInt64 {
        var state = SipHash(key: self)
        var word: UInt64 = 0
        var count = 0
        for byte in name.utf8 {
            word = word << 8 | UInt64(byte)
            count += 1
            if count % 8 == 0 { state.mix(word) }
        }
        state.mix(word)
        state.mix(UInt64(count))
        return state.finish()
    }
}
