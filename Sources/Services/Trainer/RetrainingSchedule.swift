package import Foundation

/// When a trainer retrains without being told to.
package struct RetrainingSchedule: Sendable {
    /// After so many examples were learned or corrected; nil: never.
    package var afterExamples: Int?
    /// So long after the last run; nil: never.
    package var interval: Duration?
    package var cron: CronExpression?

    package init(afterExamples: Int? = nil, interval: Duration? = nil, cron: CronExpression? = nil) {
        self.afterExamples = afterExamples
        self.interval = interval
        self.cron = cron
    }

    /// Whether it is time.
    ///
    /// - Parameters:
    ///   - newExamples: since the last run began; without any nothing is due.
    ///   - last: when the last run ended, or when the trainer started.
    func isDue(newExamples: Int, last: Date, now: Date) -> Bool {
        guard newExamples > 0 else { return false }
        if let afterExamples, newExamples >= afterExamples { return true }
        if let interval, now.timeIntervalSince(last) >= interval / .seconds(1) { return true }
        return cron.map { $0.matches(after: last, through: now) } ?? false
    }
}

/// Five fields, as cron(5) has them: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday); `*`, numbers, ranges, steps and
/// lists. If both days are given, one of them is enough. Local time.
package struct CronExpression: Sendable, Equatable {
    package let text: String
    private let fields: [Set<Int>]
    private let restrictsDay: Bool
    private let restrictsWeekday: Bool

    private static let ranges = [0...59, 0...23, 1...31, 1...12, 0...7]

    /// Nil unless `text` is such an expression.
    package init?(_ text: String) {
        let parts = text.split(separator: " ").map(String.init)
        guard parts.count == Self.ranges.count else { return nil }
        var fields: [Set<Int>] = []
        for (part, range) in zip(parts, Self.ranges) {
            guard let values = Self.values(part, range) else { return nil }
            fields.append(values)
        }
        if fields[4].contains(7) { fields[4].insert(0) }
        self.text = text
        self.fields = fields
        restrictsDay = parts[2] != "*"
        restrictsWeekday = parts[4] != "*"
    }

    private static func values(_ text: String, _ range: ClosedRange<Int>) -> Set<Int>? {
        var values: Set<Int> = []
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = item.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            let ends = halves[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int($0) }
            let step = halves.count == 2 ? Int(halves[1]) : 1
            guard let step, step > 0 else { return nil }
            let found: ClosedRange<Int>
            if halves[0] == "*" {
                found = range
            } else if let low = ends[0], let high = ends.count == 2 ? ends[1] : halves.count == 2 ? range.upperBound : low, low <= high {
                found = low...high
            } else {
                return nil
            }
            guard range.contains(found.lowerBound), range.contains(found.upperBound) else { return nil }
            values.formUnion(stride(from: found.lowerBound, through: found.upperBound, by: step))
        }
        return values
    }

    /// Whether one of the minutes that begin after `start`, up to `end`, is meant; at most the last day is looked at.
    package func matches(after start: Date, through end: Date, calendar: Calendar = .current) -> Bool {
        let last = Int(end.timeIntervalSince1970 / 60)
        let first = max(Int(start.timeIntervalSince1970 / 60) + 1, last - 24 * 60)
        guard first <= last else { return false }
        return (first...last).contains { matches(Date(timeIntervalSince1970: Double($0) * 60), calendar) }
    }

    private func matches(_ minute: Date, _ calendar: Calendar) -> Bool {
        let parts = calendar.dateComponents([.minute, .hour, .day, .month, .weekday], from: minute)
        guard let minute = parts.minute, let hour = parts.hour, let day = parts.day, let month = parts.month, let weekday = parts.weekday,
            fields[0].contains(minute), fields[1].contains(hour), fields[3].contains(month)
        else { return false }
        let (isDay, isWeekday) = (fields[2].contains(day), fields[4].contains(weekday - 1))
        return restrictsDay && restrictsWeekday ? isDay || isWeekday : isDay && isWeekday
    }
}
