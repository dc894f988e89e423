import CLIP
import Foundation
import Tensors
import Testing
import Tuning

/// Made-up features in clusters, one a class, so that there is something to learn.
private func clusters(_ tiny: TinyTower, images: Int = 60, seed: UInt64 = 11) -> TrainingData {
    let (width, classes) = (tiny.configuration.projectionWidth, TinyTower.classes.count)
    let centres = numbers(classes * width, seed: seed)
    let noise = numbers(images * 2 * width, seed: seed + 1, bound: 0.8)
    let labels = (0..<images).map { $0 % classes }
    var teacher = [Float](repeating: 0.1, count: images * 2 * classes)
    var features = noise
    for image in 0..<images {
        for view in 0..<2 {
            let row = image * 2 + view
            teacher[row * classes + labels[image]] = 1 - 0.1 * Float(classes - 1)
            for index in 0..<width { features[row * width + index] += centres[labels[image] * width + index] }
        }
    }
    return TrainingData(
        views: 2, featureWidth: width, classes: classes, features: features, teacher: teacher, labels: labels, sha256: "made up")
}

private func settings(_ change: (inout TuningSettings) -> Void = { _ in }) -> TuningSettings {
    var settings = TuningSettings()
    settings.contextLength = 3
    settings.epochs = 6
    settings.batch = 16
    settings.promptRate = 0.05
    settings.adapterRate = 1e-2
    change(&settings)
    return settings
}

private func trainer(
    _ settings: TuningSettings, _ text: TuningText, _ data: TrainingData, threads: Int = 1, resuming: TrainingState? = nil
) throws -> Trainer {
    try Trainer(settings, text: text, scale: 10, data: data, pool: ThreadPool(threads: threads), resuming: resuming)
}

struct TrainerTests {
    private let tiny = TinyTower()

    private func text() throws -> TuningText { .learned(.quantized(try tiny.quantized("4-4-8")), TinyTower.classes) }

    @Test func `training lowers the loss and finds the classes`() throws {
        let data = clusters(tiny, images: 200)
        let chosen = settings {
            $0.epochs = 30
            $0.heldOut = 0.25
            $0.adaptRatio = 0.8
        }
        let learner = try trainer(chosen, text(), data)
        let first = try learner.runEpoch()
        var last = first
        while !learner.isFinished { last = try learner.runEpoch() }
        #expect(last.losses.classification < 0.7 * first.losses.classification)
        #expect(try #require(learner.state.best).accuracy > 0.5)
        #expect(learner.state.ranges != nil)
    }

    @Test(arguments: [TuningSettings.AdapterQuantization.afterTraining, .straightThrough])
    func `a seed gives one result, on any number of threads and after resuming`(mode: TuningSettings.AdapterQuantization) throws {
        let data = clusters(tiny)
        let chosen = settings {
            $0.adapterQuantization = mode; $0.heldOut = 0.1
        }
        let whole = try trainer(chosen, text(), data)
        while !whole.isFinished { _ = try whole.runEpoch() }
        for threads in 2...3 {
            let other = try trainer(chosen, text(), data, threads: threads)
            while !other.isFinished { _ = try other.runEpoch() }
            #expect(other.state == whole.state)
        }
        let folder = try TemporaryFolder()
        let file = folder.url.appendingPathComponent("state.safetensors")
        let first = try trainer(chosen, text(), data)
        for _ in 0..<2 { _ = try first.runEpoch() }
        try TrainingCheckpoint(file, identity: "run").write(first.state)
        let read = try #require(try TrainingCheckpoint(file, identity: "run").read())
        #expect(read == first.state)
        let second = try trainer(chosen, text(), data, resuming: read)
        while !second.isFinished { _ = try second.runEpoch() }
        #expect(second.state == whole.state)
        #expect(throws: TuningError.self) { try TrainingCheckpoint(file, identity: "another run").read() }
        #expect(try TrainingCheckpoint(folder.url.appendingPathComponent("none"), identity: "run").read() == nil)

        let another = try trainer(
            settings {
                $0.adapterQuantization = mode; $0.heldOut = 0.1; $0.seed = 1
            }, text(), data)
        while !another.isFinished { _ = try another.runEpoch() }
        #expect(another.state.parameters != whole.state.parameters)
    }

    @Test func `training ends early when the held-out accuracy grows no more, and keeps the best epoch`() throws {
        let learner = try trainer(
            settings {
                $0.epochs = 200; $0.heldOut = 0.2; $0.patience = 3
            }, text(), clusters(tiny))
        while !learner.isFinished { _ = try learner.runEpoch() }
        let best = try #require(learner.state.best)
        #expect(learner.state.epoch == best.epoch + 3 && learner.state.epoch < 200)
        #expect(learner.result.parameters == best.parameters)
    }

    @Test(arguments: TuningSettings.Parts.allCases) func `only what is asked for is learned`(parts: TuningSettings.Parts) throws {
        let data = clusters(tiny)
        let fixed = TuningText.fixed(
            FloatTensor(shape: [data.classes, data.featureWidth]) { _ = $0.update(fromContentsOf: numbers($0.count, seed: 1)) })
        let learner = try trainer(
            settings {
                $0.parts = parts; $0.epochs = 1
            }, parts.hasPrompt ? text() : fixed, data)
        let before = learner.state.parameters
        _ = try learner.runEpoch()
        #expect((learner.state.parameters.context != before.context) == parts.hasPrompt)
        #expect((learner.state.parameters.adapter != before.adapter) == parts.hasAdapter)
        #expect((learner.state.ranges != nil) == parts.hasAdapter)
    }

    @Test func `a step limit bounds how far the prompt moves`() throws {
        let data = clusters(tiny, images: 16)
        func distance(_ limit: Float) throws -> Float {
            let chosen = settings {
                $0.epochs = 1
                $0.promptRate = 1e4
                $0.stepLimit = limit
            }
            let learner = try trainer(chosen, text(), data)
            let before = learner.state.parameters.context
            _ = try learner.runEpoch()
            return zip(learner.state.parameters.context, before).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
        }
        // One step; 72 numbers of deviation 0.02.
        let start = Float(72).squareRoot() * 0.02
        #expect(try abs(distance(0.1) - 0.1 * start) < 1e-4 * start)
        #expect(try distance(0) > start)
    }

    @Test func `a loss that is no number is an error`() throws {
        let data = clusters(tiny)
        var features = data.features
        features.replaceSubrange(0..<features.count, with: repeatElement(.nan, count: features.count))
        let broken = TrainingData(
            views: 2, featureWidth: data.featureWidth, classes: data.classes, features: features, teacher: data.teacher,
            labels: data.labels, sha256: "")
        #expect(throws: TuningError.diverged(step: 0)) { _ = try trainer(settings(), text(), broken).runEpoch() }
    }
}

struct TuningSearchTests {
    @Test func `candidates vary what is learned and nothing else`() {
        let both = settings()
        let candidates = TuningSearch().candidates(both)
        #expect(candidates.count == 6 && Set(candidates.map(\.adaptRatio)) == [0.2, 0.5, 0.8])
        #expect(candidates.allSatisfy { $0.heldOut == TuningSearch.heldOut && $0.epochs == 1 && $0.seed == both.seed })
        let (prompt, adapter) = (settings { $0.parts = .prompt }, settings { $0.parts = .adapter })
        #expect(TuningSearch().candidates(prompt).count == 2 && TuningSearch().candidates(adapter).count == 3)
    }
}

struct OptimizerTests {
    @Test func `the cosine falls from start to end`() {
        let schedule = CosineSchedule(start: 2, end: 1, steps: 4)
        let rates = (0...4).map { (schedule.rate($0) * 1e6).rounded() / 1e6 }
        #expect(rates == [2, 1.853553, 1.5, 1.146447, 1])
    }

    /// Source: Random123's kat_vectors.
    @Test func `the generator gives the published numbers`() {
        #expect(PhiloxRandom.philox((0, 0, 0, 0), key: (0, 0)) == (0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
        let ones = UInt32.max
        #expect(PhiloxRandom.philox((ones, ones, ones, ones), key: (ones, ones)) == (0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
        #expect(
            PhiloxRandom.philox((0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), key: (0xA409_3822, 0x299F_31D0))
                == (0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1))
    }

    @Test func `its numbers are spread as they should be`() {
        let random = PhiloxRandom(seed: 5)
        let normals = random.stream(1).normals(20_000, deviation: 2)
        let mean = normals.reduce(0) { $0 + Double($1) } / 20_000
        let variance = normals.reduce(0) { $0 + Double($1) * Double($1) } / 20_000
        #expect(abs(mean) < 0.06 && abs(variance - 4) < 0.2)
        #expect(random.stream(2).permutation(100).sorted() == Array(0..<100))
        #expect(random.stream(2).permutation(100) != random.stream(3).permutation(100))
        #expect(random.stream(4).uniforms(9, 1) == PhiloxRandom(seed: 5).stream(4).uniforms(9, 1))
    }
}

/// A folder that goes with its owner.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-tuning-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }
}
