import ArgumentParser
import Crypto
import Datasets
import Foundation
import Messages
import Services
import Synchronization
import Transport

/// `p4q push`: images into a queue.
struct Push: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Push images to a worker's endpoint.",
        discussion: """
            A file's id is its path; ids longer than 128 bytes are replaced by their SHA-256, and the path goes into the metadata. The label \
            that a folder or archive gives an image travels as metadata "label". Nothing is acknowledged: what a killed worker holds is lost.

            With --dispatcher, every image is acknowledged when it is durable, and sent again until it is. Its id is then made of --run, the \
            path and the content: pushing a run again, with --resume, sends only what is missing.
            """)

    @Argument(help: "Images, folders or tar archives of images, or - for a list on standard input.", completion: .file())
    var inputs: [String]

    @OptionGroup var dispatcherOptions: DispatcherOptions

    @Option(name: .long, help: "With --dispatcher: the service, classify, classify/NAME or train.")
    var service = "classify"

    @Option(name: .long, help: "With --dispatcher: the name of this run, at most 64 bytes; a new one if not given.")
    var run: String?

    @Flag(name: .long, help: "With --dispatcher and --run: send only what the dispatcher doesn't have.")
    var resume = false

    @Option(name: .long, help: "With --dispatcher: 0 to 9; all ready jobs of a higher priority go first.")
    var priority: Int?

    @Option(name: .long, help: "With --dispatcher: seconds without any answer before giving up.")
    var patience = 60

    @Option(name: .long, help: "Where jobs are pushed to; may be repeated.")
    var to: [String] = [">tcp://127.0.0.1:5557"]

    @Option(name: .long, help: "Class names, separated by commas, that travel with every job.")
    var labels: String?

    @Option(name: .long, help: "A prompt in which {} stands for the class name; goes with --labels and may be repeated.")
    var template: [String] = []

    @Option(name: .long, help: "The name of a class set that the worker knows.")
    var classSetName: String?

    @Option(name: .long, help: "Predictions an image.")
    var topK: Int?

    @Option(name: .long, help: "Milliseconds after which a result is worth nothing.")
    var deadline: Int?

    @Option(name: .long, help: "NAME=VALUE that is echoed in the result; may be repeated.")
    var metadata: [String] = []

    @Option(
        name: .long,
        help: "A W3C trace context (00-TRACE-SPAN-FLAGS) that travels with every job into the logs of its workers and its result.")
    var traceparent: String?

    @Option(name: .long, help: "The most images in one message.")
    var batch = 16

    @Option(name: .long, help: "Seconds to wait for the workers to take what is left at the end.")
    var linger = 60

    @Option(name: .long, help: "The largest image file, in bytes.")
    var maxBytes = 32 << 20

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    func validate() throws {
        if !(1...MessageLimits.itemsPerBatch).contains(batch) { throw ValidationError("--batch is 1 to \(MessageLimits.itemsPerBatch)") }
        if !DispatcherSettings.isQueueService(service) {
            throw ValidationError("--service \(service) is no queue: give classify, classify/NAME or train")
        }
        if let priority, !(0...9).contains(priority) { throw ValidationError("--priority is 0 to 9") }
        if let run, run.isEmpty || run.utf8.count > 64 { throw ValidationError("--run has 1 to 64 bytes") }
        if resume && run == nil { throw ValidationError("--resume needs the --run that is to go on") }
        if labels != nil && classSetName != nil { throw ValidationError("give either --labels or --class-set-name") }
        if let topK, topK < 1 { throw ValidationError("--top-k must be at least 1") }
        if let deadline, deadline < 0 { throw ValidationError("--deadline can't be negative") }
        if let traceparent, TraceContext(traceparent) == nil {
            throw ValidationError("--traceparent \(traceparent) is no W3C trace context, such as 00-<32 digits>-<16 digits>-01")
        }
        if let bad = metadata.first(where: { !$0.contains("=") }) { throw ValidationError("--metadata \(bad) is not NAME=VALUE") }
    }

    func run() async throws {
        if let endpoint = try dispatcherOptions.endpoint() { return try pushToDispatcher(endpoint) }
        var options = SocketOptions.sideDoor
        options.linger = .seconds(linger)
        let context = try ZeroMQContext()
        let sender = try Sender(at: endpoints(to, mode: .connect), in: context, options: options)
        let (pushed, failed) = try push(through: sender)
        let unsent = await sender.close(flushing: .seconds(linger))
        context.terminate()
        if pushed + failed == 0 { throw NoImages(inputs: inputs) }
        let notices = Notices(isQuiet: quiet)
        notices.note("\(pushed) images pushed" + (failed > 0 ? ", \(failed) could not be read" : ""))
        if !unsent.isEmpty {
            notices.warn(
                "\(unsent.count) messages were taken by no worker within \(linger) seconds; is one listening at \(to.joined(separator: ", "))?"
            )
            throw ExitCode(75)
        }
        if failed > 0 { throw CommandFailure.someItemsFailed }
    }

    private func pushToDispatcher(_ endpoint: Endpoint) throws {
        let stopped = Atomic<Bool>(false)
        let signals = StopSignals { stopped.store(true, ordering: .relaxed) }
        defer { signals.cancel() }
        let name = run ?? "run-\(Int(Date().timeIntervalSince1970))-\(ProcessInfo.processInfo.processIdentifier)"
        let push = PushToDispatcher(
            endpoint: endpoint, options: try dispatcherOptions.socketOptions(), service: service, run: name, resumes: resume, batch: batch,
            patience: .seconds(patience), quiet: quiet, makeJob: job)
        let tally = try push.push(inputs, maximumBytes: maxBytes) { stopped.load(ordering: .relaxed) }
        if tally.settled + tally.unread == 0, !stopped.load(ordering: .relaxed) { throw NoImages(inputs: inputs) }
        var text = "run \(name): \(tally.accepted) images accepted"
        if tally.duplicates + tally.skipped > 0 { text += ", \(tally.duplicates + tally.skipped) were there already" }
        if tally.refused > 0 { text += ", \(tally.refused) refused" }
        if tally.unread > 0 { text += ", \(tally.unread) could not be read" }
        Notices(isQuiet: quiet).note(text)
        if tally.refused + tally.unread > 0 { throw CommandFailure.someItemsFailed }
    }

    private func push(through sender: Sender) throws -> (pushed: Int, failed: Int) {
        let source = ImageSource(inputs, limit: maxBytes)
        var message = JobMessage(limit: batch)
        var progress = Progress("pushed", isQuiet: quiet)
        var (pushed, failed) = (0, 0)
        while let next = read(source) {
            switch next {
            case .failure(let error):
                failed += 1
                Notices(isQuiet: quiet).warn("\(error)")
            case .success(let (item, bytes)):
                let job = job(for: item)
                if !message.hasRoom(for: job, bytes: bytes.count) { try message.send(through: sender) }
                message.add(job, bytes)
                pushed += 1
                progress.update(pushed)
            }
        }
        try message.send(through: sender)
        progress.finish(pushed)
        return (pushed, failed)
    }

    /// The next image and its bytes, or why it has none; nil at the end.
    private func read(_ source: ImageSource) -> Result<(DatasetItem, [UInt8]), DatasetError>? {
        do throws(DatasetError) {
            guard let item = try source.next() else { return nil }
            return .success((item, try item.load()))
        } catch {
            return .failure(error)
        }
    }

    private func job(for item: DatasetItem) -> Job {
        var facts: [String: String] = [:]
        for pair in metadata {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            facts[String(parts[0])] = String(parts[1])
        }
        if let label = item.label { facts["label"] = label }
        var id = item.id
        if id.utf8.count > MessageLimits.idBytes {
            facts["path"] = id
            id = SHA256.hash(data: Data(id.utf8)).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        }
        return Job(
            id: id, classes: classes, topK: topK, deadline: deadline.map { .within(.milliseconds($0)) }, metadata: facts,
            traceparent: traceparent ?? "", label: item.label, priority: priority)
    }

    private var classes: ClassSelection? {
        if let classSetName { return .named(classSetName, sha256: nil) }
        return labels.map { labels in
            let names = labels.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
            return .inline(labels: names, templates: template)
        }
    }
}

/// Jobs and their images that will travel together.
private struct JobMessage {
    /// Bytes of one message's images: a worker's memory holds several messages.
    private static let byteLimit = 4 << 20

    let limit: Int
    private var jobs: [Job] = []
    private var payloads: [[UInt8]] = []
    private var ids: Set<String> = []
    private var bytes = 0

    init(limit: Int) { self.limit = limit }

    /// Whether another job fits: a message names each id once, and large images travel alone.
    func hasRoom(for job: Job, bytes count: Int) -> Bool {
        jobs.isEmpty || (jobs.count < limit && !ids.contains(job.id) && bytes + count <= Self.byteLimit)
    }

    mutating func add(_ job: Job, _ payload: [UInt8]) {
        jobs.append(job)
        payloads.append(payload)
        ids.insert(job.id)
        bytes += payload.count
    }

    /// Sends what is held, if anything, waiting as long as no worker has room.
    mutating func send(through sender: Sender) throws {
        if jobs.isEmpty { return }
        var frames = [try Frame(JobBatch(jobs: jobs).encode())]
        for payload in payloads { frames.append(try Frame(payload)) }
        try sender.send(frames, timeout: nil)
        self = JobMessage(limit: limit)
    }
}
