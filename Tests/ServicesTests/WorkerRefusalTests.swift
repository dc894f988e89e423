import Foundation
import Logging
import Messages
import Metrics
import Services
import Synchronization
import Testing
import Transport

/// Keeps what is logged.
private final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var warnings: [String] { lines.withLock { $0 } }

    func logger() -> Logger { Logger(label: "test") { _ in Handler(lines: self) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.warning

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { lines.lines.withLock { $0.append("\(event.message)") } }
    }
}

private struct NoPipeline: JobPipeline {
    let counters = PipelineCounters(metrics: NOOPMetricsHandler.instance)

    func submit(_: ClassificationJob) -> Bool { true }
    func finish() {}
}

/// A broker that turns every worker away, and counts them.
private final class Refuser: Sendable {
    private let thread: SocketThread
    private let state: State

    private final class State: Sendable {
        let isOver = Atomic(false)
        let refused = Atomic(0)
    }

    init(_ address: String, _ context: ZeroMQContext) throws {
        let state = State()
        self.state = state
        thread = try SocketThread(
            name: "refuser", endpoints: [try Endpoint(address, default: .bind)],
            open: { () throws(TransportError) in try Socket(.router, in: context) }
        ) { _, socket in
            while !state.isOver.load(ordering: .relaxed) {
                guard let frames = try? socket.receive(timeout: .milliseconds(20)), let peer = frames.first,
                    let (message, dialect) = try? Majordomo.parse(Array(frames.dropFirst())), case .ready = message,
                    let refusal = try? Majordomo.toWorker(.disconnect, dialect)
                else { continue }
                state.refused.wrappingAdd(1, ordering: .relaxed)
                try? socket.send([peer] + refusal, timeout: .zero)
            }
        }
    }

    var refused: Int { state.refused.load(ordering: .relaxed) }

    func stop() async {
        state.isOver.store(true, ordering: .relaxed)
        await thread.finished()
    }
}

/// A worker whose dispatcher is not there, or will not have it.
struct WorkerRefusalTests {
    private let address = "ipc:///tmp/p4q-refusal-\(UUID().uuidString).sock"

    /// Runs a worker of two connections while `body` runs.
    private func withWorker(_ lines: LogLines, _ context: ZeroMQContext, _ body: () async throws -> Void) async throws {
        var settings = DispatchedWorker.Settings(dispatcher: try Endpoint(address, default: .connect), worker: "w")
        settings.heartbeat = .milliseconds(20)
        settings.drainLimit = .milliseconds(100)
        let worker = try DispatchedWorker(settings: settings, context: context, logger: lines.logger()) { _ in NoPipeline() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await worker.run() }
            try await body()
            group.cancelAll()
        }
    }

    private func wait(until isSo: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while !isSo(), .now < end { try await Task.sleep(for: .milliseconds(20)) }
    }

    @Test func `a worker that hears nothing says so once, and comes when its dispatcher does`() async throws {
        let (lines, context) = (LogLines(), try ZeroMQContext())
        try await withWorker(lines, context) {
            // Its waits are longer than the silence that it bears by then.
            try await wait { !lines.warnings.isEmpty }
            try await Task.sleep(for: .seconds(2))
            #expect(lines.warnings.count == 1)
            #expect(lines.warnings.first?.contains("nothing is heard from the dispatcher") == true)
            let refuser = try Refuser(address, context)
            try await wait { refuser.refused >= 2 }
            #expect(refuser.refused >= 2)
            await refuser.stop()
        }
    }

    @Test func `a worker that is turned away says so once, and goes on asking`() async throws {
        let (lines, context) = (LogLines(), try ZeroMQContext())
        let refuser = try Refuser(address, context)
        try await withWorker(lines, context) {
            try await wait { lines.warnings.contains { $0.contains("turns this worker away") } }
            let before = refuser.refused
            try await wait { refuser.refused >= before + 2 }
            #expect(refuser.refused >= before + 2)
        }
        await refuser.stop()
        #expect(lines.warnings.count == 1 && lines.warnings.first?.contains("turns this worker away") == true)
    }
}
