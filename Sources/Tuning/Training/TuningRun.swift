package import CLIP
internal import Crypto
package import Foundation
package import Imaging
package import Tensors

/// Tuning from labelled images to a finished file: what belongs to one student, one teacher and one class set.
package struct TuningRun: Sendable {
    package let settings: TuningSettings
    package let student: CLIPModel
    package let teacher: CLIPModel
    package let classSet: ClassSet
    private let pool: ThreadPool
    private let kernels: FloatKernels

    package init(
        _ settings: TuningSettings, student: CLIPModel, teacher: CLIPModel, classSet: ClassSet, pool: ThreadPool,
        kernels: FloatKernels = FloatKernels()
    ) {
        self.settings = settings
        self.student = student
        self.teacher = teacher
        self.classSet = classSet
        self.pool = pool
        self.kernels = kernels
    }

    /// The same with other settings.
    package func with(_ settings: TuningSettings) -> TuningRun {
        TuningRun(settings, student: student, teacher: teacher, classSet: classSet, pool: pool, kernels: kernels)
    }

    /// Takes images in, with features of both models from `cache` where they are there.
    package func collector(cache: URL?, decoder: ImageDecoder) throws -> FeatureCollector {
        try FeatureCollector(models: [student, teacher], cache: cache, views: settings.flips ? 2 : 1, decoder: decoder, pool: pool)
    }

    /// What `collector` took, with the teacher's probabilities.
    package func data(_ collector: FeatureCollector) throws -> TrainingData {
        let features = collector.features()
        let teacher = try Teacher(teacher, classSet, pool: pool, kernels: kernels)
        return TrainingData(
            views: settings.flips ? 2 : 1, featureWidth: student.imageEncoder.featureWidth, classes: classSet.classes.count,
            features: features[0], teacher: teacher.probabilities(features[1], pool: pool), labels: collector.labels,
            sha256: collector.sha256)
    }

    /// A trainer at the start, or where `checkpoint` left off.
    package func trainer(_ data: TrainingData, checkpoint: URL? = nil) throws -> (Trainer, TrainingCheckpoint?) {
        let file = checkpoint.map { TrainingCheckpoint($0, identity: identity(data)) }
        let text = try TuningText(classSet, model: student, settings: settings, pool: pool)
        let trainer = try Trainer(
            settings, text: text, scale: student.scale, data: data, pool: pool, resuming: file?.read(), kernels: kernels)
        return (trainer, file)
    }

    /// The file that the trainer's result makes.
    package func file(_ trainer: Trainer, _ data: TrainingData) throws(TuningError) -> TuningFile {
        let origin = TuningFile.Origin(
            model: student, teacher: teacher.sha256, classSet: classSet, images: data.count, imagesSHA256: data.sha256)
        let metrics = TuningFile.Metrics(
            epochs: trainer.state.best?.epoch ?? trainer.state.epoch, classificationLoss: trainer.state.losses?.classification ?? 0,
            distillationLoss: trainer.state.losses?.distillation ?? 0, heldOutAccuracy: trainer.state.best?.accuracy)
        return try TuningFile(trainer, origin: origin, metrics: metrics)
    }

    private func identity(_ data: TrainingData) -> String {
        let parts = [TuningFile.json(settings), student.sha256, teacher.sha256, classSet.sha256, data.sha256]
        return SHA256.hash(data: Data(parts.joined(separator: " ").utf8)).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
            .joined()
    }
}

extension ClassSet {
    /// The index of the class that a label names: by name, with underscores for spaces too, or as a number.
    package func index(ofLabel label: String) -> Int? {
        let spaced = label.replacingOccurrences(of: "_", with: " ")
        if let index = classes.firstIndex(where: { $0.name == label }) ?? classes.firstIndex(where: { $0.name == spaced }) { return index }
        return Int(label).flatMap { classes.indices.contains($0) ? $0 : nil }
    }
}
