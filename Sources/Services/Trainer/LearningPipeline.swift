package import CLIP
internal import Crypto
internal import Messages
internal import Synchronization
package import Tensors
package import Training
internal import Tuning

/// The way of a labelled image through a trainer: label and class set are checked, the picture is decoded as in any worker, its features are made
/// by the tower that serves, and it is kept.
package final class LearningPipeline: JobPipeline {
    private let images: ClassificationPipeline
    private let classSets: TrainableClassSets
    private let store: ExampleStore
    private let worker: String
    private let provenance: Provenance
    private let deliver: ClassificationPipeline.Delivery
    private let onRetrain: @Sendable (ClassSet) -> Void
    private let activity = Activity()

    /// Images that are being worked on, and when anything came or was answered last.
    private final class Activity: Sendable {
        private let state = Mutex((open: 0, last: ContinuousClock.now))

        func add(_ change: Int) { state.withLock { $0 = ($0.open + change, .now) } }

        var idleTime: Duration { state.withLock { $0.open > 0 ? .zero : .now - $0.last } }
    }

    package var counters: PipelineCounters { images.counters }

    /// - Parameters:
    ///   - student: the model that serves, without a tuning.
    ///   - onRetrain: called for a job that asks for it.
    /// - Throws: `TuningError.teacherMismatch` where student and teacher prepare images differently.
    package init(
        student: CLIPModel, teacher: CLIPModel, classSets: TrainableClassSets, store: ExampleStore,
        settings: ClassificationPipeline.Settings, pool: ThreadPool, onRetrain: @escaping @Sendable (ClassSet) -> Void,
        deliver: @escaping ClassificationPipeline.Delivery
    ) throws {
        guard student.preprocessor == teacher.preprocessor else {
            throw TuningError.teacherMismatch(reason: "it prepares images differently (preprocessor_config.json)")
        }
        self.classSets = classSets
        self.store = store
        worker = settings.worker
        provenance = Provenance(student.name, hex: student.sha256)
        self.deliver = deliver
        self.onRetrain = onRetrain
        var settings = settings
        settings.keepsPayloads = store.options.keepsImages
        images = try ClassificationPipeline(
            model: student, settings: settings,
            stage: { [worker] in
                ExampleStage(
                    student: student, teacher: teacher, classSets: classSets, store: store, pool: pool, worker: worker,
                    provenance: $0)
            },
            deliver: { [activity] batches in
                deliver(batches)
                activity.add(-batches.reduce(0) { $0 + $1.results.count })
            })
    }

    package func submit(_ item: ClassificationJob) -> Bool {
        activity.add(0)
        let job = item.job
        do throws(Failure) {
            switch job.training?.task ?? .learn {
            case .learn:
                _ = try classSets.label(job)
                activity.add(1)
                if images.submit(item) { return true }
                activity.add(-1)
                return false
            case .forget: answer(item, .learned(example: try forget(job), .forgotten))
            case .retrain:
                onRetrain(try classSets.classSet(job))
                answer(item, .learned(example: "", .retraining))
            }
        } catch {
            answer(item, .failed(error))
        }
        return true
    }

    package func finish() { images.finish() }

    /// How long there has been nothing to do.
    package var idleTime: Duration { activity.idleTime }

    private func forget(_ job: Job) throws(Failure) -> String {
        let id = job.training?.exampleID ?? job.id
        let set = try classSets.classSet(job).name
        do {
            _ = try store.forget(classSet: set, ids: [id])
        } catch {
            throw Failure(
                code: "trainer.store", stage: .infer, message: "the trainer's store can't forget \(id): \(error)", retryable: true)
        }
        return id
    }

    private func answer(_ item: ClassificationJob, _ outcome: Outcome) {
        let set = try? classSets.classSet(item.job)
        let result = JobResult(
            answering: item.job, outcome: outcome, model: provenance, classSet: set.map { Provenance($0.name, hex: $0.sha256) },
            timings: Timings(total: .now - item.received),
            worker: worker)
        images.counters.add(result)
        deliver([ResultBatch(id: item.batchID, worker: worker, results: [result])])
    }
}
