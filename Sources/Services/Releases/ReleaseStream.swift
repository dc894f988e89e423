package import Messages

/// Where a follower is in the stream of changes: pure. Source: the Clone pattern, ZeroMQ RFC 12.
package struct ReleaseStream {
    package enum Verdict: Equatable {
        case apply(ReleaseState)
        case nothing
        /// Something was missed: ask for the snapshot.
        case snapshot
    }

    /// Of the last change that was applied; nil before the first snapshot.
    package private(set) var sequence: UInt64?

    package init() {}

    package mutating func event(_ event: ReleaseEvent) -> Verdict {
        guard let sequence else { return .snapshot }
        guard let change = event.change else {
            // A beacon that is behind is one of a journal that lost changes.
            return event.sequence == sequence ? .nothing : .snapshot
        }
        // What was sent before the snapshot was taken comes after it.
        if event.sequence <= sequence { return .nothing }
        guard event.sequence == sequence + 1 else { return .snapshot }
        self.sequence = event.sequence
        return .apply(change)
    }

    package mutating func snapshot(_ sequence: UInt64) { self.sequence = sequence }
}
