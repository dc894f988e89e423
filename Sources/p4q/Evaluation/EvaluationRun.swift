import ArgumentParser
import CLIP
import Foundation
import Imaging
import Messages
import Services
import Tensors
import Tuning

/// Models side by side on one data set.
struct EvaluationRun {
    let classSet: ClassSet
    let decoder: ImageDecoder
    let pool: ThreadPool
    var batch = 32
    var cache: TextFeatureCache?
    var truncating = false
    var isQuiet = false

    /// A report for each model, in order.
    func evaluate(_ models: [EvaluatedModel], on data: [String]) throws -> [EvaluationReport] {
        let comparison = try ModelComparison(models.map(\.model), classSet: classSet, decoder: decoder, batch: batch, pool: pool) {
            ClassSetRegistry(model: $0, pool: pool, cache: cache, truncating: truncating)
        }
        var evaluations = models.map { _ in Evaluation(classes: classSet.classes.count) }
        var images = LabelledImages(data, classSet: classSet, maxBytes: decoder.limits.maximumBytes, quiet: isQuiet)
        var progress = Progress("evaluated", isQuiet: isQuiet)
        var done = 0
        while let piece = images.next() {
            let outcomes = comparison.score(piece.map(\.job))
            for index in models.indices { add(outcomes[index], piece.map(\.label), to: &evaluations[index]) }
            count(failuresOf: outcomes, piece, &images)
            done += piece.count
            progress.update(done)
        }
        progress.finish(done)
        if done == 0 && images.failed == 0 { throw ValidationError("there are no images in \(data.joined(separator: ", "))") }
        return models.indices.map { index in
            EvaluationReport(
                models[index], evaluations[index], classSet: classSet, failures: images.failures,
                imagesPerSecond: comparison.imagesPerSecond(index), batch: batch, threads: pool.threads)
        }
    }

    private func add(_ outcomes: [Outcome], _ labels: [Int], to evaluation: inout Evaluation) {
        for (outcome, label) in zip(outcomes, labels) {
            guard case .scored(let predictions, _) = outcome, let first = predictions.first else { continue }
            evaluation.add(label: label, ranking: predictions.map(\.index), confidence: Double(first.probability))
        }
    }

    /// An image fails for all models or for none: they are given the same pixels.
    private func count(
        failuresOf outcomes: [[Outcome]], _ piece: [(job: ClassificationJob, label: Int)], _ images: inout LabelledImages
    ) {
        for (index, outcome) in (outcomes.first ?? []).enumerated() {
            if case .failed(let failure) = outcome { images.fail(piece[index].job.job.id, failure.code, failure.message) }
        }
    }
}
