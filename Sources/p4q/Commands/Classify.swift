import ArgumentParser
import CLIP
import Datasets
import Foundation
import Messages
import Services
import Synchronization
import Tensors

/// `p4q classify`: images from the command line, scored in this process.
struct Classify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Classify images given on the command line.")

    @Argument(help: "Images, folders or tar archives of images, or - for a list on standard input.", completion: .file())
    var images: [String]

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var classOptions: ClassOptions
    @OptionGroup var imageOptions: ImageOptions

    @Option(name: .long, help: "The most images in one pass through the model.")
    var batchMax = 32

    @Flag(name: .long, help: "Print one JSON object a line instead of a table.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    func validate() throws {
        if batchMax < 1 { throw ValidationError("--batch-max must be at least 1") }
        if classOptions.areMissing && ModelLocation.builtIn(modelOptions.model) != nil { return }
        if classOptions.labels == nil && classOptions.classSet.count != 1 {
            throw ValidationError("say into what to classify: --labels cat,dog or one --class-set FILE")
        }
    }

    func run() async throws {
        let model = try modelOptions.load()
        let pool = modelOptions.threading.makePool()
        let registry = ClassSetRegistry(
            model: model, pool: pool, cache: classOptions.textFeatureCache(), truncating: classOptions.truncatePrompts)
        for file in classOptions.files { try registry.put(ClassSet(contentsOf: file)) }
        if let inline = try classOptions.inlineSet() { try registry.put(inline) }
        if classOptions.areMissing { try registry.put(ModelLocation.classSet()) }

        var settings = ClassificationPipeline.Settings(worker: "local", decodeThreads: modelOptions.threading.count)
        settings.batchMaximum = batchMax
        settings.limits = imageOptions.limits
        settings.appliesOrientation = !imageOptions.ignoreOrientation
        let output = OrderedResults(json: json, quiet: quiet)
        let pipeline = try ClassificationPipeline(model: model, registry: registry, settings: settings, pool: pool) { batches in
            for batch in batches { for result in batch.results { output.add(result, place: Int(batch.id) ?? 0) } }
        }
        let count = feed(pipeline, output)
        pipeline.finish()
        if count == 0 { throw NoImages(inputs: images) }
        try output.finish()
    }

    /// The id of an image is its path; its place on the command line is kept in the batch id, so that results come out in that order.
    ///
    /// - Returns: how many there are, those that can't be read among them.
    private func feed(_ pipeline: ClassificationPipeline, _ output: OrderedResults) -> Int {
        let source = ImageSource(images, limit: imageOptions.maxBytes)
        var place = 0
        while true {
            do throws(DatasetError) {
                guard let item = try source.next() else { return place }
                let data = Data(try item.load())
                let job = Job(id: item.id, topK: classOptions.topK)
                _ = pipeline.submit(ClassificationJob(job, payload: .data(data), batchID: String(place)))
            } catch {
                let failure = Failure(code: error.code, stage: .fetch, message: "\(error)", retryable: false)
                output.add(JobResult(id: error.subject, outcome: .failed(failure), worker: "local"), place: place)
            }
            place += 1
        }
    }
}

/// Results in the order of their images, printed as soon as those before them are there.
private final class OrderedResults: Sendable {
    private struct State {
        var next = 0
        var waiting: [Int: JobResult] = [:]
        var failed = 0
        var rows: [JobResult] = []
        var error: (any Error)?
        var progress: Progress
    }

    private let json: Bool
    private let state: Mutex<State>

    init(json: Bool, quiet: Bool) {
        self.json = json
        state = Mutex(State(progress: Progress("classified", isQuiet: quiet)))
    }

    func add(_ result: JobResult, place: Int) {
        state.withLock { state in
            state.waiting[place] = result
            while let result = state.waiting.removeValue(forKey: state.next) {
                state.next += 1
                if case .failed = result.outcome { state.failed += 1 }
                state.progress.update(state.next)
                if !json {
                    state.rows.append(result)
                    continue
                }
                do {
                    try StandardOutput.line(result.jsonLine())
                } catch {
                    state.error = state.error ?? error
                }
            }
        }
    }

    /// Throws: exit code 1 where some images failed.
    func finish() throws {
        let (rows, failed, done, error) = state.withLock { ($0.rows, $0.failed, $0.next, $0.error) }
        state.withLock { $0.progress.finish(done) }
        if let error { throw error }
        if !json { try ResultTable.print(rows) }
        try StandardOutput.flush()
        if failed > 0 { throw CommandFailure.someItemsFailed }
    }
}
