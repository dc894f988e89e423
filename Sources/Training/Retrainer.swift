package import CLIP
internal import Crypto
internal import Foundation
package import Tensors
package import Tuning

/// From stored examples to a candidate, and from a candidate to a verdict. No image goes through a tower here.
///
/// The same store, seed and class set give the same candidate and verdict, whenever it was ended in between.
package struct Retrainer: Sendable {
    package let store: ExampleStore
    package let classSet: ClassSet
    package let student: CLIPModel
    private let teacher: CLIPModel
    private let settings: TuningSettings
    private let gate: Gate
    /// Of the answers that are not to be `unknown`; nil sets no threshold.
    private let precision: Double?
    private let pool: ThreadPool

    package init(
        store: ExampleStore, classSet: ClassSet, student: CLIPModel, teacher: CLIPModel, settings: TuningSettings, rules: GateRules,
        precision: Double? = nil, pool: ThreadPool
    ) {
        self.store = store
        self.classSet = classSet
        self.student = student
        self.teacher = teacher
        self.settings = settings
        gate = Gate(rules)
        self.precision = precision
        self.pool = pool
    }

    /// Equal only for models that give equal features.
    package static func identity(student: CLIPModel, teacher: CLIPModel, appliesOrientation: Bool) -> String {
        "\(student.sha256) \(student.bits) \(teacher.sha256) \(student.preprocessor) orientation \(appliesOrientation)"
    }

    /// The run that was not finished, or a new one. Throws: `tooFewExamples`.
    package func begin() throws -> TrainingRecord {
        if let open = try store.openRun(classSet: classSet.name) {
            if open.classSetSHA256 == classSet.sha256 { return open }
            try store.end(open.id, .givenUp, note: "the class set has changed")
        }
        // Another seed for each run, so that a bad start is not drawn again and again.
        let seed = settings.seed &+ UInt64(try store.runs(classSet: classSet.name).count)
        let run = try store.beginRun(
            classSet: classSet.name, sha256: classSet.sha256, labels: classSet.classes.map(\.name), seed: seed)
        let counts = (
            try store.examples(run: run.id, heldOut: false)?.count ?? 0, try store.examples(run: run.id, heldOut: true)?.count ?? 0
        )
        guard counts.0 > 0, counts.1 > 0 else {
            let error = TrainingError.tooFewExamples(classSet: classSet.name, training: counts.0, heldOut: counts.1)
            try store.end(run.id, .failed, note: "\(error)")
            throw error
        }
        return run
    }

    /// The run's candidate, made now unless it was made before. Nil if an example it learns from is gone, or goes meanwhile: the run is
    /// given up then.
    ///
    /// - Parameter report: called after each epoch; false stops. Throws: `stopped` then.
    package func candidate(_ run: TrainingRecord, report: (EpochReport) -> Bool) throws -> ReleaseContent? {
        if let bytes = try store.candidate(run.id) { return try ReleaseContent(bytes: bytes, name: "run \(run.id)") }
        guard let training = try store.examples(run: run.id, heldOut: false), let heldOut = try store.examples(run: run.id, heldOut: true)
        else {
            try store.end(run.id, .givenUp, note: "an example is no longer there")
            return nil
        }
        var settings = settings
        settings.seed = run.seed
        let tuning = TuningRun(settings, student: student, teacher: teacher, classSet: classSet, pool: pool)
        let data = try data(training)
        let (trainer, checkpoint) = try tuning.trainer(data, checkpoint: store.checkpoint(run.id))
        while !trainer.isFinished {
            let epoch = try trainer.runEpoch()
            guard try store.run(run.id)?.state == run.state else {
                try? FileManager.default.removeItem(at: store.checkpoint(run.id))
                return nil
            }
            try checkpoint?.write(trainer.state)
            if !report(epoch) { throw TrainingError.stopped }
        }
        let content = try content(try tuning.file(trainer, data), heldOut)
        return try store.keepCandidate(run.id, try content.encoded()) ? content : nil
    }

    /// Compares the candidate with the release in service, and journals the verdict. Nil if an example is gone.
    package func decide(
        _ run: TrainingRecord, _ candidate: ReleaseContent, inService: ReleaseContent?, version: UInt64
    ) throws -> GateVerdict? {
        guard let heldOut = try store.examples(run: run.id, heldOut: true) else {
            try store.end(run.id, .givenUp, note: "an example is no longer there")
            return nil
        }
        let (family, test) = try store.nextTest(classSet: classSet.name, heldOut: heldOut.count, before: run.id)
        let untuned = try answers(untunedHead(), heldOut)
        let before = try inService.flatMap { try answers(inService: $0, heldOut) } ?? untuned
        let after = try answers(head(candidate), heldOut, temperature: Double(candidate.temperature))
        let verdict = gate.decide(
            candidate: after, uncorrected: try answers(head(candidate), heldOut), inService: before, untuned: untuned,
            names: classSet.classes.map(\.name), test: test)
        try store.keepAnswers(run.id, heldOut, untuned: untuned, before: before, after: after)
        return try store.decide(run.id, verdict, parent: version, family: family) ? verdict : nil
    }

    // MARK: Parts

    private var width: Int { student.imageEncoder.featureWidth }

    private func labels(_ examples: [LabelledExample]) -> [Int] {
        let indices = Dictionary(classSet.classes.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        return examples.map { indices[$0.label] ?? 0 }
    }

    /// What the trainer learns from; the examples are in the order of their hashes.
    private func data(_ examples: [LabelledExample]) throws -> TrainingData {
        let views = settings.flips ? 2 : 1
        let labels = labels(examples)
        var hash = SHA256()
        for (example, label) in zip(examples, labels) {
            hash.update(data: example.digest + withUnsafeBytes(of: UInt64(label).littleEndian, Array.init))
        }
        let teacherWidth = teacher.imageEncoder.featureWidth
        let features = examples.flatMap { $0.teacher.prefix(views * teacherWidth) }
        return TrainingData(
            views: views, featureWidth: width, classes: classSet.classes.count,
            features: examples.flatMap { $0.features.prefix(views * width) },
            teacher: try Teacher(teacher, classSet, pool: pool).probabilities(features, pool: pool), labels: labels,
            sha256: hash.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined())
    }

    /// The release that a tuning makes, calibrated on held-out examples.
    private func content(_ file: TuningFile, _ heldOut: [LabelledExample]) throws -> ReleaseContent {
        let features = try textFeatures(file)
        let head = ScoringHead(adapter: file.adapter, textFeatures: features, scale: student.scale)
        let (logits, labels) = (head.logits(heldOut.flatMap { $0.features.prefix(width) }), labels(heldOut))
        let temperature = Float(Calibrating.temperature(logits, labels: labels, classes: classSet.classes.count))
        let answers = HeldOutAnswers(
            logits: logits, labels: labels, classes: classSet.classes.count, temperature: Double(temperature))
        return try ReleaseContent(
            tuning: file, classSet: classSet, textFeatures: features, temperature: temperature,
            unknownThreshold: precision.flatMap { Calibrating.unknownThreshold(answers, precision: $0) }.map { Float($0) })
    }

    private func textFeatures(_ file: TuningFile) throws -> FloatTensor {
        guard let text = try file.applied(to: student, name: "candidate").text else { throw TuningError.noTextTower(model: student.name) }
        return try text.compute(for: classSet, pool: pool)
    }

    private func head(_ content: ReleaseContent) -> ScoringHead {
        ScoringHead(adapter: content.tuning.adapter, textFeatures: content.textFeatures, scale: student.scale)
    }

    func untunedHead() throws -> ScoringHead {
        guard let text = student.text else { throw TuningError.noTextTower(model: student.name) }
        return ScoringHead(adapter: nil, textFeatures: try text.compute(for: classSet, pool: pool), scale: student.scale)
    }

    /// The answers of the release in service; a class set that has changed gets new text features by its prompt. Nil for another model's release.
    func answers(inService content: ReleaseContent, _ heldOut: [LabelledExample]) throws -> HeldOutAnswers? {
        guard content.tuning.origin.modelSHA256 == student.sha256, content.tuning.origin.bits == student.bits else { return nil }
        let features = content.classSet.sha256 == classSet.sha256 ? content.textFeatures : try textFeatures(content.tuning)
        let head = ScoringHead(adapter: content.tuning.adapter, textFeatures: features, scale: student.scale)
        return try answers(head, heldOut, temperature: Double(content.temperature))
    }

    func answers(_ head: ScoringHead, _ heldOut: [LabelledExample], temperature: Double = 1) throws -> HeldOutAnswers {
        HeldOutAnswers(
            logits: head.logits(heldOut.flatMap { $0.features.prefix(width) }), labels: labels(heldOut),
            classes: classSet.classes.count, temperature: temperature)
    }
}
