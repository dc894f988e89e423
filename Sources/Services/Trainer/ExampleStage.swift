internal import CLIP
internal import Foundation
internal import Messages
internal import Tensors
internal import Training
internal import Tuning

/// The trainer's last step: a batch through both towers, as it is and mirrored, and into the store. A batch is answered when it is on the disk.
final class ExampleStage: BatchStage {
    private let student: CLIPModel
    private let teacher: CLIPModel
    private let classSets: TrainableClassSets
    private let store: ExampleStore
    private let pool: ThreadPool
    private let worker: String
    private let provenance: Provenance

    init(
        student: CLIPModel, teacher: CLIPModel, classSets: TrainableClassSets, store: ExampleStore, pool: ThreadPool, worker: String,
        provenance: Provenance
    ) {
        self.student = student
        self.teacher = teacher
        self.classSets = classSets
        self.store = store
        self.pool = pool
        self.worker = worker
        self.provenance = provenance
    }

    func run(_ batch: [PreparedImage]) -> [(batch: String, result: JobResult)] {
        let start = ContinuousClock.now
        let side = student.imageEncoder.imageSide
        let crops = batch.flatMap { $0.crop + FeatureCollector.mirrored($0.crop, side: side) }
        let (features, teacherFeatures) = (encode(student, crops, batch.count * 2), encode(teacher, crops, batch.count * 2))
        let outcomes: [Outcome]
        do {
            var examples: [LabelledExample] = []
            for (index, image) in batch.enumerated() {
                examples.append(try example(image, index, features, teacherFeatures))
            }
            outcomes = zip(try store.learn(examples), examples).map { Self.outcome($0, $1.id) }
        } catch {
            let failure = Failure(
                code: "trainer.store", stage: .infer, message: "the trainer's store can't keep the example: \(error)", retryable: true)
            outcomes = batch.map { _ in .failed(failure) }
        }
        return zip(batch, outcomes).map { image, outcome in
            var timings = image.timings
            timings.infer = .now - start
            timings.total = .now - image.item.received
            let set = try? classSets.classSet(image.item.job)
            return (
                image.item.batchID,
                JobResult(
                    answering: image.item.job, outcome: outcome, image: image.facts, model: provenance,
                    classSet: set.map { Provenance($0.name, hex: $0.sha256) }, timings: timings, worker: worker)
            )
        }
    }

    private func example(
        _ image: PreparedImage, _ index: Int, _ features: [Float], _ teacherFeatures: [Float]
    ) throws(Failure) -> LabelledExample {
        let (job, width, teacherWidth) = (image.item.job, 2 * student.imageEncoder.featureWidth, 2 * teacher.imageEncoder.featureWidth)
        var bytes: [UInt8]?
        if store.options.keepsImages, job.payload == .attached { bytes = image.item.payload.withUnsafeBytes { Array($0) } }
        return LabelledExample(
            classSet: try classSets.classSet(job).name, id: job.training?.exampleID ?? job.id, label: try classSets.label(job),
            labelled: job.training?.labelled ?? ExampleStore.now(), digest: image.facts.sha256.bytes,
            features: Array(features[index * width..<(index + 1) * width]),
            teacher: Array(teacherFeatures[index * teacherWidth..<(index + 1) * teacherWidth]), image: bytes)
    }

    private func encode(_ model: CLIPModel, _ crops: [UInt8], _ count: Int) -> [Float] {
        var features = [Float](repeating: 0, count: count * model.imageEncoder.featureWidth)
        crops.withUnsafeBufferPointer { crops in
            features.withUnsafeMutableBufferPointer { model.imageEncoder.encode(crops: crops, count: count, features: $0, pool: pool) }
        }
        return features
    }

    private static func outcome(_ effect: ExampleEffect, _ id: String) -> Outcome {
        switch effect {
        case .kept: .learned(example: id, .kept)
        case .corrected: .learned(example: id, .corrected)
        case .unchanged: .learned(example: id, .unchanged)
        case .notDrawn: .learned(example: id, .notDrawn)
        case .forgotten:
            .failed(
                Failure(
                    code: "example.forgotten", stage: .infer,
                    message: "\(id) was forgotten on request and does not come back; give it another name if it is to be learned after all",
                    retryable: false))
        }
    }
}
