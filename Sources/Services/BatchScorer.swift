internal import CLIP
internal import Messages
internal import Tensors

/// A batch through the tower and against each job's own class set. One a thread; its memory is reused from batch to batch.
///
/// What is in place is looked up once a batch: a release that is swapped in meanwhile begins with the next one, and each answer is wholly
/// (adapter and text features) by the release that it names.
final class BatchScorer: BatchStage {
    private let model: CLIPModel
    private let registry: ClassSetRegistry
    private let pool: ThreadPool
    private let worker: String
    private let provenance: Provenance
    private let workspace = Workspace()
    private let adapterWorkspace = Workspace()

    init(model: CLIPModel, registry: ClassSetRegistry, pool: ThreadPool, worker: String, provenance: Provenance) {
        self.model = model
        self.registry = registry
        self.pool = pool
        self.worker = worker
        self.provenance = provenance
    }

    func run(_ batch: [PreparedImage]) -> [(batch: String, result: JobResult)] {
        let start = ContinuousClock.now
        var results: [(batch: String, result: JobResult)] = []
        results.reserveCapacity(batch.count)
        var ready: [(image: PreparedImage, classifier: LiveClassifier)] = []
        let inPlace = registry.snapshot()
        for image in batch {
            do throws(Failure) {
                if let deadline = image.item.deadline, deadline < start { throw .expired(stage: .infer) }
                ready.append((image, try classifier(for: image.item.job.classes, inPlace)))
            } catch {
                results.append(failed(image, error))
            }
        }
        let inferStart = ContinuousClock.now
        let width = model.imageEncoder.featureWidth
        let features = encode(ready.map(\.image.crop), width: width)
        // In the order of their first images.
        var groups: [(classifier: LiveClassifier, indices: [Int])] = []
        for (index, (_, classifier)) in ready.enumerated() {
            if let place = groups.firstIndex(where: { $0.classifier === classifier }) {
                groups[place].indices.append(index)
            } else {
                groups.append((classifier, [index]))
            }
        }
        for (classifier, indices) in groups {
            let answers = self.answers(classifier, indices, ready, features, width)
            for (index, answer) in zip(indices, answers) { results.append(scored(ready[index].image, classifier, answer, inferStart)) }
            // The worker's own test images are nobody's.
            if indices.allSatisfy({ ready[$0].image.item.batchID == Canary.batchID }) { continue }
            let shadow = classifier.shadow.flatMap { shadow in
                agreement(shadow, answers, self.answers(shadow, indices, ready, features, width))
            }
            // Classes that jobs bring themselves are as many as there are jobs.
            if case .inline? = ready[indices[0]].image.item.job.classes { continue }
            registry.count(classifier, answers, shadow: shadow)
            if let shadow {
                registry.count(
                    classifier.classifier.classSet.name, version: shadow.version, scored: Int(shadow.scored), agreed: Int(shadow.agreed))
            }
        }
        return results
    }

    private func classifier(for selection: ClassSelection?, _ inPlace: LiveClassSets) throws(Failure) -> LiveClassifier {
        switch selection {
        case nil: return try inPlace.classifier(nil, sha256: nil)
        case .named(let name, let sha256)?:
            do throws(Failure) {
                return try inPlace.classifier(name, sha256: sha256?.description)
            } catch {
                // The dispatcher may have it.
                if error.retryable { registry.want(name) }
                throw error
            }
        case .inline(let labels, let templates)?: return try registry.inline(labels, templates)
        }
    }

    /// The answers of one classifier for some of the images; `features` stay as the tower gave them.
    private func answers(
        _ classifier: LiveClassifier, _ indices: [Int], _ ready: [(image: PreparedImage, classifier: LiveClassifier)],
        _ features: UnsafeMutableBufferPointer<Float>, _ width: Int
    ) -> [Classification] {
        let own = UnsafeMutableBufferPointer(
            start: workspace.buffer(2, of: Float.self, count: indices.count * width), count: indices.count * width)
        for (place, index) in indices.enumerated() {
            for column in 0..<width { own[place * width + column] = features[index * width + column] }
        }
        classifier.adapt(own, count: indices.count, workspace: adapterWorkspace)
        return indices.enumerated().map { place, index in
            classifier.classifier.classify(
                UnsafeBufferPointer(rebasing: own[place * width..<(place + 1) * width]), topK: ready[index].image.item.job.topK)
        }
    }

    private func agreement(
        _ shadow: LiveClassifier, _ answers: [Classification], _ others: [Classification]
    ) -> ScoringCounts.Shadow? {
        guard let version = shadow.mark?.version else { return nil }
        let agreed = zip(answers, others).count { $0.predictions.first?.index == $1.predictions.first?.index }
        return ScoringCounts.Shadow(version: version, scored: UInt64(answers.count), agreed: UInt64(agreed))
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
        _ image: PreparedImage, _ live: LiveClassifier, _ answer: Classification, _ start: ContinuousClock.Instant
    ) -> (batch: String, result: JobResult) {
        let classifier = live.classifier
        let predictions = answer.predictions.map {
            Prediction(
                label: classifier.classSet.classes[$0.index].name, index: $0.index, probability: $0.probability, cosine: $0.cosine)
        }
        var timings = image.timings
        timings.infer = .now - start
        timings.total = .now - image.item.received
        let result = JobResult(
            answering: image.item.job, outcome: .scored(predictions, unknown: answer.isUnknown), image: image.facts, model: provenance,
            classSet: Provenance(classifier.classSet.name, hex: classifier.classSet.sha256), release: live.mark, timings: timings,
            worker: worker)
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
