internal import Crypto
internal import Foundation

/// One independent part of the queue. Its owner holds its current epoch; today there is one, number 0.
package struct PartitionID: Hashable, Sendable, Comparable {
    package let rawValue: UInt16
    package init(_ rawValue: UInt16 = 0) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// How often a partition has changed its owner. Grows by one at every start; a write under an older one is refused.
package struct Epoch: Hashable, Sendable, Comparable {
    package let rawValue: UInt32
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A job's number in its partition, in the order of acceptance, from 1. Never used again.
package struct JobNumber: Hashable, Sendable, Comparable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// An outcome's number in its partition, from 1, without gaps, in the order in which the outcomes were journalled.
package struct Sequence: Hashable, Sendable, Comparable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// How often an exclusive group has changed its active member, from 1.
package struct Generation: Hashable, Sendable, Comparable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One connection of a worker or a sink, from its READY to its end. The dispatcher chooses the numbers and never uses one again.
package struct SessionID: Hashable, Sendable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A request that is answered later. The dispatcher chooses the numbers.
package struct RequestID: Hashable, Sendable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What makes a job the same job: 128 bits of SHA-256 over producer, service and job id, each with its length before it.
package struct JobKey: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// One half of a hash is one already.
    package func hash(into hasher: inout Hasher) { hasher.combine(high) }

    package init(producer: String, service: String, id: String) {
        var hasher = SHA256()
        for part in [producer, service, id] {
            var part = part
            part.withUTF8 { text in
                withUnsafeBytes(of: UInt32(truncatingIfNeeded: text.count).littleEndian) { hasher.update(bufferPointer: $0) }
                hasher.update(bufferPointer: UnsafeRawBufferPointer(text))
            }
        }
        (high, low) = hasher.finalize().withUnsafeBytes {
            ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
    }
}

/// Tells a resent job from another one under the same id: 128 bits of a SHA-256 over everything that defines the work (payload, class
/// set, labels, options, kind).
package struct JobDigest: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// Of the first 16 of `sha256`'s bytes, which must be 32.
    package init(sha256: [UInt8]) {
        precondition(sha256.count == 32, "a SHA-256 has 32 bytes, not \(sha256.count)")
        (high, low) = sha256.withUnsafeBytes { ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)) }
    }

    /// Of the SHA-256 over `parts`, which already have their lengths before them, and `last` with its length before it.
    package init(hashing parts: [UInt8], last: [UInt8]) {
        var hasher = SHA256()
        parts.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        withUnsafeBytes(of: UInt64(last.count).littleEndian) { hasher.update(bufferPointer: $0) }
        last.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        (high, low) = hasher.finalize().withUnsafeBytes {
            ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
    }

    /// Of the SHA-256 over `parts`, each with its length before it.
    package init(hashing parts: [[UInt8]]) {
        var hasher = SHA256()
        for part in parts {
            withUnsafeBytes(of: UInt64(part.count).littleEndian) { hasher.update(bufferPointer: $0) }
            part.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        }
        (high, low) = hasher.finalize().withUnsafeBytes {
            ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
    }
}
