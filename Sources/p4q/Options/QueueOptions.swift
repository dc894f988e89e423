import ArgumentParser
import Foundation
import JobQueue
import Logging
import Services
import Transport

/// Where the journal is, and how durable.
struct JournalOptions: ParsableArguments {
    @Option(
        name: .long, help: "The journal's folder; \"memory\" keeps everything in memory and loses it at the end.", completion: .directory)
    var journal = "p4q-journal"

    @Flag(
        name: .long, help: "Don't wait for the disk at each commit: a power cut loses what was accepted last, though it was acknowledged.")
    var fastAndLossy = false

    @Flag(name: .long, help: "Start although the journal ends before what was committed: what is missing is lost.")
    var acceptLoss = false

    /// The store of the journal.
    func open(_ logger: Logger) throws -> any JobStore {
        if journal == "memory" {
            logger.warning("the journal is kept in memory: what is accepted is lost when this process ends")
            return MemoryStore()
        }
        var options = SQLiteStore.Options()
        options.isDurable = !fastAndLossy
        options.acceptsLoss = acceptLoss
        // A write beyond a file size limit must fail, not end the process.
        signal(SIGXFSZ, SIG_IGN)
        return try SQLiteStore(folder: journal, options: options)
    }
}

/// Who may connect.
struct ServerSecurityOptions: ParsableArguments {
    @Option(name: .long, help: "The dispatcher's own key file (NAME.key_secret of p4q keys new).", completion: .file())
    var key: String?

    @Option(name: .long, help: "The folder of public keys that may connect (p4q keys allow).", completion: .directory)
    var allow: String?

    @Flag(name: .long, help: "Bind to a network without keys: anyone who reaches the port may do everything, and read everything.")
    var insecure = false

    func validate() throws {
        if (key == nil) != (allow == nil) { throw ValidationError("--key and --allow go together") }
    }

    /// What the dispatcher at `endpoints` asks of its peers.
    func make(for endpoints: [Endpoint]) throws -> DispatcherSecurity {
        guard let key, let allow else {
            if let open = endpoints.first(where: { !$0.isLocal }), !insecure {
                throw ValidationError(
                    "\(open.address) is on a network: give --key and --allow (p4q keys new), or --insecure to let everyone in")
            }
            return .open
        }
        guard let pair = try KeyCertificate(contentsOf: key).pair else {
            throw ValidationError("\(key) has no secret key: give the file that ends in .key_secret")
        }
        return .keys(pair, try AllowList(folder: allow))
    }
}

/// The queue's numbers.
struct QueueOptions: ParsableArguments {
    @Option(name: .long, help: "Open jobs in all; beyond them producers are told to wait. 2 million if nothing says otherwise.")
    var maxJobs: Int?

    @Option(name: .long, help: "Bytes of open jobs in all; 64 GiB if nothing says otherwise.")
    var maxQueueBytes: Int?

    @Option(name: .long, help: "Seconds after which an open job is given up as expired; no limit if not given.")
    var maxAge: Int?

    @Option(name: .long, help: "Open jobs of each producer; no limit if not given.")
    var producerJobs: Int?

    @Option(name: .long, help: "The most jobs in a worker's batch.")
    var batchJobs = QueueConfiguration().standardBatching.jobs

    @Option(name: .long, help: "Milliseconds that a batch's oldest job waits for others.")
    var batchWait = Int(QueueConfiguration().standardBatching.wait.milliseconds)

    @Option(name: .long, help: "Milliseconds a batch should take at a worker; batches are made as large as it lately did in that time.")
    var batchLatency: Int?

    @Option(name: .long, help: "Attempts before a job is given up.")
    var attempts = QueueConfiguration().attempts

    @Option(name: .long, help: "Unacknowledged outcomes a sink may have.")
    var sinkWindow = QueueConfiguration().sinkWindow

    @Option(name: .long, help: "Seconds that outcomes stay after every group has read them.")
    var keepOutcomes = 3600

    @Option(name: .long, help: "Days for which the ids of finished jobs are known, so that a repeat is a duplicate.")
    var rememberDays = 7

    @Option(name: .long, help: "The most such ids; beyond them the oldest days are forgotten.")
    var rememberIds = QueueConfiguration().rememberedIDs

    @Option(name: .long, help: "The share of a producer among others, as NAME=1…1000; others have 1. May be repeated.")
    var weight: [String] = []

    @Option(name: .long, help: "The largest image, in bytes.")
    var maxBytes = 32 << 20

    func validate() throws {
        let limits = [maxJobs ?? 1, maxQueueBytes ?? 1, maxAge ?? 1, producerJobs ?? 1, batchLatency ?? 1]
        if (limits + [batchJobs, attempts, sinkWindow, maxBytes, rememberDays, rememberIds]).contains(where: { $0 < 1 }) {
            throw ValidationError("limits must be at least 1")
        }
        if batchWait < 0 || keepOutcomes < 0 { throw ValidationError("waiting times can't be negative") }
        _ = try weights()
    }

    /// The queue's numbers: these options over the file's limits.
    func configuration(file: QueueLimits) throws -> QueueConfiguration {
        var configuration = QueueConfiguration()
        file.apply(to: &configuration)
        if let maxJobs { (configuration.total.jobs, configuration.service.jobs) = (maxJobs, maxJobs) }
        if let maxQueueBytes { (configuration.total.bytes, configuration.service.bytes) = (maxQueueBytes, maxQueueBytes) }
        if let maxAge { configuration.service.age = .seconds(maxAge) }
        if let producerJobs { configuration.producer.jobs = producerJobs }
        configuration.standardBatching = .init(
            jobs: batchJobs, wait: .milliseconds(batchWait), latencyTarget: batchLatency.map { .milliseconds($0) })
        configuration.attempts = attempts
        configuration.sinkWindow = sinkWindow
        configuration.keepOutcomes = .seconds(keepOutcomes)
        configuration.rememberIDs = .seconds(rememberDays * 86_400)
        configuration.rememberedIDs = rememberIds
        configuration.weights.merge(try weights()) { $1 }
        return configuration
    }

    private func weights() throws -> [String: Int] {
        var weights: [String: Int] = [:]
        for pair in weight {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let share = Int(parts[1]), (1...1000).contains(share) else {
                throw ValidationError("--weight \(pair) is not NAME=1…1000")
            }
            weights[String(parts[0])] = share
        }
        return weights
    }
}
