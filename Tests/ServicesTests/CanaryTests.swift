import Foundation
import Logging
import Messages
import Metrics
import Services
import Synchronization
import Testing
import Transport

/// Answers each job with what `answer` makes of its number.
private final class ScriptedPipeline: JobPipeline {
    let counters = PipelineCounters(metrics: NOOPMetricsHandler.instance)
    private let count = Mutex(0)
    private let answer: @Sendable (Int, Job) -> Outcome
    private let deliver: ClassificationPipeline.Delivery

    init(_ answer: @escaping @Sendable (Int, Job) -> Outcome, deliver: @escaping ClassificationPipeline.Delivery) {
        (self.answer, self.deliver) = (answer, deliver)
    }

    func submit(_ job: ClassificationJob) -> Bool {
        let number = count.withLock { count in
            count += 1
            return count
        }
        let result = JobResult(answering: job.job, outcome: answer(number, job.job), worker: "w")
        deliver([ResultBatch(id: job.batchID, worker: "w", results: [result])])
        return true
    }

    func finish() {}
}

struct CanaryTests {
    /// Runs a worker until it ends by itself, or a little longer than `enough` right answers take; why.
    private func run(
        isExact: Bool = true, pause: Duration = .seconds(60), enough: UInt64 = 6, _ answer: @escaping @Sendable (Int, Job) -> Outcome
    ) async throws -> (failure: Canary.Failure?, counts: [String: UInt64]) {
        let canary = Canary(isExact: isExact, classes: nil)
        var settings = DispatchedWorker.Settings(dispatcher: try Endpoint("ipc:///tmp/p4q-nobody.sock", default: .connect), worker: "w")
        settings.canary = canary
        settings.canaryPause = pause
        settings.heartbeat = .milliseconds(20)
        let context = try ZeroMQContext()
        let worker = try DispatchedWorker(
            settings: settings, context: context, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) {
            ScriptedPipeline(answer, deliver: $0)
        }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.run() }
                group.addTask {
                    let end = ContinuousClock.now + .seconds(60)
                    while canary.counts["right"] != enough && .now < end { try await Task.sleep(for: .milliseconds(20)) }
                    try await Task.sleep(for: .milliseconds(300))
                }
                try await group.next()
                group.cancelAll()
            }
            return (nil, canary.counts)
        } catch let failure as Canary.Failure {
            return (failure, canary.counts)
        }
    }

    private static func scored(_ probability: Float) -> Outcome {
        .scored([Prediction(label: "cat", index: 0, probability: probability, cosine: 0.2)], unknown: false)
    }

    @Test func `a worker whose test images give one answer goes on`() async throws {
        let (failure, counts) = try await run { _, _ in Self.scored(0.75) }
        #expect(failure == nil)
        #expect(counts["right"] == 6 && counts.count == 1)
    }

    @Test func `other scores in a batch than alone end the worker before it says READY`() async throws {
        let (failure, counts) = try await run { number, _ in Self.scored(number == 5 ? Float(0.75).nextUp : 0.75) }
        #expect(failure?.verdict == .wrong)
        #expect(counts["wrong"] == 1)
    }

    @Test func `a float model may differ in the last digits, and not in more`() async throws {
        #expect(try await run(isExact: false) { number, _ in Self.scored(number == 5 ? 0.7501 : 0.75) }.failure == nil)
        #expect(try await run(isExact: false) { number, _ in Self.scored(number == 5 ? 0.76 : 0.75) }.failure?.verdict == .wrong)
    }

    @Test func `a test image that can't be scored ends the worker with the reason`() async throws {
        let (failure, _) = try await run { _, job in
            .failed(Failure(code: "class_set.missing", stage: .classSet, message: "none for \(job.id)", retryable: false))
        }
        #expect(failure?.verdict == .failed && failure?.reason.contains("class_set.missing") == true)
    }

    @Test func `an idle worker goes on trying, and ends when its memory goes bad`() async throws {
        let (failure, counts) = try await run(pause: .milliseconds(40), enough: .max) { number, _ in Self.scored(number > 8 ? 0.5 : 0.75) }
        #expect(failure?.verdict == .wrong && failure?.description.contains("0.75") == true)
        #expect(counts["right"] == 8)
    }
}
