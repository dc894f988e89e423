import JobQueue

/// A small random source (SplitMix64), the same on every machine.
struct SeededSource: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// 0 ..< bound.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(bound, 1))) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// A promise that was broken, in the words of the invariant.
struct Violation: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text }
}

/// What the outside knows of one job: the independent model that the machine is compared with.
struct ModelJob {
    let key: JobKey
    let id: String
    let producer: Int
    let service: String
    let digest: JobDigest
    /// Its producer holds ACCEPTED (or a duplicate's answer).
    var isAccepted = false
    /// A worker was told that its result is stored.
    var isStored = false
    /// Somebody asked to give it up, or it has a deadline.
    var mayDie = false
    /// The most attempts and crashes that what happened can have cost.
    var charges = 0
    var crashes = 0
    /// The job's number and its outcome's, as first seen; they never change.
    var number: UInt64?
    var sequence: UInt64?
    var kind: OutcomeKind?
    /// By group: it was seen there.
    var isInOrdered = false
    var isInShared = false
}

/// A lease as the worker that has it knows it.
struct HeldLease {
    let grant: LeaseGrant
    let identity: String
    let job: Int
    let isAlone: Bool
    var granted: Int64
    var renewed: Int64
    var hasStarted = false
    var progress: UInt64 = 0
}

struct SimulatedWorker {
    let session: SessionID
    let name: String
    let identity: String
    var batches: [[HeldLease]] = []
    var lastHeard: Int64
}

/// A member of a group. What it stores lies in the world: it survives it.
struct SimulatedSink {
    let session: SessionID
    let isOrdered: Bool
    var deliveries: [Delivery] = []
    var lastHeard: Int64
}
