import ArgumentParser
import CLIP
import Foundation
import Logging
import Messages
import Services
import ServiceLifecycle
import Transport
import Tuning
import UnixSignals

/// `p4q worker`: takes jobs from a queue and gives results to one.
struct Worker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Classify images from a ZeroMQ endpoint and push the results to another.",
        discussion: """
            An endpoint is tcp://HOST:PORT, ipc://PATH or inproc://NAME; @ before it binds, > connects; a worker binds if neither is given. \
            A job is a message of an envelope (p4q.v1.JobBatch) and one frame an image. SIGTERM stops listening, finishes what is held, and \
            ends; a second one ends at once.

            With --dispatcher, jobs are leased from a dispatcher and answered to it: what a killed worker holds runs again elsewhere. With \
            --broker, the dispatcher is another maker's Majordomo broker: it passes a JobBatch and its images here and the ResultBatch back, \
            and what it or a killed worker holds is lost.
            """)

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var classOptions: ClassOptions
    @OptionGroup var imageOptions: ImageOptions

    @OptionGroup var dispatcherOptions: DispatcherOptions
    @OptionGroup var followOptions: FollowOptions

    @Option(name: .long, help: "With --dispatcher: the service to work for, classify or classify/NAME.")
    var service = "classify"

    @Option(name: .long, help: "With --dispatcher: whose broker it is.")
    var broker = WorkerBroker.p4q

    @Option(name: .long, help: "With --dispatcher: batches that are here at a time, the one that is computed included.")
    var lanes = 2

    @Option(name: .long, help: "With --dispatcher: the HTTP port for /metrics, /livez, /readyz and /stats: PORT on loopback, or HOST:PORT.")
    var http: String?

    @Option(name: .long, help: "Where jobs are pulled from; may be repeated.")
    var pull: [String] = ["@tcp://127.0.0.1:5557"]

    @Option(name: .long, help: "Where results are pushed to; may be repeated.")
    var push: [String] = ["@tcp://127.0.0.1:5558"]

    @Option(name: .long, help: "The most images in one pass through the model.")
    var batchMax = 32

    @Option(name: .long, help: "Milliseconds that the first image of a batch waits for others.")
    var batchWait = 2

    @Option(name: .long, help: "Threads that decode images; as many as compute if not given.")
    var decodeThreads: Int?

    @Option(name: .long, help: "A folder whose files jobs may refer to as file: URIs; may be repeated.", completion: .directory)
    var payloadRoot: [String] = []

    @Option(name: .long, help: "The name in every result; host and process if not given.")
    var name: String?

    @Option(name: .long, help: "Seconds that a stopping worker waits for a sink to take its results.")
    var flushSeconds = 10

    @OptionGroup var configurationOptions: ConfigurationOptions
    @OptionGroup var logOptions: LogOptions

    func validate() throws {
        if batchMax < 1 { throw ValidationError("--batch-max must be at least 1") }
        if batchWait < 0 || flushSeconds < 0 { throw ValidationError("waiting times can't be negative") }
        if let decodeThreads, decodeThreads < 1 { throw ValidationError("--decode-threads must be at least 1") }
        if lanes < 1 || lanes > 16 { throw ValidationError("--lanes is 1 to 16") }
        if broker != .p4q, dispatcherOptions.dispatcher == nil {
            throw ValidationError("--broker needs --dispatcher, the broker's endpoint")
        }
        if broker != .p4q, !followOptions.trust.isEmpty {
            throw ValidationError("releases come from p4q's dispatcher: --trust goes without --broker")
        }
        if pull.isEmpty || push.isEmpty { throw ValidationError("--pull and --push need an endpoint each") }
    }

    func run() async throws {
        ProcessMemory.keepSmall()
        let watchAddress = try http.map { try WatchPort.Address($0) }
        let logger = logOptions.makeLogger("p4q.worker")
        let model = try modelOptions.load()
        let pool = modelOptions.threading.makePool()
        let registry = ClassSetRegistry(
            model: model, pool: pool, cache: classOptions.textFeatureCache(), truncating: classOptions.truncatePrompts)
        let watcher = ClassSetWatcher(files: classOptions.files, registry: registry, logger: logger)
        try watcher.load()
        if let inline = try classOptions.inlineSet() { try registry.put(inline) }
        if classOptions.areMissing, ModelLocation.builtIn(modelOptions.model) != nil { try registry.put(ModelLocation.classSet()) }
        logger.info(
            "model loaded",
            metadata: ["model.name": "\(model.name)", "model.sha256": "\(model.sha256)", "class_sets": "\(registry.names)"])

        let metrics = ProcessMetrics()
        var pipelineSettings = pipelineSettings
        pipelineSettings.metrics = metrics.factory
        let context = try ZeroMQContext()
        // What libzmq has taken of the last results is delivered before the process ends.
        defer { context.terminate() }
        let makePipeline = { @Sendable [pipelineSettings] (deliver: @escaping ClassificationPipeline.Delivery) in
            try ClassificationPipeline(model: model, registry: registry, settings: pipelineSettings, pool: pool, deliver: deliver)
        }
        if let dispatcher = try dispatcherOptions.endpoint() {
            var settings = DispatchedWorker.Settings(dispatcher: dispatcher, worker: pipelineSettings.worker)
            settings.socketOptions = try dispatcherOptions.socketOptions()
            settings.socketOptions.maxFrameBytes = imageOptions.maxBytes + 64 << 10
            settings.broker = broker
            settings.service = service
            settings.lanes = lanes
            settings.batchItems = min(batchMax, MessageLimits.itemsPerBatch)
            settings.models = [Provenance(name: model.name, sha256: Digest(hex: model.sha256) ?? .zero)]
            let follower = try await follow(dispatcher, registry, model, context, logger)
            settings.canary = canary(model, registry)
            let worker = try DispatchedWorker(settings: settings, context: context, logger: logger, pipeline: makePipeline)
            var services: [any Service] = [worker, watcher, ConfigurationWatcher.unchanging(logger)]
            if let follower { services.append(follower) }
            if let watchAddress {
                services.append(
                    WatchPort(
                        address: watchAddress, source: worker.watchSource(metrics, model: model, registry: registry, follower: follower),
                        logger: logger))
            }
            return try await ServiceRunner.run(services, logger: logger)
        }
        var workerSettings = QueueWorker.Settings(
            jobs: try endpoints(pull, mode: .bind), results: try endpoints(push, mode: .bind))
        workerSettings.socketOptions.maxFrameBytes = imageOptions.maxBytes + 64 << 10
        workerSettings.flushLimit = .seconds(flushSeconds)
        workerSettings.socketOptions.linger = .seconds(flushSeconds)
        let worker = try QueueWorker(settings: workerSettings, context: context, logger: logger, pipeline: makePipeline)
        try await ServiceRunner.run([worker, watcher, ConfigurationWatcher.unchanging(logger)], logger: logger)
    }

    /// What is tried before READY: the default class set, or any classes where there is none; nil if nothing can be scored yet.
    private func canary(_ model: CLIPModel, _ registry: ClassSetRegistry) -> Canary? {
        if !registry.names.isEmpty { return Canary(isExact: model.bits != "32", classes: nil) }
        guard model.text != nil else { return nil }
        return Canary(isExact: model.bits != "32", classes: .inline(labels: ["picture", "nothing"], templates: ["a photo of a {}."]))
    }

    /// Follows the dispatcher's releases, if anybody's are to be taken; returns when the first ones are in place.
    private func follow(
        _ dispatcher: Endpoint, _ registry: ClassSetRegistry, _ model: CLIPModel, _ context: ZeroMQContext, _ logger: Logger
    ) async throws -> ReleaseFollower? {
        guard !followOptions.trust.isEmpty else { return nil }
        guard modelOptions.tuning == nil else {
            logger.warning("--tuning is in the model: no releases are followed")
            return nil
        }
        var settings = ReleaseFollower.Settings(
            dispatcher: dispatcher, events: try followOptions.releases.map { try Endpoint($0, default: .connect) })
        settings.socketOptions = try dispatcherOptions.socketOptions()
        if let events = settings.events, !events.isLocal, dispatcherOptions.key == nil, !dispatcherOptions.insecure {
            throw ValidationError("\(events.address) is on a network: give --key and --server-key, or --insecure to go without")
        }
        let follower = ReleaseFollower(
            settings: settings, context: context, registry: registry, model: model, trust: try TrustList(followOptions.trust),
            logger: logger)
        // A dispatcher that comes later is followed then.
        await follower.synchronize(within: .seconds(5))
        return follower
    }

    private var pipelineSettings: ClassificationPipeline.Settings {
        let worker = name ?? "\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)"
        var settings = ClassificationPipeline.Settings(worker: worker, decodeThreads: decodeThreads ?? modelOptions.threading.count)
        settings.batchMaximum = batchMax
        settings.batchWait = .milliseconds(batchWait)
        settings.limits = imageOptions.limits
        settings.appliesOrientation = !imageOptions.ignoreOrientation
        settings.payloadRoots = payloadRoot.map { URL(fileURLWithPath: $0) }
        return settings
    }
}

/// Endpoints as they were typed.
func endpoints(_ texts: [String], mode: Endpoint.Mode) throws(TransportError) -> [Endpoint] {
    var endpoints: [Endpoint] = []
    for text in texts { endpoints.append(try Endpoint(text, default: mode)) }
    return endpoints
}

/// Long-running parts under one roof: SIGTERM and SIGINT stop them gracefully, and a second signal ends the process at once.
enum ServiceRunner {
    /// Throws what the first service that failed has thrown, when the others have stopped.
    ///
    /// - Parameter atOnce: what is done before a second signal ends the process.
    static func run(_ services: [any Service], logger: Logger, atOnce: @escaping @Sendable () -> Void = {}) async throws {
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.enumerated().map { index, service in
                    // The first service is what the process is for: when it ends, all end.
                    .init(
                        service: service, successTerminationBehavior: index == 0 ? .gracefullyShutdownGroup : .ignore,
                        failureTerminationBehavior: .gracefullyShutdownGroup)
                },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        let impatience = SecondSignal(last: atOnce)
        defer { impatience.cancel() }
        try await group.run()
    }
}

extension WorkerBroker: ExpressibleByArgument {}
