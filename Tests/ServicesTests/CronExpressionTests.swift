import Foundation
import Services
import Testing

@Suite struct CronExpressionTests {
    private func date(_ text: String) throws -> Date { try #require(ISO8601DateFormatter().date(from: text)) }

    private func matches(_ text: String, after start: String, through end: String) throws -> Bool {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
        return try #require(CronExpression(text)).matches(after: date(start), through: date(end), calendar: calendar)
    }

    @Test func `a time is met once it has come, and not again in the same minute`() throws {
        #expect(try !matches("0 3 * * *", after: "2026-11-24T02:00:00Z", through: "2026-11-24T02:59:59Z"))
        #expect(try matches("0 3 * * *", after: "2026-11-24T02:00:00Z", through: "2026-11-24T03:00:00Z"))
        #expect(try !matches("0 3 * * *", after: "2026-11-24T03:00:10Z", through: "2026-11-24T23:00:00Z"))
        #expect(try matches("*/15 8-17 * * 1-5", after: "2026-11-24T08:01:00Z", through: "2026-11-24T08:15:00Z"))
        #expect(try !matches("*/15 8-17 * * 1-5", after: "2026-11-28T08:01:00Z", through: "2026-11-28T20:00:00Z"))
        // Both days given: one is enough. The 29th is a Sunday.
        #expect(try matches("0 0 1 * 7", after: "2026-11-28T12:00:00Z", through: "2026-11-29T00:00:00Z"))
    }

    @Test(arguments: ["", "* * * *", "60 * * * *", "* * * * 8", "a * * * *", "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *"])
    func `what is no such expression is refused`(_ text: String) { #expect(CronExpression(text) == nil) }
}
