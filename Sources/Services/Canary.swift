internal import Foundation
package import Messages
internal import Synchronization

/// Test images that go the whole way of an image through a worker: decoded, prepared, through the tower, scored.
///
/// Before a worker says READY, and while it has nothing else to do, they must give one answer, alone or in a batch, then and now: a worker
/// whose memory or processor has gone bad ends instead of answering. What a release must give is in its manifest and was compared before it
/// was taken (`LiveRelease`); the first answer after a swap is what later ones are held against.
package final class Canary: Sendable {
    package enum Verdict: String, Hashable, Sendable, CaseIterable {
        case right
        /// Other scores than before.
        case wrong
        /// No scores at all.
        case failed
        /// No answer in time.
        case late
    }

    /// A worker that gives wrong answers, or none.
    package struct Failure: Error, CustomStringConvertible {
        package let verdict: Verdict
        package let reason: String
        package var description: String {
            "the worker's own test image went wrong (\(verdict.rawValue)): \(reason). It takes no jobs; look at its memory and its model"
        }
    }

    /// What canaries' results are answered under; no lease is called so.
    static let batchID = "canary"

    /// What an answer depends on.
    private struct Key: Hashable {
        let image: String
        let classSet: Provenance?
        let release: ReleaseMark?
    }

    private struct State {
        var waiting: [String: ContinuousClock.Instant] = [:]
        var number = 0
        var expected: [Key: [Prediction]] = [:]
        var lastRight: ContinuousClock.Instant?
        var counts: [Verdict: Int] = [:]
        var failure: Failure?
    }

    private let isExact: Bool
    private let classes: ClassSelection?
    private let patience: Duration
    private let state = Mutex(State())

    /// How far a float model's probabilities may be apart: its sums depend on the batch.
    private static let floatTolerance: Float = 1e-3

    /// - Parameters:
    ///   - isExact: the model is quantized, and its answers are the same bits whatever the batch.
    ///   - classes: what they are scored against; nil: the worker's default set.
    ///   - patience: how long an answer may take. A minute: a large float tower on a busy core takes seconds.
    package init(isExact: Bool, classes: ClassSelection?, patience: Duration = .seconds(60)) {
        self.isExact = isExact
        self.classes = classes
        self.patience = patience
    }

    /// By verdict.
    package var counts: [String: UInt64] {
        state.withLock { state in Dictionary(uniqueKeysWithValues: state.counts.map { ($0.key.rawValue, UInt64($0.value)) }) }
    }

    /// Since the last right answer; nil before the first.
    package var age: Duration? { state.withLock { $0.lastRight }.map { .now - $0 } }

    /// What was wrong; from then on the worker must not answer.
    var failure: Failure? { state.withLock { $0.failure } }

    /// One that has been waiting for too long counts as late.
    var isWaiting: Bool {
        state.withLock { state in
            for (id, sent) in state.waiting where .now - sent > patience {
                state.waiting[id] = nil
                state.counts[.late, default: 0] += 1
                state.failure = state.failure ?? Failure(verdict: .late, reason: "no answer within \(patience)")
            }
            return !state.waiting.isEmpty
        }
    }

    /// The next test images, for the pipeline.
    func jobs(_ count: Int) -> [ClassificationJob] {
        (0..<count).map { place in
            let (format, bytes) = Self.pictures[place % Self.pictures.count]
            let id = state.withLock { state in
                state.number += 1
                let id = "\(format)-\(state.number)"
                state.waiting[id] = .now
                return id
            }
            return ClassificationJob(Job(id: id, classes: classes), payload: .data(bytes), batchID: Self.batchID)
        }
    }

    func receive(_ results: [JobResult]) { for result in results { receive(result) } }

    private func receive(_ result: JobResult) {
        state.withLock { state in
            guard state.waiting.removeValue(forKey: result.id) != nil else { return }
            let (verdict, reason) = judge(result, &state)
            state.counts[verdict, default: 0] += 1
            if verdict == .right {
                state.lastRight = .now
            } else {
                state.failure = state.failure ?? Failure(verdict: verdict, reason: reason)
            }
        }
    }

    private func judge(_ result: JobResult, _ state: inout State) -> (Verdict, String) {
        guard case .scored(let found, _) = result.outcome, let best = found.first else {
            if case .failed(let failure) = result.outcome { return (.failed, "\(failure.message) (\(failure.code))") }
            return (.failed, "it has no scores")
        }
        let key = Key(
            image: String(result.id.prefix { $0 != "-" }), classSet: result.classSet, release: result.release)
        guard let expected = state.expected[key] else {
            // Releases come and go; what a few of them gave is enough to compare with.
            if state.expected.count >= 64 { state.expected.removeAll() }
            state.expected[key] = found
            return (.right, "")
        }
        let isSame =
            isExact
            ? found == expected
            : found.allSatisfy { one in
                expected.first { $0.index == one.index }.map { abs($0.probability - one.probability) < Self.floatTolerance } ?? true
            }
        if isSame { return (.right, "") }
        return (
            .wrong,
            "\(best.label) with \(best.probability), and before \(expected.first?.label ?? "nothing") with \(expected.first?.probability ?? 0)"
        )
    }

    /// A JPEG of 32 x 24 pixels and a PNG of 16 x 12.
    private static let pictures = [(format: "jpeg", bytes: decoded(jpeg)), (format: "png", bytes: decoded(png))]

    private static func decoded(_ text: String) -> Data {
        guard let data = Data(base64Encoded: text) else { preconditionFailure("a test image is not Base64") }
        return data
    }

    private static let jpeg = """
        /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//\
        2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAYACADASIAAhEBAxEB/8QA\
        GQAAAwADAAAAAAAAAAAAAAAAAAUGAwQH/8QAGBAAAgMAAAAAAAAAAAAAAAAAAAMCBGH/xAAYAQACAwAAAAAAAAAAAAAAAAACBQABBv/EACMRAAEDAgUFAAAA\
        AAAAAAAAAAIAAREDBBIhYYHBExQVUZH/2gAMAwEAAhEDEQA/AKR0zm66uDJdXB+6YNBvCyAvjx7RH32itbruM2yha7pipdXBiurgsdMlBulIC8yn1rdYs2VQ\
        6ZjXVwAEtkTiBRosXXN2cd+EjdMr11cAC78nEBjXhPhMmdl//9k=
        """

    private static let png = """
        iVBORw0KGgoAAAANSUhEUgAAABAAAAAMBAMAAACZySCyAAAAMFBMVEXf1SnXuzXDoD+wiU921kV2v02Lk10xkarXbVTNTWfMM3DVFIWUZGQ8Y6WGRJFfGMZA\
        nbmGAAAAXElEQVR42i3KMQ1CMRQAwHtNDdQCCggawMr3wsb8VeCDnY0mBAGvGwOBMsDNF+LjGDvFX8UklWh9YMbNIS6vc/udR6gr+pNKs76Xe+zbJq+nJYsh\
        t3IUOkYWMpm+TBkeOZmwDCoAAAAASUVORK5CYII=
        """
}
