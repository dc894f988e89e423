package import CLIP
package import Foundation
package import Imaging
package import Messages
package import Metrics
internal import Synchronization
package import Tensors
internal import Transport

/// What works on a worker's jobs. Every job that was taken is answered, once.
package protocol JobPipeline: Sendable {
    /// Takes a job, waiting for room. False: the pipeline has been finished and the job was not taken.
    func submit(_ job: ClassificationJob) -> Bool
    /// Takes no more jobs and returns when all that were taken have been answered.
    func finish()
    var counters: PipelineCounters { get }
}

/// The last step of a pipeline: what is done with a batch of pictures. One a thread.
protocol BatchStage {
    /// One result for each image, with the id of the batch that it answers.
    func run(_ batch: [PreparedImage]) -> [(batch: String, result: JobResult)]
}

/// The way of an image through a worker: decode and preprocess on as many threads as asked for, batches through the tower, scores.
///
/// Bounded everywhere: `submit` waits when more is held than three batches (one in files, one prepared, one in the tower), so that who feeds the pipeline feels
/// how fast it is. Every job that was taken is answered, once.
package final class ClassificationPipeline: JobPipeline {
    /// How the pipeline works.
    package struct Settings: Sendable {
        /// The most images in one pass through the tower. 32: beyond it the tower gains nothing on CPUs.
        package var batchMaximum = 32
        /// How long the first image of a batch waits for others. 2 ms: a twentieth of what an image costs, little against any network.
        package var batchWait: Duration = .milliseconds(2)
        /// Threads that decode.
        package var decodeThreads: Int
        package var limits = ImageLimits()
        package var appliesOrientation = true
        /// Folders of payloads that jobs may refer to.
        package var payloadRoots: [URL] = []
        /// Prepared pictures keep the bytes they came from, for a last step that stores them.
        package var keepsPayloads = false
        /// Named in every result.
        package var worker: String
        /// Where images, batches and times are counted.
        package var metrics: any MetricsFactory = NOOPMetricsHandler.instance

        package init(worker: String, decodeThreads: Int) {
            self.worker = worker
            self.decodeThreads = decodeThreads
        }
    }

    /// Receives results, with the batch id of the jobs they answer; called by one of several threads at a time.
    package typealias Delivery = @Sendable (_ results: [ResultBatch]) -> Void

    private let preprocessor: ImagePreprocessor
    private let makeStage: @Sendable (Provenance) -> any BatchStage
    private let settings: Settings
    private let deliver: Delivery
    private let waiting: BoundedQueue<ClassificationJob>
    private let prepared: BoundedQueue<PreparedImage>
    private let decoders = DispatchGroup()
    private let scorers = DispatchGroup()
    private let provenance: Provenance
    /// What the pipeline has done so far.
    package let counters: PipelineCounters

    /// A pipeline that classifies.
    package convenience init(
        model: CLIPModel, registry: ClassSetRegistry, settings: Settings, pool: ThreadPool, deliver: @escaping Delivery
    ) throws(ImagingError) {
        try self.init(
            model: model, settings: settings,
            stage: { BatchScorer(model: model, registry: registry, pool: pool, worker: settings.worker, provenance: $0) }, deliver: deliver)
    }

    /// A pipeline with another last step, which is made on its thread.
    init(
        model: CLIPModel, settings: Settings, stage: @escaping @Sendable (Provenance) -> any BatchStage, deliver: @escaping Delivery
    ) throws(ImagingError) {
        preprocessor = try ImagePreprocessor(model.preprocessor)
        makeStage = stage
        self.settings = settings
        self.deliver = deliver
        counters = PipelineCounters(metrics: settings.metrics)
        provenance = Provenance(model.name, hex: model.sha256)
        waiting = BoundedQueue(limit: max(settings.decodeThreads, settings.batchMaximum))
        prepared = BoundedQueue(limit: settings.batchMaximum)
        for index in 0..<settings.decodeThreads { start("p4q-decode-\(index)", decoders) { $0.decode() } }
        start("p4q-score", scorers) { $0.score() }
    }

    private func start(_ name: String, _ group: DispatchGroup, _ body: @escaping @Sendable (ClassificationPipeline) -> Void) {
        group.enter()
        let thread = Thread { [self] in
            body(self)
            group.leave()
        }
        thread.name = name
        thread.stackSize = 1 << 20
        thread.start()
    }

    /// Takes a job, waiting for room. False: the pipeline has been finished and the job was not taken.
    package func submit(_ job: ClassificationJob) -> Bool { waiting.waitPut(job, timeout: nil) }

    /// Answers a job that can't be done because its message is wrong.
    package func reject(_ job: RejectedJob, batchID: String) {
        answer([(batchID, job.result(worker: settings.worker))])
    }

    /// Takes no more jobs and returns when all that were taken have been answered.
    package func finish() {
        waiting.close()
        decoders.wait()
        prepared.close()
        scorers.wait()
    }

    // MARK: Threads

    private func decode() {
        let stage = ImageStage(
            decoder: ImageDecoder(limits: settings.limits, appliesOrientation: settings.appliesOrientation), preprocessor: preprocessor,
            fetcher: PayloadFetcher(roots: settings.payloadRoots, maximumBytes: settings.limits.maximumBytes),
            keepsPayload: settings.keepsPayloads)
        while let item = waiting.waitTake(timeout: nil) {
            switch stage.prepare(item) {
            case .success(let image): _ = prepared.waitPut(image, timeout: nil)
            case .failure(let failed): fail(failed)
            }
        }
    }

    private func score() {
        let stage = makeStage(provenance)
        while let first = prepared.waitTake(timeout: nil) {
            var batch = [first]
            let end = ContinuousClock.now + settings.batchWait
            while batch.count < settings.batchMaximum {
                let remaining = ContinuousClock.now.duration(to: end)
                guard let image = remaining > .zero ? prepared.waitTake(timeout: remaining) : prepared.tryTake() else { break }
                batch.append(image)
            }
            let start = ContinuousClock.now
            let results = stage.run(batch)
            counters.add(batch: batch.count, time: .now - start)
            answer(results)
        }
    }

    private func fail(_ failed: FailedJob) {
        var timings = failed.timings
        timings.total = .now - failed.item.received
        let result = JobResult(
            answering: failed.item.job, outcome: .failed(failed.failure), image: failed.image, model: provenance, timings: timings,
            worker: settings.worker)
        answer([(failed.item.batchID, result)], format: failed.item.payload.withUnsafeBytes { Imaging.ImageFormat.sniffed($0) })
    }

    private func answer(_ results: [(batch: String, result: JobResult)], format: Imaging.ImageFormat? = nil) {
        for (batch, result) in results where batch != Canary.batchID { counters.add(result, format: format) }
        var order: [String] = []
        var batches: [String: ResultBatch] = [:]
        for (batch, result) in results {
            if batches[batch] == nil {
                order.append(batch)
                batches[batch] = ResultBatch(id: batch, worker: settings.worker, results: [])
            }
            batches[batch]?.results.append(result)
        }
        deliver(order.compactMap { batches[$0] })
    }
}

extension Provenance {
    /// A digest that is not one of 64 hexadecimal digits becomes 32 zero bytes.
    init(_ name: String, hex: String) {
        self.init(name: name, sha256: Digest(hex: hex) ?? .zero)
    }
}
