import Messages
import Testing

@Suite struct JobBatchTests {
    @Test func `every field of a job survives the wire`() throws {
        let batch = JobBatch(id: "batch 7", jobs: Samples.jobs)
        let received = try ReceivedJobBatch(envelope: try batch.encode(), payloadSizes: [10, 0, 1, 0])
        #expect(received.id == "batch 7")
        #expect(try received.entries.map { try $0.get() } == Samples.jobs)
    }

    @Test func `when a job has both deadlines, the relative one is followed`() throws {
        let envelope: [UInt8] = [0x12, 13, 0x0A, 1, 0x61, 0xF0, 1, 0x80, 0x80, 0x80, 0x80, 4, 0xF8, 1, 100]
        let job = try ReceivedJobBatch(envelope: envelope, payloadSizes: [0]).entries[0].get()
        #expect(job.deadline == .within(.milliseconds(100)))
    }

    @Test(arguments: [
        (Deadline.within(.seconds(2)), Duration.seconds(2)), (.within(.seconds(-2)), .seconds(-2)),
        (.at(unixMilliseconds: 5_000), .seconds(4)), (.at(unixMilliseconds: 0), .seconds(-1)),
        (.at(unixMilliseconds: .max), .seconds(366 * 86_400)), (.at(unixMilliseconds: .min), .seconds(-366 * 86_400)),
        (.within(.seconds(Int64.max)), .seconds(366 * 86_400)),
    ])
    func `a deadline becomes a moment of the receiver's clock`(deadline: Deadline, distance: Duration) {
        let received = ContinuousClock.now
        #expect(deadline.instant(received: received, unixMilliseconds: 1_000) == received + distance)
    }

    @Test func `a wrong number of payload frames costs every job, and each is still known by its id`() throws {
        let envelope = try JobBatch(jobs: Samples.jobs).encode()
        let received = try ReceivedJobBatch(envelope: envelope, payloadSizes: [1, 0, 1])
        #expect(received.entries.compactMap(\.rejection).map(\.reason) == Array(repeating: .frameCount(jobs: 4, frames: 3), count: 4))
        #expect(received.entries.compactMap(\.rejection).map(\.id) == Samples.jobs.map(\.id))
    }

    @Test func `a reference with payload bytes is refused`() throws {
        let envelope = try JobBatch(jobs: Samples.jobs).encode()
        let received = try ReceivedJobBatch(envelope: envelope, payloadSizes: [1, 3, 1, 1])
        #expect(received.entries[1].rejection?.reason == .unexpectedPayload(item: "job named", bytes: 3))
        #expect(received.entries[1].rejection?.metadata == Samples.jobs[1].metadata)
        #expect(received.entries.filter { $0.rejection == nil }.count == 3)
    }

    @Test func `the second job of the same id is refused, the first is kept`() throws {
        // Two jobs with the id "a".
        let received = try ReceivedJobBatch(envelope: [0x12, 3, 0x0A, 1, 0x61, 0x12, 3, 0x0A, 1, 0x61], payloadSizes: [1, 1])
        #expect(received.entries[0].rejection == nil)
        #expect(received.entries[1].rejection?.reason == .duplicateID("a"))
        #expect(throws: MessageError.duplicateID("a")) { try JobBatch(jobs: [Job(id: "a"), Job(id: "a")]).encode() }
    }

    @Test func `a job that can't be read costs only itself`() throws {
        // Between two good jobs: one with a length beyond its end, one with bytes that are not UTF-8 after a good id, one without id.
        let good: [UInt8] = [0x12, 3, 0x0A, 1, 0x61]
        let truncated: [UInt8] = [0x12, 3, 0x0A, 99, 0x62]
        let badText: [UInt8] = [0x12, 8, 0x0A, 1, 0x63, 0xCA, 0x02, 2, 0xFF, 0xFE]
        let nameless: [UInt8] = [0x12, 3, 0xB0, 0x01, 5]
        let last: [UInt8] = [0x12, 3, 0x0A, 1, 0x7A]
        let envelope = [0x0A, 2, 0x71, 0x71] + good + truncated + badText + nameless + last
        let received = try ReceivedJobBatch(envelope: envelope, payloadSizes: [1, 1, 1, 1, 1])
        #expect(try received.entries[0].get().id == "a")
        #expect(try received.entries[4].get().id == "z")
        let rejections = received.entries.compactMap(\.rejection)
        #expect(rejections.map(\.id) == ["qq#1", "c", "qq#3"])
        #expect(rejections.map(\.reason.code) == ["message.malformed", "message.malformed", "message.missing_field"])
        let answer = rejections[1].result(worker: "w")
        #expect(answer.id == "c")
        guard case .failed(let failure) = answer.outcome else { throw Unexpected() }
        #expect(failure.code == "message.malformed" && failure.stage == .message && !failure.retryable)
    }

    @Test func `the limits are exact`() throws {
        let jobs = (0..<256).map { Job(id: "\($0)") }
        let envelope = try JobBatch(jobs: jobs).encode()
        #expect(try ReceivedJobBatch(envelope: envelope, payloadSizes: Array(repeating: 1, count: 256)).entries.count == 256)
        #expect(throws: MessageError.tooManyItems(count: 257, limit: 256)) { try JobBatch(jobs: jobs + [Job(id: "more")]).encode() }
        #expect(throws: MessageError.tooManyItems(count: 257, limit: 256)) {
            try ReceivedJobBatch(envelope: envelope + [0x12, 3, 0x0A, 1, 0x61], payloadSizes: [])
        }
        #expect(throws: MessageError.emptyBatch) { try JobBatch(jobs: []).encode() }
        #expect(throws: MessageError.emptyBatch) { try ReceivedJobBatch(envelope: [], payloadSizes: []) }
        #expect(throws: MessageError.envelopeTooLarge(bytes: 1_048_577, limit: 1_048_576)) {
            try ReceivedJobBatch(envelope: [UInt8](repeating: 0, count: 1_048_577), payloadSizes: [])
        }
        // An unknown field that fills the envelope to the last byte is skipped.
        let filler: [UInt8] = [0xA2, 0x06, 0xF1, 0xFF, 0x3F] + [UInt8](repeating: 1, count: 0xFFFF1)
        let full = [0x12, 3, 0x0A, 1, 0x61] + filler + [UInt8](repeating: 0, count: 0)
        let padded = full + Array(repeating: [UInt8(0xA0), 0x06, 0x01], count: (1_048_576 - full.count) / 3).joined()
        #expect(try ReceivedJobBatch(envelope: padded, payloadSizes: [1]).entries[0].get() == Job(id: "a"))
    }

    @Test(arguments: [
        (Job(id: ""), "message.missing_field"),
        (Job(id: String(repeating: "x", count: 129)), "message.invalid_field"),
        (Job(id: "a", topK: 0), "message.invalid_field"),
        (Job(id: "a", topK: -1), "message.invalid_field"),
        (Job(id: "a", topK: 1001), "message.invalid_field"),
        (Job(id: "a", attempt: -1), "message.invalid_field"),
        (Job(id: "a", payload: .reference(uri: "", sha256: Samples.digest(0))), "message.missing_field"),
        (Job(id: "a", payload: .reference(uri: String(repeating: "u", count: 2049), sha256: Samples.digest(0))), "message.invalid_field"),
        (Job(id: "a", classes: .named("", sha256: nil)), "message.missing_field"),
        (Job(id: "a", classes: .inline(labels: [], templates: [])), "message.missing_field"),
        (Job(id: "a", classes: .inline(labels: ["x", "x"], templates: [])), "message.invalid_field"),
        (Job(id: "a", classes: .inline(labels: ["x", ""], templates: [])), "message.missing_field"),
        (Job(id: "a", classes: .inline(labels: (0...4096).map { "\($0)" }, templates: [])), "message.invalid_field"),
        (Job(id: "a", classes: .inline(labels: ["x"], templates: ["no place"])), "message.invalid_field"),
        (Job(id: "a", classes: .inline(labels: ["x"], templates: Array(repeating: "{}", count: 129))), "message.invalid_field"),
        (Job(id: "a", metadata: ["k": String(repeating: "v", count: 16 << 10)]), "message.invalid_field"),
        (Job(id: "a", metadata: Dictionary(uniqueKeysWithValues: (0...64).map { ("\($0)", "") })), "message.invalid_field"),
        (Job(id: "a", traceparent: String(repeating: "0", count: 257)), "message.invalid_field"),
        (Job(id: "a", label: ""), "message.missing_field"),
    ])
    func `a job outside of the rules can't be sent`(job: Job, code: String) throws {
        let error = try #require(throws: MessageError.self) { try JobBatch(jobs: [job]).encode() }
        #expect(error.code == code)
        #expect(error.description.contains("job"))
    }

    @Test func `a placeholder for a missing id fits in an id`() throws {
        let id = String(repeating: "ü", count: 64)
        let envelope = [0x0A, 0x80, 1] + Array(id.utf8) + [0x12, 0]
        let received = try ReceivedJobBatch(envelope: envelope, payloadSizes: [1])
        #expect(received.entries[0].rejection?.id == String(repeating: "ü", count: 63) + "#0")
    }
}

struct Unexpected: Error {}

extension Result where Failure == RejectedJob {
    var rejection: RejectedJob? { if case .failure(let rejection) = self { rejection } else { nil } }
}
