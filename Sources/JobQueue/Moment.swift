/// A reading of the continuous clock in milliseconds from any fixed start; everything that expires is measured on it.
package struct Uptime: Hashable, Sendable, Comparable {
    package let milliseconds: Int64
    package init(milliseconds: Int64) { self.milliseconds = milliseconds }
    package static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }
    package static let never = Uptime(milliseconds: .max)

    package static func + (a: Self, b: Duration) -> Self { Uptime(milliseconds: a.milliseconds.addingSaturating(b.milliseconds)) }
    package static func - (a: Self, b: Self) -> Duration { .milliseconds(a.milliseconds.subtractingSaturating(b.milliseconds)) }
}

/// Milliseconds since 1970-01-01 UTC by the wall clock: for records and for people, never for timers.
package struct WallTime: Hashable, Sendable, Comparable {
    package let milliseconds: Int64
    package init(milliseconds: Int64) { self.milliseconds = milliseconds }
    package static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }
    package static func + (a: Self, b: Duration) -> Self { WallTime(milliseconds: a.milliseconds.addingSaturating(b.milliseconds)) }
}

/// Now, on both clocks.
package struct Moment: Hashable, Sendable {
    package let uptime: Uptime
    package let wall: WallTime

    package init(uptime: Uptime, wall: WallTime) { (self.uptime, self.wall) = (uptime, wall) }

    /// Where `wall` lies on the continuous clock, if the wall clock is right now.
    func uptime(of moment: WallTime) -> Uptime {
        uptime + .milliseconds(moment.milliseconds.subtractingSaturating(wall.milliseconds))
    }

    /// Where `moment` lies on the wall clock, if the wall clock is right now.
    func wall(of moment: Uptime) -> WallTime {
        WallTime(milliseconds: wall.milliseconds.addingSaturating(moment.milliseconds.subtractingSaturating(uptime.milliseconds)))
    }
}

extension Duration {
    /// Whole milliseconds, towards zero; at most a thousand years.
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return min(max(seconds, -31_536_000_000), 31_536_000_000) * 1000 + attoseconds / 1_000_000_000_000_000
    }
}

extension Int64 {
    func addingSaturating(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }

    func subtractingSaturating(_ other: Int64) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? (other < 0 ? .max : .min) : difference
    }
}
