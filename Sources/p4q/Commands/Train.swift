import ArgumentParser
import CLIP
import Foundation
import Logging
import Messages
import ServiceLifecycle
import Services
import Synchronization
import Tensors
import Training
import Transport
import Tuning

/// `p4q train`: the trainer.
struct Train: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Learn from labelled images of a dispatcher, and publish what is better.",
        discussion: """
            Takes labelled images (p4q label push) from the service train, keeps their features in --store, and retrains after --after new \
            examples, every --every minutes, by --cron, or when p4q label retrain asks for it. A candidate is compared with the release in \
            service on held-out examples, and published only if it is better beyond chance. --once takes what waits, retrains, and exits.
            """)

    @OptionGroup var learner: LearnerOptions

    @Option(
        name: .long,
        help: """
            A class set in YAML or JSON; may be repeated. The first is meant by jobs that name none. The built-in model's own if that learns and \
            none is given.
            """, completion: .file())
    var classSet: [String] = []

    @OptionGroup var dispatcherOptions: DispatcherOptions
    @OptionGroup var storeOptions: StoreOptions
    @OptionGroup var scheduleOptions: ScheduleOptions

    @Flag(name: .long, help: "Take what waits, retrain if there is something new, publish or not, and exit.")
    var once = false

    @Option(name: .long, help: "With --once: seconds without a job after which nothing more is waited for.")
    var idle = 3

    @Option(
        name: .long,
        help: "The key that releases are signed with (p4q keys new --role publisher); one in --store, which is made, if not given.",
        completion: .file())
    var publisherKey: String?

    @Flag(name: .long, help: "Publish beside the live release: workers score with both and report how they agree.")
    var shadow = false

    @OptionGroup var shadowOptions: ShadowOptions

    @Option(name: .long, help: "Answers below a confidence become unknown, so that of the others this share is right on held-out examples.")
    var precision: Double?

    @OptionGroup var gateOptions: GateOptions
    @OptionGroup var tuning: TuningOptions
    @OptionGroup var threading: ThreadOptions
    @OptionGroup var imageOptions: ImageOptions

    @Option(name: .long, help: "The name in every result; host and process if not given.")
    var name: String?

    @Option(name: .long, help: "The HTTP port for /metrics, /livez, /readyz and /stats: PORT on loopback, or HOST:PORT.")
    var http: String?

    @OptionGroup var configurationOptions: ConfigurationOptions
    @OptionGroup var logOptions: LogOptions

    /// How long `--once` waits for a dispatcher that says nothing.
    fileprivate static let patience = Duration.seconds(60)

    /// A dispatcher was not heard in time.
    struct SilentDispatcher: Error, CustomStringConvertible {
        let endpoint: String
        var description: String {
            "\(endpoint) was not heard for \(Train.patience); nothing was learned. Start the dispatcher, or check --dispatcher and the keys"
        }
    }

    func validate() throws {
        try learner.check(hasClassSet: !classSet.isEmpty)
        if let precision, !(precision > 0 && precision <= 1) { throw ValidationError("--precision lies between 0 and 1") }
        if idle < 1 { throw ValidationError("--idle must be at least 1") }
    }

    func run() async throws {
        ProcessMemory.keepSmall()
        let logger = logOptions.makeLogger("p4q.train")
        let watchAddress = try http.map { try WatchPort.Address($0) }
        let endpoint = try dispatcherOptions.requiredEndpoint()
        let (student, teacher) = try learner.load()
        let files = try classSet.map { try ClassSet(contentsOf: URL(fileURLWithPath: $0)) }
        let sets = TrainableClassSets(files.isEmpty ? [try ModelLocation.classSet()] : files)
        let folder = URL(fileURLWithPath: storeOptions.store)
        let store = try ExampleStore(
            folder: folder,
            identity: Retrainer.identity(student: student, teacher: teacher, appliesOrientation: !imageOptions.ignoreOrientation),
            options: storeOptions.options)
        let context = try ZeroMQContext()
        defer { context.terminate() }
        let publisher = DispatcherReleasePublisher(
            dispatcher: endpoint, socketOptions: try dispatcherOptions.socketOptions(), context: context,
            key: try PublisherKey(contentsOf: keyFile(folder, logger)), model: student, pool: threading.makePool())
        let retrainings = sets.sets.map { set in
            Retraining(
                Retrainer(
                    store: store, classSet: set, student: student, teacher: teacher,
                    settings: tuning.settings(isBuiltIn: learner.isBuiltIn), rules: gateOptions.rules,
                    precision: precision, pool: threading.makePool()),
                publisher: publisher, mode: shadow ? .shadow : .live, logger: logger)
        }
        let requests = RetrainingRequests()
        let metrics = ProcessMetrics()
        let pipeline = Mutex<LearningPipeline?>(nil)
        let worker = try DispatchedWorker(
            settings: try workerSettings(endpoint, student), context: context, logger: logger,
            pipeline: { [pipelineSettings = pipelineSettings(metrics), pool = threading.makePool()] deliver in
                let made = try LearningPipeline(
                    student: student, teacher: teacher, classSets: sets, store: store, settings: pipelineSettings, pool: pool,
                    onRetrain: { requests.add($0.name) }, deliver: deliver)
                pipeline.withLock { $0 = made }
                return made
            })
        guard let pipeline = pipeline.withLock({ $0 }) else { preconditionFailure("the worker has made its pipeline") }
        if once {
            try await ServiceRunner.run(
                [IdleWatch(worker: worker, endpoint: endpoint.address, pipeline: pipeline, limit: .seconds(idle)), worker], logger: logger)
            for retraining in retrainings { try await retrainOnce(retraining) }
            return
        }
        if scheduleOptions.isEmpty {
            logger.notice("nothing says when to retrain: give --after, --every or --cron, or ask with p4q label retrain")
        }
        let trainer = TrainerService(
            retrainings, schedule: scheduleOptions.schedule, shadowRules: shadowOptions.rules, requests: requests, logger: logger)
        var services: [any Service] = [worker, trainer, ConfigurationWatcher.unchanging(logger)]
        if let watchAddress {
            services.append(WatchPort(address: watchAddress, source: trainer.watchSource(worker, metrics, model: student), logger: logger))
        }
        try await ServiceRunner.run(services, logger: logger)
    }

    private func retrainOnce(_ retraining: Retraining) async throws {
        let (store, set) = (retraining.retrainer.store, retraining.retrainer.classSet)
        let last = try store.runs(classSet: set.name).last { $0.state != .givenUp }
        var facts: [(name: String, value: any Encodable)] = [("class_set", set.name)]
        if try store.openRun(classSet: set.name) == nil, try store.changes(classSet: set.name) == last?.changes ?? 0 {
            facts.append(("result", "nothing_new"))
        } else {
            switch try await retraining.run(isStopped: { false }) {
            case .published(let version): facts += [("result", "published"), ("version", version)]
            case .rejected(let reasons): facts += [("result", "rejected"), ("reasons", reasons.joined(separator: "; "))]
            }
            if let figures = try store.runs(classSet: set.name).last?.verdict?.figures {
                facts += [
                    ("held_out", figures.examples), ("right_before", figures.before), ("right_after", figures.after),
                    ("right_untuned", figures.untuned), ("gained", figures.gained), ("lost", figures.lost), ("p", figures.p),
                    ("level", figures.level), ("calibration_error_before", rounded(figures.calibrationErrorBefore, 4)),
                    ("calibration_error_after", rounded(figures.calibrationErrorAfter, 4)),
                    ("temperature", rounded(figures.temperature, 4)),
                ]
            }
        }
        try printReport(facts, json: true)
    }

    /// The publisher's key, made in the store's folder if there is none.
    private func keyFile(_ folder: URL, _ logger: Logger) throws -> String {
        if let publisherKey { return publisherKey }
        let base = folder.appendingPathComponent("publisher").path
        if !FileManager.default.fileExists(atPath: base + ".key_secret") {
            try PublisherKey(name: "trainer").write(to: base)
            logger.notice("made a key that releases are signed with; workers take its releases with --trust \(base).key")
        }
        return base + ".key_secret"
    }

    private var workerName: String { name ?? "\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)" }

    private func pipelineSettings(_ metrics: ProcessMetrics) -> ClassificationPipeline.Settings {
        var settings = ClassificationPipeline.Settings(worker: workerName, decodeThreads: threading.count)
        settings.metrics = metrics.factory
        settings.limits = imageOptions.limits
        settings.appliesOrientation = !imageOptions.ignoreOrientation
        return settings
    }

    private func workerSettings(_ endpoint: Endpoint, _ student: CLIPModel) throws -> DispatchedWorker.Settings {
        var settings = DispatchedWorker.Settings(dispatcher: endpoint, worker: workerName)
        settings.socketOptions = try dispatcherOptions.socketOptions()
        settings.socketOptions.maxFrameBytes = imageOptions.maxBytes + 64 << 10
        settings.service = "train"
        settings.models = [Provenance(name: student.name, sha256: Digest(hex: student.sha256) ?? .zero)]
        return settings
    }
}

/// Ends when no job has come for a while.
private struct IdleWatch: Service {
    let worker: DispatchedWorker
    let endpoint: String
    let pipeline: LearningPipeline
    let limit: Duration

    /// What waits can come only after the dispatcher was heard: until then no time counts as idle.
    func run() async throws {
        let start = ContinuousClock.now
        while !worker.isHeard && !Task.isShuttingDownGracefully {
            if ContinuousClock.now - start > Train.patience { throw Train.SilentDispatcher(endpoint: endpoint) }
            try await Task.sleep(for: .milliseconds(100))
        }
        let heard = ContinuousClock.now
        try? await cancelWhenGracefulShutdown {
            while min(pipeline.idleTime, .now - heard) < limit { try await Task.sleep(for: .milliseconds(100)) }
        }
    }
}
