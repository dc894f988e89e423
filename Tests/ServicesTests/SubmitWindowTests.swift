import Messages
import Services
import Testing

@Suite struct SubmitWindowTests {
    private let start = ContinuousClock.now
    private func jobs(_ ids: String...) -> [(job: Job, payload: Int)] { ids.map { (Job(id: $0), 0) } }

    @Test func `silence is answered with the same ids after growing waits`() {
        var window = SubmitWindow<Int>(run: "r", limit: 4, byteLimit: 100)
        window.add(jobs("a", "b"), bytes: 10, now: start)
        var sent: [(at: Duration, ids: [String])] = []
        var now = start
        while now < start + .seconds(120) {
            for batch in window.due(now: now) { sent.append((now - start, batch.items.map(\.job.id))) }
            now = now + .milliseconds(500)
        }
        #expect(sent.map(\.at) == [0, 2.5, 7.5, 17.5, 37.5, 67.5, 97.5].map { Duration.milliseconds(Int($0 * 1000)) })
        #expect(sent.allSatisfy { $0.ids == ["a", "b"] })
        #expect(window.resent == 6)
    }

    @Test func `what is busy is sent again after the stated time, the rest is settled`() throws {
        var window = SubmitWindow<Int>(run: "r", limit: 4, byteLimit: 100)
        window.add(jobs("a", "b", "c"), bytes: 10, now: start)
        let id = try #require(window.due(now: start).first?.id)
        let reply = SubmitReply(
            batchID: id,
            receipts: [
                JobReceipt(id: "a", verdict: .accepted), JobReceipt(id: "b", verdict: .busy, retryAfter: .seconds(7)),
                JobReceipt(id: "c", verdict: .conflict),
            ])
        #expect(window.settle(reply, now: start).map(\.job.id) == ["a", "c"])
        #expect(window.due(now: start + .seconds(6)).isEmpty && !window.isEmpty)
        #expect(window.due(now: start + .seconds(7)).first?.items.map(\.job.id) == ["b"])
        #expect(window.settle(SubmitReply(batchID: id, receipts: [JobReceipt(id: "b", verdict: .accepted)]), now: start).count == 1)
        #expect(window.isEmpty)
        // A late repeat of an answer changes nothing.
        #expect(window.settle(reply, now: start).isEmpty)
    }

    @Test func `the window is bounded in batches and bytes, and one batch always fits`() {
        var window = SubmitWindow<Int>(run: "r", limit: 2, byteLimit: 100)
        #expect(window.hasRoom(bytes: 1000))
        window.add(jobs("a"), bytes: 60, now: start)
        #expect(window.hasRoom(bytes: 40) && !window.hasRoom(bytes: 41))
        window.add(jobs("b"), bytes: 10, now: start)
        #expect(!window.hasRoom(bytes: 1))
    }
}
