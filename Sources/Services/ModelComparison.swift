package import CLIP
package import Imaging
package import Messages
package import Tensors

/// The same images through several models: decoded once for all models that prepare pictures alike, then in batches through each model's
/// tower and against its features of one class set.
package final class ModelComparison {
    /// One model in the comparison.
    private struct Entry {
        let scorer: BatchScorer
        let preprocessor: Int
        var busy = Duration.zero
        var images = 0
        var isWarm = false
    }

    private let preparations: [ImagePreparation]
    private let batch: Int
    private var entries: [Entry] = []

    /// - Parameters:
    ///   - batch: images in one pass through a tower.
    ///   - registry: makes a model's registry, into which the class set is put.
    /// - Throws: what is wrong with the class set or a preprocessor.
    package init(
        _ models: [CLIPModel], classSet: ClassSet, decoder: ImageDecoder, batch: Int, pool: ThreadPool,
        registry: (CLIPModel) -> ClassSetRegistry
    ) throws {
        self.batch = batch
        var configurations: [PreprocessorConfiguration] = []
        for model in models {
            if !configurations.contains(model.preprocessor) { configurations.append(model.preprocessor) }
            let registry = registry(model)
            try registry.put(classSet)
            let scorer = BatchScorer(
                model: model, registry: registry, pool: pool, worker: "local", provenance: Provenance(model.name, hex: model.sha256))
            entries.append(Entry(scorer: scorer, preprocessor: configurations.firstIndex(of: model.preprocessor) ?? 0))
        }
        preparations = try configurations.map { try ImagePreparation($0, decoder: decoder, pool: pool) }
    }

    /// Scores images: for each model, each image's outcome, in order. Batches are not filled up across calls.
    package func score(_ jobs: [ClassificationJob]) -> [[Outcome]] {
        let numbered = jobs.enumerated().map { index, job in
            ClassificationJob(job.job, payload: job.payload, batchID: "\(index)", received: job.received)
        }
        var outcomes = [[Outcome]](repeating: [], count: entries.count)
        for (place, preparation) in preparations.enumerated() {
            let prepared = preparation.prepare(numbered)
            for index in entries.indices where entries[index].preprocessor == place { outcomes[index] = score(prepared, entry: index) }
        }
        return outcomes
    }

    private func score(_ prepared: [Result<PreparedPicture, Failure>], entry index: Int) -> [Outcome] {
        var outcomes = prepared.map { outcome -> Outcome in
            switch outcome {
            case .success: .scored([], unknown: true)
            case .failure(let failure): .failed(failure)
            }
        }
        let ready = prepared.compactMap { try? $0.get().image }
        for start in stride(from: 0, to: ready.count, by: batch) {
            let images = Array(ready[start..<min(start + batch, ready.count)])
            if !entries[index].isWarm {
                // The first pass fills caches and maps the weights' pages; it is not timed.
                _ = entries[index].scorer.run(images)
                entries[index].isWarm = true
            }
            let begin = ContinuousClock.now
            let results = entries[index].scorer.run(images)
            entries[index].busy += .now - begin
            entries[index].images += images.count
            for (place, result) in results { outcomes[Int(place) ?? 0] = result.outcome }
        }
        return outcomes
    }

    /// Images a second of model `index` in tower and scoring, decoding left out; nil before the first image.
    package func imagesPerSecond(_ index: Int) -> Double? {
        let (seconds, attoseconds) = entries[index].busy.components
        let time = Double(seconds) + Double(attoseconds) * 1e-18
        return time > 0 ? Double(entries[index].images) / time : nil
    }
}
