import Messages
import Services
import Testing
import Training
import Tuning

@Suite struct FleetScoringTests {
    private static let set = Provenance(name: "pets", sha256: .zero)

    private func counts(_ answers: [UInt64], release: UInt64 = 1, shadow: ScoringCounts.Shadow? = nil) -> ScoringCounts {
        var counts = ScoringCounts(classSet: Self.set, release: release, classes: answers.count)
        for (answer, times) in answers.enumerated() {
            for _ in 0..<times { counts.add(answer: answer, confidence: 0.95, isUnknown: false) }
        }
        counts.shadow = shadow
        return counts
    }

    @Test func `what workers have answered is added up once, whatever is reported twice or begins anew`() {
        var fleet = FleetScoring()
        let one = counts([3, 1], shadow: .init(version: 2, scored: 4, agreed: 3))
        fleet.take(ScoringReport(worker: "a", counts: [one]))
        fleet.take(ScoringReport(worker: "a", counts: [one]))
        fleet.take(ScoringReport(worker: "b", counts: [counts([1, 1])]))
        fleet.take(ScoringReport(worker: "a", counts: [counts([5, 1], shadow: .init(version: 2, scored: 6, agreed: 5))]))
        #expect(fleet.sums(of: "pets").map(\.answers) == [[6, 2]])
        #expect(fleet.sums.map(\.shadow) == [.init(version: 2, scored: 6, agreed: 5)])
        // A worker that counts anew under its old name.
        fleet.take(ScoringReport(worker: "a", counts: [counts([1, 0])]))
        #expect(fleet.sums.map(\.answers) == [[7, 2]])
        // A new shadow's counts are its own; another release's, too.
        fleet.take(ScoringReport(worker: "b", counts: [counts([1, 2], shadow: .init(version: 3, scored: 1, agreed: 0))]))
        #expect(fleet.sums.map(\.shadow) == [.init(version: 3, scored: 1, agreed: 0)])
        fleet.take(ScoringReport(worker: "b", counts: [counts([1, 2]), counts([0, 4], release: 7)]))
        #expect(fleet.sums.map(\.release) == [1, 7] && fleet.sums.last?.answers == [0, 4] && fleet.sums(of: "none").isEmpty)
    }

    @Test func `reports come through as they were sent, and damaged ones are refused`() throws {
        let report = ScoringReport(
            worker: "w", counts: [counts([3, 1], shadow: .init(version: 2, scored: 4, agreed: 3)), counts([0, 0])])
        #expect(try ReleaseRequest(envelope: ReleaseRequest.report(report).encode()) == .report(report))
        var reply = ReleaseReply()
        reply.scoring = report.counts
        #expect(try ReleaseReply(envelope: reply.encode()) == reply)
        let lying = ScoringReport(worker: "w", counts: [counts([1], shadow: .init(version: 2, scored: 1, agreed: 2))])
        let bytes = try ReleaseRequest.report(lying).encode()
        #expect(throws: MessageError.self) { try ReleaseRequest(envelope: bytes) }
        let nameless = try ReleaseRequest.report(ScoringReport(worker: "", counts: [])).encode()
        #expect(throws: MessageError.self) { try ReleaseRequest(envelope: nameless) }
    }

    @Test func `a window of answers that differs is said once, and once more when it is over`() throws {
        var watch = DriftWatch()
        func compare(_ answers: [Int], _ confidences: [Int]) -> AnswerDrift {
            AnswerDrift(
                examples: answers.reduce(0, +), answers: Drift(reference: [150, 150], recent: answers),
                confidences: Drift(reference: confidences, recent: confidences))
        }
        var total: [UInt64] = [0, 0]
        func look(_ more: [UInt64]) -> DriftWatch.Change? {
            total = zip(total, more).map(+)
            return watch.look(counts(total), compare: compare)
        }
        #expect(look([200, 200]) == nil && watch.last == nil)
        #expect(look([50, 50]) == nil && watch.last?.examples == 500 && !watch.hasMoved)
        guard case .moved(let text)? = look([590, 10]) else {
            Issue.record("nothing was seen")
            return
        }
        #expect(text.hasPrefix("answers (stability index ") && text.contains("of 600 images"))
        #expect(look([590, 10]) == nil && watch.hasMoved)
        #expect(look([300, 300]) == .settled && !watch.hasMoved)
    }
}
