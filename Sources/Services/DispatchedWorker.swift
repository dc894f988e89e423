internal import Foundation
package import Logging
package import Messages
internal import ServiceLifecycle
package import Transport

/// A worker of a dispatcher: leased batches in, one answer a job out, nothing lost when it is killed.
///
/// On graceful shutdown it takes nothing new, hands back what was not begun, finishes the rest, and says goodbye.
package struct DispatchedWorker: Service {
    /// Where it works.
    package struct Settings: Sendable {
        package var dispatcher: Endpoint
        package var broker = WorkerBroker.p4q
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
        /// Goes through the pipeline before the worker says READY, and whenever nothing has gone through for `canaryPause`.
        package var canary: Canary?
        package var canaryPause: Duration = .seconds(15)
        /// After so long without a right answer of a canary, or any image, the worker is not ready.
        package var canaryLimit: Duration = .seconds(60)

        package init(dispatcher: Endpoint, worker: String) {
            self.dispatcher = dispatcher
            self.worker = worker
        }
    }

    private let settings: Settings
    private let parts: Parts
    private let context: ZeroMQContext
    private let logger: Logger

    package init(
        settings: Settings, context: ZeroMQContext, logger: Logger,
        pipeline: @escaping @Sendable (@escaping ClassificationPipeline.Delivery) throws -> any JobPipeline
    ) throws {
        self.settings = settings
        self.logger = logger
        self.context = context
        let parts = Parts(worker: settings.worker, broker: settings.broker, canary: settings.canary, logger: logger)
        self.parts = parts
        parts.pipeline = try pipeline { parts.deliver($0) }
    }

    /// Connects, and says READY.
    private func connect() throws {
        // Random, so that a restarted worker is another one.
        let incarnation = String(UInt64.random(in: 0 ... .max), radix: 36)
        let info = PeerInfo(
            worker: "\(settings.worker.prefix(100))#\(incarnation)", batchItems: settings.batchItems, batchBytes: settings.batchBytes,
            models: settings.models)
        var lanes: [WorkerLane] = []
        for index in 0..<settings.lanes {
            var lane = WorkerLane.Settings(
                endpoint: settings.dispatcher, options: settings.socketOptions, service: settings.service, info: info,
                heartbeat: settings.heartbeat, broker: settings.broker)
            lane.tellsRefusal = index == 0
            lanes.append(
                try WorkerLane(settings: lane, context: context, logger: logger) { [parts] request in
                    _ = parts.waiting.tryPut((index, request))
                })
        }
        parts.lanes = lanes
    }

    /// Throws `Canary.Failure` if the worker's own test images go wrong.
    package func run() async throws {
        try await prove()
        if Task.isShuttingDownGracefully { return parts.finish() }
        try connect()
        logger.info("worker ready", metadata: ["dispatcher": "\(settings.dispatcher.address)", "service": "\(settings.service)"])
        let feeder = Thread { [parts, logger] in parts.feed(logger) }
        feeder.name = "p4q-feed"
        feeder.start()
        var seen = (progress: parts.progress, at: ContinuousClock.now)
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            if let failure = parts.canary?.failure { throw failure }
            beat()
            if parts.progress != seen.progress { seen = (parts.progress, .now) }
            sendCanary(idleSince: seen.at)
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: settings.heartbeat) }
        }
        logger.info("stopping: finishing what has begun")
        let lanes = parts.lanes
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
    package var isHeard: Bool {
        let lanes = parts.lanes
        return !lanes.isEmpty && lanes.allSatisfy { $0.silence < settings.heartbeat * settings.broker.liveness }
    }

    var canary: Canary? { settings.canary }

    /// Why it is not ready; nil if it is.
    var obstacle: String? {
        if let canary, canary.age ?? .seconds(1_000_000) > settings.canaryLimit, parts.idleTime > settings.canaryLimit {
            return "no image has gone through lately"
        }
        return isHeard ? nil : "no dispatcher has been heard"
    }

    /// Lets test images through, alone and together, before anybody else's come.
    private func prove() async throws {
        guard let canary else { return }
        for count in [1, 1, 4] {
            for job in canary.jobs(count) where parts.pipeline?.submit(job) != true { return }
            while canary.isWaiting, !Task.isShuttingDownGracefully, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(5))
            }
            if let failure = canary.failure { throw failure }
        }
        logger.info("test images gave one answer")
    }

    /// While nothing else goes through, a test image does. Only an empty pipeline is sure to take it without waiting.
    private func sendCanary(idleSince: ContinuousClock.Instant) {
        guard let canary, !canary.isWaiting, parts.ledger.isEmpty, .now - idleSince > settings.canaryPause,
            canary.age ?? .seconds(1_000_000) > settings.canaryPause
        else { return }
        for job in canary.jobs(1) { _ = parts.pipeline?.submit(job) }
    }

    /// Says what is held and how far it is. Called by the task that sees the pipeline's progress, so that a worker whose pipeline hangs
    /// does not look alive.
    private func beat() {
        let progress = parts.progress
        for (index, lane) in parts.lanes.enumerated() {
            lane.send(HeartbeatInfo(leases: parts.ledger.progress(lane: index, now: progress)))
        }
    }
}
