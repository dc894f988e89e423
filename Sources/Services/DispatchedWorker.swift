internal import Foundation
package import Logging
package import Messages
internal import ServiceLifecycle
internal import Synchronization
package import Transport

/// A worker of a dispatcher: leased batches in, one answer a job out, nothing lost when it is killed.
///
/// On graceful shutdown it takes nothing new, hands back what was not begun, finishes the rest, and says goodbye.
package struct DispatchedWorker: Service {
    /// Where it works.
    package struct Settings: Sendable {
        package var dispatcher: Endpoint
        package var socketOptions = SocketOptions()
        /// The service it serves: `classify`, or `classify/MODEL`.
        package var service = "classify"
        /// Connections, each with one batch in flight: while one batch is computed, the next one is already here.
        package var lanes = 2
        /// The most jobs and bytes of a batch.
        package var batchItems = 32
        package var batchBytes = 32 << 20
        package var heartbeat: Duration = .seconds(1)
        /// How long a stop may take.
        package var drainLimit: Duration = .seconds(20)
        /// The name in every result.
        package var worker: String
        package var models: [Provenance] = []

        package init(dispatcher: Endpoint, worker: String) {
            self.dispatcher = dispatcher
            self.worker = worker
        }
    }

    private let settings: Settings
    private let parts: Parts
    private let lanes: [WorkerLane]
    private let logger: Logger

    /// Connects.
    package init(
        settings: Settings, context: ZeroMQContext, logger: Logger,
        pipeline: @escaping @Sendable (@escaping ClassificationPipeline.Delivery) throws -> any JobPipeline
    ) throws {
        self.settings = settings
        self.logger = logger
        let parts = Parts(worker: settings.worker)
        self.parts = parts
        parts.pipeline = try pipeline { parts.deliver($0) }
        // Random, so that a restarted worker is another one.
        let incarnation = String(UInt64.random(in: 0 ... .max), radix: 36)
        let info = PeerInfo(
            worker: "\(settings.worker.prefix(100))#\(incarnation)", batchItems: settings.batchItems, batchBytes: settings.batchBytes,
            models: settings.models)
        var lanes: [WorkerLane] = []
        for index in 0..<settings.lanes {
            let lane = WorkerLane.Settings(
                endpoint: settings.dispatcher, options: settings.socketOptions, service: settings.service, info: info,
                heartbeat: settings.heartbeat)
            lanes.append(
                try WorkerLane(settings: lane, context: context, logger: logger) { request in
                    _ = parts.waiting.tryPut((index, request))
                })
        }
        self.lanes = lanes
        parts.lanes = lanes
    }

    package func run() async throws {
        logger.info("worker ready", metadata: ["dispatcher": "\(settings.dispatcher.address)", "service": "\(settings.service)"])
        let feeder = Thread { [parts, logger] in parts.feed(logger) }
        feeder.name = "p4q-feed"
        feeder.start()
        try? await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                beat()
                try await Task.sleep(for: settings.heartbeat)
            }
        }
        logger.info("stopping: finishing what has begun")
        for lane in lanes { lane.stop() }
        parts.stop()
        let end = ContinuousClock.now + settings.drainLimit
        while !parts.ledger.isEmpty, ContinuousClock.now < end {
            beat()
            try? await Task.sleep(for: .milliseconds(100))
        }
        for lane in lanes { lane.leave() }
        for lane in lanes { await lane.finished() }
        parts.finish()
        let done = parts.counters
        logger.info("worker stopped", metadata: ["jobs.scored": "\(done.scored)", "jobs.failed": "\(done.failed)"])
    }

    /// What its pipeline has done.
    package var counters: PipelineCounters.Values { parts.counters }

    /// Whether the dispatcher was heard lately on every connection.
    package var isHeard: Bool { lanes.allSatisfy { $0.silence < settings.heartbeat * 3 } }

    /// Says what is held and how far it is. Called by the task that sees the pipeline's progress, so that a worker whose pipeline hangs
    /// does not look alive.
    private func beat() {
        let progress = parts.progress
        for (index, lane) in lanes.enumerated() {
            lane.send(HeartbeatInfo(leases: parts.ledger.progress(lane: index, now: progress)))
        }
    }
}

extension DispatchedWorker {
    /// What the threads share.
    private final class Parts: Sendable {
        private struct State {
            var pipeline: (any JobPipeline)?
            var lanes: [WorkerLane] = []
            var isStopping = false
            var echo: UInt64 = 0
        }

        let ledger: LeaseLedger
        /// At most one batch a lane.
        let waiting = BoundedQueue<(lane: Int, request: WorkerLane.Request)>(limit: 64)
        private let state = Mutex(State())
        private let worker: String

        init(worker: String) {
            self.worker = worker
            ledger = LeaseLedger(worker: worker)
        }

        var pipeline: (any JobPipeline)? {
            get { state.withLock { $0.pipeline } }
            set { state.withLock { $0.pipeline = newValue } }
        }

        var lanes: [WorkerLane] {
            get { state.withLock { $0.lanes } }
            set { state.withLock { $0.lanes = newValue } }
        }

        var counters: PipelineCounters.Values { pipeline?.counters.values ?? PipelineCounters.Values() }

        /// Grows with every image that is done.
        var progress: UInt64 { UInt64(counters.scored + counters.failed + counters.images) }

        private var isStopping: Bool { state.withLock { $0.isStopping } }

        func stop() { state.withLock { $0.isStopping = true } }

        func finish() {
            waiting.close()
            pipeline?.finish()
        }

        /// Results of the pipeline; each one's batch id is its lease.
        func deliver(_ batches: [ResultBatch]) {
            for batch in batches {
                guard let lease = [UInt8](hexadecimal: batch.id) else { continue }
                for result in batch.results { finish(lease, result) }
            }
        }

        private func finish(_ lease: [UInt8], _ result: JobResult?) {
            guard let (lane, answer) = ledger.finish(lease, result) else { return }
            lanes[lane].send(answer)
        }

        /// Hands batches to the pipeline, one after the other.
        func feed(_ logger: Logger) {
            while let (lane, request) = waiting.waitTake(timeout: nil) {
                do throws(MessageError) {
                    guard let envelope = request.body.first else { throw .emptyBatch }
                    let batch = try ReceivedJobBatch(
                        envelope: envelope.bytes, payloadSizes: request.body.dropFirst().map(\.count), isLeased: true)
                    feed(batch, request, lane)
                } catch {
                    logger.error("a leased batch can't be read", metadata: ["error": "\(error)"])
                }
            }
        }

        private func feed(_ batch: ReceivedJobBatch, _ request: WorkerLane.Request, _ lane: Int) {
            let leases = batch.entries.map { entry in
                switch entry {
                case .success(let job): job.lease
                case .failure(let rejected): rejected.lease
                }
            }
            ledger.open(LeaseLedger.Batch(name: batch.id, client: request.client, leases: leases), lane: lane)
            if batch.isAlone { announce(leases, lane) }
            for (index, entry) in batch.entries.enumerated() {
                if isStopping {
                    finish(leases[index], nil)
                    continue
                }
                ledger.begin(leases[index], progress: progress)
                switch entry {
                case .success(let job):
                    let payload: ImagePayload = job.payload == .attached ? .frame(request.body[index + 1]) : .reference
                    let item = ClassificationJob(job, payload: payload, batchID: leases[index].hexadecimal, received: request.received)
                    if pipeline?.submit(item) != true { finish(leases[index], nil) }
                case .failure(let rejected): finish(leases[index], rejected.result(worker: worker))
                }
            }
        }

        /// A worker died with this job before: the dispatcher must know that it is begun before it is.
        private func announce(_ leases: [[UInt8]], _ lane: Int) {
            let echo = state.withLock { state in
                state.echo += 1
                return state.echo
            }
            let heard = DispatchSemaphore(value: 0)
            let progress = leases.map { HeartbeatInfo.Progress(lease: $0, counter: 1) }
            lanes[lane].send(HeartbeatInfo(leases: progress, echo: echo)) { heard.signal() }
            _ = heard.wait(timeout: .now() + 3)
        }
    }
}

extension [UInt8] {
    /// Two lower-case digits a byte.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Nil unless `text` is pairs of hexadecimal digits.
    init?(hexadecimal text: String) {
        let digits = text.utf8.map { UInt8($0) }
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        self = bytes
    }
}
