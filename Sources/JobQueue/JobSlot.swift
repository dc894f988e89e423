/// What the machine holds of one job: 104 bytes, and no content.
struct JobSlot: Sendable {
    enum State: UInt8, Sendable {
        case free
        /// In its flow's list, or in its service's list of suspects.
        case ready
        /// For its first moment or its next attempt (`when`).
        case waiting
        case leased
        /// Has its outcome, whose sequence is `when`.
        case finished
    }

    var key: JobKey
    var digest: JobDigest
    var number: UInt64
    /// Milliseconds on the continuous clock; `.max`: none. Age limits are in it.
    var deadline: Int64
    /// Waiting: until then, in milliseconds on the continuous clock. Finished: the outcome's sequence.
    var when: Int64
    /// When it was accepted, in milliseconds on the continuous clock: negative for the time before the process.
    var accepted: Int64
    /// The counter of the current lease; 0: none.
    var lease: UInt64
    /// Neighbours in the list it is in.
    var next: UInt32 = .none
    var previous: UInt32 = .none
    /// Its place among the machine's flows.
    var flow: UInt32
    var bytes: UInt32
    var attempts: UInt8 = 0
    var crashes: UInt8 = 0
    var state: State = .free
    var outcome: UInt8 = 0
    /// It runs alone.
    var isSuspect = false
    /// Somebody wants to know its outcome.
    var isWatched = false
    var priority: UInt8

    var sequence: UInt64 { UInt64(bitPattern: when) }
}

extension UInt32 {
    /// No slot.
    static let none = UInt32.max
}

/// All jobs that the machine knows, found by number and by key. Memory comes in pages, so that growing copies nothing.
struct JobTable: Sendable {
    private static let pageBits: UInt32 = 9
    private static let pageMask: UInt32 = (1 << pageBits) - 1

    private var pages: [[JobSlot]] = []
    private var freeHead: UInt32 = .none
    private var used: UInt32 = 0
    private var byNumber = SlotIndex()
    private var byKey = SlotIndex()
    private(set) var count = 0

    subscript(_ slot: UInt32) -> JobSlot {
        @inline(__always) _read { yield pages[Int(slot >> Self.pageBits)][Int(slot & Self.pageMask)] }
        @inline(__always) _modify { yield &pages[Int(slot >> Self.pageBits)][Int(slot & Self.pageMask)] }
    }

    /// Slots there may be jobs in: 0 ..< this.
    var extent: UInt32 { used }

    mutating func insert(_ job: JobSlot) -> UInt32 {
        let slot: UInt32
        if freeHead != .none {
            slot = freeHead
            freeHead = self[slot].next
            self[slot] = job
        } else {
            slot = used
            used += 1
            if slot & Self.pageMask == 0 {
                var page: [JobSlot] = []
                page.reserveCapacity(1 << Int(Self.pageBits))
                pages.append(page)
            }
            pages[Int(slot >> Self.pageBits)].append(job)
        }
        count += 1
        let pages = pages
        byNumber.insert(slot, hash: Self.hash(job.number)) { Self.hash(Self.job($0, pages).number) }
        byKey.insert(slot, hash: job.key.low) { Self.job($0, pages).key.low }
        return slot
    }

    mutating func remove(_ slot: UInt32) {
        let (number, key) = (self[slot].number, self[slot].key)
        do {
            let pages = pages
            byNumber.remove(slot, hash: Self.hash(number)) { Self.hash(Self.job($0, pages).number) }
            byKey.remove(slot, hash: key.low) { Self.job($0, pages).key.low }
        }
        self[slot].state = .free
        self[slot].next = freeHead
        freeHead = slot
        count -= 1
    }

    func slot(of number: UInt64) -> UInt32? { byNumber.find(Self.hash(number)) { self[$0].number == number } }
    func slot(of key: JobKey) -> UInt32? { byKey.find(key.low) { self[$0].key == key } }

    @inline(__always)
    private static func job(_ slot: UInt32, _ pages: [[JobSlot]]) -> JobSlot { pages[Int(slot >> pageBits)][Int(slot & pageMask)] }

    /// Spreads consecutive numbers (the finaliser of SplitMix64).
    private static func hash(_ number: UInt64) -> UInt64 {
        var value = number
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

/// An open-addressing hash table of slots: 4 bytes an entry, at most three quarters full.
struct SlotIndex: Sendable {
    private var entries: [UInt32] = Array(repeating: .none, count: 16)
    private var count = 0

    func find(_ hash: UInt64, where matches: (UInt32) -> Bool) -> UInt32? {
        let mask = entries.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while entries[place] != .none {
            if matches(entries[place]) { return entries[place] }
            place = (place + 1) & mask
        }
        return nil
    }

    mutating func insert(_ slot: UInt32, hash: UInt64, hashOf: (UInt32) -> UInt64) {
        if (count + 1) * 4 > entries.count * 3 { grow(hashOf) }
        place(slot, hash)
        count += 1
    }

    /// Moves later entries of the run up, so that no marks of deleted ones are needed.
    mutating func remove(_ slot: UInt32, hash: UInt64, hashOf: (UInt32) -> UInt64) {
        let mask = entries.count - 1
        var hole = Int(truncatingIfNeeded: hash) & mask
        while entries[hole] != slot {
            if entries[hole] == .none { return }
            hole = (hole + 1) & mask
        }
        count -= 1
        var next = hole
        while true {
            entries[hole] = .none
            repeat {
                next = (next + 1) & mask
                if entries[next] == .none { return }
                // An entry may fill the hole unless its own place lies cyclically between the hole and it.
            } while isBetween(Int(truncatingIfNeeded: hashOf(entries[next])) & mask, hole, next)
            entries[hole] = entries[next]
            hole = next
        }
    }

    private func isBetween(_ home: Int, _ hole: Int, _ next: Int) -> Bool {
        hole <= next ? (hole < home && home <= next) : (hole < home || home <= next)
    }

    private mutating func place(_ slot: UInt32, _ hash: UInt64) {
        let mask = entries.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while entries[place] != .none { place = (place + 1) & mask }
        entries[place] = slot
    }

    private mutating func grow(_ hashOf: (UInt32) -> UInt64) {
        let old = entries
        entries = Array(repeating: .none, count: old.count * 2)
        for slot in old where slot != .none { place(slot, hashOf(slot)) }
    }
}
