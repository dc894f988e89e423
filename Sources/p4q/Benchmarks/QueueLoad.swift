import Foundation
import Messages
import Services
import Synchronization
import Transport

/// A producer, workers and sinks that do nothing but keep a dispatcher busy; each has a thread.
final class QueueLoad: Sendable {
    struct Settings: Sendable {
        var endpoint: Endpoint
        var payloadBytes: Int
        var batch: Int
        var window: Int
        var open: Int
        var workers: Int
        var sinks: Int
    }

    private struct Progress {
        var accepted = 0
        var acknowledged = 0
        var isStopping = false
        var failure: (any Error)?
    }

    private let settings: Settings
    private let context: ZeroMQContext
    private let progress = Mutex(Progress())
    private let running = DispatchGroup()

    init(_ settings: Settings, context: ZeroMQContext) {
        self.settings = settings
        self.context = context
    }

    /// What ended one of the threads before it was told to.
    var failure: (any Error)? { progress.withLock { $0.failure } }

    func start() {
        thread { try self.produce() }
        for index in 0..<settings.workers { thread { try self.work(index) } }
        for index in 0..<settings.sinks { thread { try self.sink(index) } }
    }

    /// Ends the threads, and waits for them.
    func stop() {
        progress.withLock { $0.isStopping = true }
        running.wait()
    }

    private var isStopping: Bool { progress.withLock { $0.isStopping } }

    private func thread(_ body: @escaping @Sendable () throws -> Void) {
        running.enter()
        Thread.detachNewThread { [self] in
            do { try body() } catch { progress.withLock { $0.failure = $0.failure ?? error } }
            running.leave()
        }
    }

    private func options() -> SocketOptions {
        var options = SocketOptions()
        options.linger = .zero
        options.sendHighWater = max(16, settings.window)
        options.receiveHighWater = max(16, settings.window)
        return options
    }

    // MARK: The producer

    private func produce() throws {
        let client = try DispatcherClient(to: settings.endpoint, in: context, options: options())
        var payload = [UInt8](repeating: 0, count: settings.payloadBytes)
        for index in payload.indices { payload[index] = UInt8(truncatingIfNeeded: index &* 2_654_435_761 >> 7) }
        let run = "bench-\(UInt64.random(in: 0 ... .max))-"
        var (number, inFlight) = (0, 0)
        while !isStopping {
            let (accepted, acknowledged) = progress.withLock { ($0.accepted, $0.acknowledged) }
            let isOpen = accepted - acknowledged + inFlight * settings.batch < settings.open
            if inFlight < settings.window, isOpen {
                let jobs = (number..<number + settings.batch).map { Job(id: run + String($0)) }
                var body = [try Frame(try JobBatch(id: "\(number)", jobs: jobs).encode())]
                for _ in jobs { body.append(try Frame(payload)) }
                try client.send("classify", body, timeout: .seconds(20))
                number += settings.batch
                inFlight += 1
                continue
            }
            guard let reply = try client.receive(timeout: .milliseconds(isOpen ? 200 : 5)) else { continue }
            inFlight -= 1
            let receipts = try SubmitReply(envelopes: reply.body.map(\.bytes)).receipts
            let fresh = receipts.count { $0.verdict == .accepted }
            progress.withLock { $0.accepted += fresh }
        }
    }

    // MARK: A worker

    private func work(_ index: Int) throws {
        let socket = try Socket(.dealer, in: context, options: options())
        try socket.attach(settings.endpoint)
        let name = "bench-\(index)"
        let dialect = Majordomo.Dialect.standard(.v02)
        func send(_ message: Majordomo.ToBroker) throws {
            try socket.send(try Majordomo.fromWorker(message, dialect), timeout: .seconds(20))
        }
        let info = PeerInfo(worker: name, batchItems: 256, batchBytes: 32 << 20)
        try send(.ready(service: "classify", info: try Frame(try info.encode())))
        var beaten = ContinuousClock.now
        while !isStopping {
            if ContinuousClock.now - beaten > .seconds(1) {
                beaten = .now
                try send(.heartbeat(info: nil))
            }
            guard let frames = try socket.receive(timeout: .milliseconds(200)) else { continue }
            guard case (.request(let client, let body), _) = try Majordomo.parseForWorker(frames), let envelope = body.first else {
                continue
            }
            let batch = try ReceivedJobBatch(envelope: envelope.bytes, payloadSizes: body.dropFirst().map(\.count), isLeased: true)
            let answers = batch.entries.compactMap { entry -> (lease: [UInt8], result: JobResult?)? in
                guard case .success(let job) = entry else { return nil }
                let prediction = Prediction(label: "cat", index: 0, probability: 0.75, cosine: 0.25)
                return (job.lease, JobResult(answering: job, outcome: .scored([prediction], unknown: false), worker: name))
            }
            var reply: [Frame] = []
            for part in try AnswerBatch(id: batch.id, worker: name, answers: answers).encode() { reply.append(try Frame(part)) }
            try send(.final(client: client, body: reply))
        }
    }

    // MARK: A sink

    private func sink(_ index: Int) throws {
        let connection = try SinkConnection(
            to: settings.endpoint, group: "default", name: "bench-sink-\(index)", in: context, options: options())
        while !isStopping {
            guard let delivery = try connection.next(timeout: .milliseconds(200)) else { continue }
            try connection.acknowledge(delivery, .sequences(delivery.results.compactMap { $0.place?.sequence }))
            progress.withLock { $0.acknowledged += delivery.results.count }
        }
        connection.close()
    }
}
