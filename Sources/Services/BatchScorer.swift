internal import CLIP
internal import Messages
internal import Tensors

/// A batch through the tower and against each job's own class set. One a thread; its memory is reused from batch to batch.
final class BatchScorer {
    private let model: CLIPModel
    private let registry: ClassSetRegistry
    private let pool: ThreadPool
    private let worker: String
    private let provenance: Provenance
    private let workspace = Workspace()

    init(model: CLIPModel, registry: ClassSetRegistry, pool: ThreadPool, worker: String, provenance: Provenance) {
        self.model = model
        self.registry = registry
        self.pool = pool
        self.worker = worker
        self.provenance = provenance
    }

    /// One result for each image, with the id of the batch that it answers.
    func score(_ batch: [PreparedImage]) -> [(batch: String, result: JobResult)] {
        let start = ContinuousClock.now
        var results: [(batch: String, result: JobResult)] = []
        results.reserveCapacity(batch.count)
        var ready: [(image: PreparedImage, classifier: ZeroShotClassifier)] = []
        for image in batch {
            do throws(Failure) {
                if let deadline = image.item.deadline, deadline < start { throw .expired(stage: .infer) }
                ready.append((image, try registry.classifier(for: image.item.job.classes)))
            } catch {
                results.append(failed(image, error))
            }
        }
        let inferStart = ContinuousClock.now
        let width = model.imageEncoder.featureWidth
        let features = encode(ready.map(\.image.crop), width: width)
        for (index, (image, classifier)) in ready.enumerated() {
            let feature = UnsafeMutableBufferPointer(rebasing: features[index * width..<(index + 1) * width])
            results.append(scored(image, classifier, feature, inferStart))
        }
        return results
    }

    private func encode(_ crops: [[UInt8]], width: Int) -> UnsafeMutableBufferPointer<Float> {
        let bytes = model.imageEncoder.imageSide * model.imageEncoder.imageSide * 3
        let pictures = workspace.buffer(0, of: UInt8.self, count: crops.count * bytes)
        for (index, crop) in crops.enumerated() {
            crop.withUnsafeBufferPointer { crop in
                guard let source = crop.baseAddress else { return }
                (pictures + index * bytes).update(from: source, count: bytes)
            }
        }
        let features = UnsafeMutableBufferPointer(
            start: workspace.buffer(1, of: Float.self, count: crops.count * width), count: crops.count * width)
        model.imageEncoder.encode(
            crops: UnsafeBufferPointer(start: pictures, count: crops.count * bytes), count: crops.count, features: features, pool: pool)
        return features
    }

    private func scored(
        _ image: PreparedImage, _ classifier: ZeroShotClassifier, _ feature: UnsafeMutableBufferPointer<Float>,
        _ start: ContinuousClock.Instant
    ) -> (batch: String, result: JobResult) {
        let answer = classifier.classify(UnsafeBufferPointer(feature), topK: image.item.job.topK)
        let predictions = answer.predictions.map {
            Prediction(
                label: classifier.classSet.classes[$0.index].name, index: $0.index, probability: $0.probability, cosine: $0.cosine)
        }
        var timings = image.timings
        timings.infer = .now - start
        timings.total = .now - image.item.received
        let result = JobResult(
            answering: image.item.job, outcome: .scored(predictions, unknown: answer.isUnknown), image: image.facts, model: provenance,
            classSet: Provenance(classifier.classSet.name, hex: classifier.classSet.sha256), timings: timings, worker: worker)
        return (image.item.batchID, result)
    }

    private func failed(_ image: PreparedImage, _ failure: Failure) -> (batch: String, result: JobResult) {
        var timings = image.timings
        timings.total = .now - image.item.received
        let result = JobResult(
            answering: image.item.job, outcome: .failed(failure), image: image.facts, model: provenance, timings: timings, worker: worker)
        return (image.item.batchID, result)
    }
}
