import ArgumentParser
import Crypto
import Datasets
import Foundation
import Messages
import Services
import Synchronization
import Training
import Transport

/// `p4q label`: what the trainer learns from.
struct Label: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Give labelled images to the trainer, correct them, and have them forgotten.",
        subcommands: [LabelPush.self, LabelRemove.self, LabelStats.self, LabelRetrain.self])
}

/// The name of an example: the run's name and the path, or their hash where they are too long.
func exampleID(run: String, path: String) -> String {
    let name = "\(run)/\(path)"
    guard name.utf8.count > MessageLimits.idBytes else { return name }
    return "\(run)/"
        + SHA256.hash(data: Data(path.utf8)).prefix(20).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}

struct LabelPush: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push", abstract: "Push labelled images to the trainer.",
        discussion: """
            An image is labelled by its folder (cat/1.jpg), in folders and tar archives, or by a table: CSV with a header path,label[,id], or \
            JSON Lines with these members. What has no label is not sent. An example is named by --run and its path (or its id in the \
            table); pushing it again with another label corrects it. Each image is acknowledged when it is durable.
            """)

    @Argument(help: "Folders, tar archives, .csv or .jsonl tables.", completion: .file())
    var inputs: [String]

    @OptionGroup var dispatcherOptions: DispatcherOptions

    @Option(name: .customLong("class-set"), help: "The name of the class set; the trainer's first one if not given.")
    var classSet: String?

    @Option(name: .long, help: "The name that these examples share, at most 64 bytes.")
    var run = "labels"

    @Flag(name: .long, help: "Send only what the dispatcher doesn't have.")
    var resume = false

    @Option(name: .long, help: "A new name if the same examples get labels again that an earlier push has given them.")
    var pass = ""

    @Option(name: .long, help: "The most images in one message.")
    var batch = 16

    @Option(name: .long, help: "Seconds without any answer before giving up.")
    var patience = 60

    @Option(name: .long, help: "The largest image file, in bytes.")
    var maxBytes = 32 << 20

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    func validate() throws {
        if run.isEmpty || run.utf8.count > 64 { throw ValidationError("--run has 1 to 64 bytes") }
        if !(1...MessageLimits.itemsPerBatch).contains(batch) { throw ValidationError("--batch is 1 to \(MessageLimits.itemsPerBatch)") }
    }

    func run() async throws {
        let stopped = Atomic<Bool>(false)
        let signals = StopSignals { stopped.store(true, ordering: .relaxed) }
        defer { signals.cancel() }
        let labelled = ExampleStore.now()
        let (name, classSet) = (run, classSet)
        let push = PushToDispatcher(
            endpoint: try dispatcherOptions.requiredEndpoint(), options: try dispatcherOptions.socketOptions(), service: "train", run: name,
            resumes: resume, batch: batch, patience: .seconds(patience), quiet: quiet, pass: pass,
            makeJob: { item in
                Job(
                    id: "", classes: classSet.map { .named($0, sha256: nil) }, label: item.label,
                    training: TrainingRequest(.learn, exampleID: exampleID(run: name, path: item.id), labelled: labelled))
            })
        var tally = PushToDispatcher.Tally()
        var (unlabelled, firstUnlabelled) = (0, "")
        for input in inputs {
            let part: PushToDispatcher.Tally
            let stop = { stopped.load(ordering: .relaxed) }
            if LabelTable.isOne(input) {
                let table = try LabelTable(input, limit: maxBytes)
                part = try push.push({ () throws(DatasetError) in try table.next() }, stop: stop)
            } else {
                let source = ImageSource([input], limit: maxBytes)
                let next = { () throws(DatasetError) -> DatasetItem? in
                    while let item = try source.next() {
                        if item.label != nil { return item }
                        if unlabelled == 0 { firstUnlabelled = item.id }
                        unlabelled += 1
                    }
                    return nil
                }
                part = try push.push(next, stop: stop)
            }
            tally.accepted += part.accepted
            tally.duplicates += part.duplicates + part.skipped
            tally.refused += part.refused
            tally.unread += part.unread
        }
        if tally.settled + tally.unread + unlabelled == 0, !stopped.load(ordering: .relaxed) { throw NoImages(inputs: inputs) }
        var text = "\(tally.accepted) labelled images accepted"
        if tally.duplicates > 0 { text += ", \(tally.duplicates) were there already" }
        if tally.refused > 0 { text += ", \(tally.refused) refused" }
        if tally.unread > 0 { text += ", \(tally.unread) could not be read" }
        let notices = Notices(isQuiet: quiet)
        notices.note(text)
        if unlabelled > 0 {
            notices.warn(
                "\(unlabelled) images have no label and were not sent, \(firstUnlabelled) the first: "
                    + "give the folder above, whose subfolders are the classes, or a table")
        }
        if tally.refused + tally.unread + unlabelled > 0 { throw CommandFailure.someItemsFailed }
    }
}

struct LabelRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Have examples forgotten for good: they are erased, and can't come back under their names.")

    @Argument(help: "Paths, or ids of a table, as they were pushed with --run.")
    var paths: [String]

    @OptionGroup var dispatcherOptions: DispatcherOptions

    @Option(name: .customLong("class-set"), help: "The name of the class set; the trainer's first one if not given.")
    var classSet: String?

    @Option(name: .long, help: "The name that the examples were pushed with.")
    var run = "labels"

    func run() async throws {
        let jobs = paths.map { path -> Job in
            let id = exampleID(run: run, path: path)
            let digits = SHA256.hash(data: Data("\(classSet ?? "") \(id)".utf8)).map {
                String($0 >> 4, radix: 16) + String($0 & 15, radix: 16)
            }
            return Job(
                id: "forget/" + digits.joined(), classes: classSet.map { .named($0, sha256: nil) },
                training: TrainingRequest(.forget, exampleID: id))
        }
        try TrainingJobs(options: dispatcherOptions).send(jobs)
        try StandardOutput.line("\(jobs.count) examples will be forgotten; p4q collect shows when each is")
        try StandardOutput.flush()
    }
}

struct LabelRetrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "retrain", abstract: "Have the trainer retrain now.")

    @OptionGroup var dispatcherOptions: DispatcherOptions

    @Option(name: .customLong("class-set"), help: "The name of the class set; the trainer's first one if not given.")
    var classSet: String?

    func run() async throws {
        let job = Job(
            id: "retrain/\(UUID().uuidString)", classes: classSet.map { .named($0, sha256: nil) }, training: TrainingRequest(.retrain))
        try TrainingJobs(options: dispatcherOptions).send([job])
    }
}

/// Jobs for the trainer that bring no image.
private struct TrainingJobs {
    let options: DispatcherOptions

    /// Hands them to the dispatcher. Throws the first refusal.
    func send(_ jobs: [Job]) throws {
        let context = try ZeroMQContext()
        defer { context.terminate() }
        let client = try DispatcherClient(to: options.requiredEndpoint(), in: context, options: options.socketOptions())
        for start in stride(from: 0, to: jobs.count, by: MessageLimits.itemsPerBatch) {
            let part = Array(jobs[start..<min(jobs.count, start + MessageLimits.itemsPerBatch)])
            let body = [try JobBatch(jobs: part).encode()] + part.map { _ in [UInt8]() }
            let reply = try SubmitReply(envelopes: try client.ask("train", body, timeout: .seconds(30)))
            if let failure = reply.failure { throw failure }
            if let refused = reply.receipts.first(where: { $0.verdict != .accepted && $0.verdict != .duplicate }) {
                throw Failure(
                    code: refused.code.isEmpty ? "job.refused" : refused.code, stage: .queue,
                    message: "\(refused.id): \(refused.message.isEmpty ? "the dispatcher is busy, try again" : refused.message)",
                    retryable: true)
            }
        }
    }
}

struct LabelStats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "What a trainer's store holds: one JSON object a class set and label, then one a drift or shadow's end that was seen.")

    @Option(name: .long, help: "The trainer's folder.", completion: .directory)
    var store = "p4q-trainer"

    func run() throws {
        let store = try ExampleStore(reading: URL(fileURLWithPath: store))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        for count in try store.labelCounts() { try StandardOutput.line(String(decoding: try encoder.encode(count), as: UTF8.self)) }
        for set in try store.classSets() {
            for event in try store.events(classSet: set).reversed() {
                try StandardOutput.line(String(decoding: try encoder.encode(event), as: UTF8.self))
            }
        }
        try StandardOutput.flush()
    }
}
