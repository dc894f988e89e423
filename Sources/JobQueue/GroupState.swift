internal import DequeModule

/// A group as the machine keeps it.
struct GroupState: Sendable {
    var record: GroupRecord
    /// The record is to be journalled.
    var isChanged = false
    /// In the order in which they came; the first of an exclusive group is the active one.
    var members: [SessionID] = []
    /// The next outcome to look at that was never delivered (exclusive: in this generation).
    var next: UInt64
    /// Exclusive: the last outcome delivered in this generation.
    var lastDelivered: UInt64
    /// Shared: outcomes that were delivered to members that are gone, ascending.
    var again: [UInt64] = []
    /// No delivery before; `.max`: no wait. In milliseconds on the continuous clock.
    var holdUntil = Int64.max
    /// Whose turn it is.
    var turn = 0
    /// By place of a service: the group gets its outcomes.
    private var takesService: [Bool] = []

    init(_ record: GroupRecord) {
        self.record = record
        next = record.cursor.rawValue + 1
        lastDelivered = record.lastRead.rawValue
    }

    var isExclusive: Bool { record.settings.kind == .exclusive }
    var cursor: UInt64 { record.cursor.rawValue }

    func takes(_ service: Int) -> Bool { service < takesService.count ? takesService[service] : true }

    mutating func know(_ services: [ServiceQueue]) {
        while takesService.count < services.count { takesService.append(record.settings.takes(services[takesService.count].text)) }
    }

    /// Everything after the cursor is delivered anew.
    mutating func rewind() {
        next = cursor + 1
        lastDelivered = record.lastRead.rawValue
    }
}
