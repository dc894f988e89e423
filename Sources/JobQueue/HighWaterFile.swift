internal import Foundation

/// A small file beside the database that says how far the journal had got: SQLite does not notice a lost or damaged write-ahead log, it
/// takes what is before it for everything.
struct HighWaterFile: Hashable, Sendable {
    var epoch: UInt32 = 0
    var commits: UInt64 = 0
    var lastJob: UInt64 = 0
    var lastSequence: UInt64 = 0

    /// `p4q-highwater 1 EPOCH COMMITS LASTJOB LASTSEQUENCE CHECK`, one line.
    var bytes: [UInt8] {
        let text = "p4q-highwater 1 \(epoch) \(commits) \(lastJob) \(lastSequence)"
        return Array("\(text) \(String(Self.check(text), radix: 16))\n".utf8)
    }

    init() {}

    /// Nil if the bytes are no such line, or a damaged one.
    init?(bytes: [UInt8]) {
        guard bytes.count < 256, let line = String(validating: bytes, as: UTF8.self), line.hasSuffix("\n") else { return nil }
        let fields = line.dropLast().split(separator: " ", omittingEmptySubsequences: false)
        guard fields.count == 7, fields[0] == "p4q-highwater", fields[1] == "1", let epoch = UInt32(fields[2]),
            let commits = UInt64(fields[3]), let lastJob = UInt64(fields[4]), let lastSequence = UInt64(fields[5]),
            UInt64(fields[6], radix: 16) == Self.check(fields.dropLast().joined(separator: " "))
        else { return nil }
        (self.epoch, self.commits, self.lastJob, self.lastSequence) = (epoch, commits, lastJob, lastSequence)
    }

    private static func check(_ text: String) -> UInt64 {
        var state = SipHash()
        state.mix(Array(text.utf8))
        return state.finish()
    }
}
