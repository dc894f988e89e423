import ArgumentParser
import Foundation
import JobQueue
import Logging
import ServiceLifecycle
import Services
import Transport

/// `p4q dispatch`: the durable broker.
struct Dispatch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the dispatcher: the durable queue between producers, workers and sinks.",
        discussion: """
            What it has accepted is in its journal and is not lost, whoever is killed. Speaks Majordomo (ZeroMQ RFC 18 and RFC 7) on a \
            ROUTER socket. SIGTERM: it takes nothing new, lets workers finish for up to 20 s, exits 0.
            """)

    @Option(name: .long, help: "Where everyone connects; may be repeated.")
    var bind: [String] = ["@tcp://127.0.0.1:5555"]

    @Option(name: .long, help: "A socket of their own for workers and sinks; may be repeated.")
    var bindWorkers: [String] = []

    @Option(name: .long, help: "A publishing socket that tells workers of releases, who learn of it from the dispatcher; may be repeated.")
    var bindReleases: [String] = []

    @Option(name: .long, help: "A side door that plain producers push jobs to (p4q push --to); they are told nothing. May be repeated.")
    var pull: [String] = []

    @Option(name: .long, help: "A side door that plain sinks pull results from (p4q collect --from); unacknowledged. May be repeated.")
    var push: [String] = []

    @Option(name: .long, help: "The group whose results go out by --push.")
    var pushGroup = "default"

    @OptionGroup var journal: JournalOptions
    @OptionGroup var security: ServerSecurityOptions
    @OptionGroup var limits: QueueOptions
    @Option(name: .long, help: "The HTTP port for /metrics, /livez, /readyz and /stats: PORT on loopback, or HOST:PORT.")
    var http: String?

    @OptionGroup var configurationOptions: ConfigurationOptions
    @OptionGroup var logOptions: LogOptions

    func run() async throws {
        let logger = logOptions.makeLogger("p4q.dispatch")
        let watchAddress = try http.map { try WatchPort.Address($0) }
        var lists = [try bound(bind, by: "--bind")]
        if !bindWorkers.isEmpty { lists.append(try bound(bindWorkers, by: "--bind-workers")) }
        var settings = DispatcherSettings(endpoints: lists)
        settings.jobDoors = try endpoints(pull, mode: .bind)
        settings.resultDoors = try endpoints(push, mode: .bind)
        settings.resultDoorGroup = pushGroup
        settings.releaseEvents = try bound(bindReleases, by: "--bind-releases")
        if let open = (settings.jobDoors + settings.resultDoors).first(where: { !$0.isLocal }), !security.insecure {
            throw ValidationError("the side door \(open.address) is on a network, and side doors have no keys: --insecure lets everyone in")
        }
        settings.security = try security.make(for: lists.flatMap { $0 } + settings.releaseEvents)
        settings.queue = try limits.configuration(file: configurationOptions.limits())
        settings.maximumImageBytes = limits.maxBytes
        let store = try journal.open(logger)
        let context = try ZeroMQContext()
        let dispatcher = try await Dispatcher(settings: settings, store: store, context: context, logger: logger)
        var services: [any Service] = [dispatcher]
        let metrics = ProcessMetrics()
        if let watchAddress { services.append(WatchPort(address: watchAddress, source: dispatcher.watchSource(metrics), logger: logger)) }
        let reload = try await LimitsReload(
            .process, dispatcher: dispatcher, queue: settings.queue, metrics: metrics.factory, logger: logger)
        services.append(ConfigurationWatcher(path: configurationOptions.config) { await reload.reload($0) })
        try await ServiceRunner.run(services, logger: logger)
        try await store.close()
        context.terminate()
    }

    /// Endpoints that others connect to.
    private func bound(_ texts: [String], by option: String) throws -> [Endpoint] {
        let endpoints = try endpoints(texts, mode: .bind)
        if let wrong = endpoints.first(where: { $0.mode == .connect }) {
            throw ValidationError("\(option) \(wrong) would connect, and nothing would listen: leave the > out")
        }
        return endpoints
    }
}
