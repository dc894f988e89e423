/// A doubly linked list through the slots of a table: first in, first out, and anything out at once.
struct SlotList: Sendable {
    private(set) var head: UInt32 = .none
    private(set) var tail: UInt32 = .none
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ slot: UInt32, _ jobs: inout JobTable) {
        jobs[slot].previous = tail
        jobs[slot].next = .none
        if tail == .none { head = slot } else { jobs[tail].next = slot }
        tail = slot
        count += 1
    }

    mutating func prepend(_ slot: UInt32, _ jobs: inout JobTable) {
        jobs[slot].next = head
        jobs[slot].previous = .none
        if head == .none { tail = slot } else { jobs[head].previous = slot }
        head = slot
        count += 1
    }

    mutating func remove(_ slot: UInt32, _ jobs: inout JobTable) {
        let (previous, next) = (jobs[slot].previous, jobs[slot].next)
        if previous == .none { head = next } else { jobs[previous].next = next }
        if next == .none { tail = previous } else { jobs[next].previous = previous }
        jobs[slot].next = .none
        jobs[slot].previous = .none
        count -= 1
    }
}

/// The jobs of one producer in one service and priority.
struct Flow: Sendable {
    let service: UInt32
    let producer: UInt32
    let priority: UInt8
    /// Its jobs without an outcome, and their bytes.
    var jobs = 0
    var bytes = 0
    var ready = SlotList()
    /// It is in its service's list of flows.
    var isListed = false
    /// Jobs it may still give before it is another flow's turn.
    var turns = 0
}

/// One worker's reading of time: moments at which jobs must be looked at.
struct JobTimer: Comparable, Sendable {
    let time: Int64
    let slot: UInt32
    /// The low half of the job's number: tells that the slot has a new job.
    let stamp: UInt32

    static func < (a: Self, b: Self) -> Bool { a.time < b.time }
}

/// A small random source for jitter (SplitMix64); the seed comes from outside.
struct JitterSource: Sendable {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// 0.8 to 1.2.
    mutating func factor() -> Double { 0.8 + 0.4 * Double(next() >> 11) * 0x1p-53 }
}
