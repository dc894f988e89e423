import ArgumentParser
import CLIP
import Drawing
import Foundation
import Synchronization
import Tensors
import Tuning

/// `p4q pretrain`: a small CLIP from nothing.
struct Pretrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a small CLIP from scratch on pictures that the program draws.",
        discussion: """
            Contrastive, with a byte-level BPE vocabulary learned from the captions. The folder becomes a Hugging Face CLIP in float16. While \
            it trains, checkpoint.safetensors and loss.csv lie in it; the same command goes on from there after a stop. Exit code 75: stopped \
            by a signal, everything kept.
            """)

    @OptionGroup var threading: ThreadOptions

    @Option(name: .long, help: "The folder to write.", completion: .directory)
    var out: String

    @Option(name: .long, help: "Steps in all.")
    var steps = PretrainingRecipe.builtIn.steps

    @Option(name: .long, help: "Pairs in a step.")
    var batch = PretrainingRecipe.builtIn.batch

    @Option(name: .long, help: "What pictures, captions and first weights depend on.")
    var seed = PretrainingRecipe.builtIn.seed

    @Option(name: .long, help: "The highest learning rate.")
    var rate = PretrainingRecipe.builtIn.optimizer.peakRate

    @Option(name: .long, help: "Steps over which the rate rises.")
    var warmup = PretrainingRecipe.builtIn.optimizer.warmupSteps

    @Option(name: .long, help: "Sides of the pictures that the model takes, in pixels.")
    var imageSide = PretrainingRecipe.builtIn.imageSide

    @Option(name: .long, help: "Sides of a patch, in pixels.")
    var patch = PretrainingRecipe.builtIn.patchSize

    @Option(name: .long, help: "Width of the image tower.")
    var width = PretrainingRecipe.builtIn.vision.width

    @Option(name: .long, help: "Blocks of the image tower.")
    var depth = PretrainingRecipe.builtIn.vision.depth

    @Option(name: .long, help: "Width of the text tower.")
    var textWidth = PretrainingRecipe.builtIn.text.width

    @Option(name: .long, help: "Blocks of the text tower.")
    var textDepth = PretrainingRecipe.builtIn.text.depth

    @Option(name: .long, help: "Minutes between checkpoints.")
    var checkpointMinutes = 3.0

    @Option(name: .long, help: "Held-out pictures of each domain that the finished model is measured on.")
    var evaluate = 5000

    @Flag(name: .long, help: "Begin anew even if there is a checkpoint.")
    var restart = false

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    func validate() throws {
        if let problem = recipe.problem { throw ValidationError(problem) }
        if !(rate > 0 && rate < 1) { throw ValidationError("--rate must lie between 0 and 1") }
        if warmup < 0 || evaluate < 0 || checkpointMinutes <= 0 {
            throw ValidationError("--warmup, --evaluate and --checkpoint-minutes must not be negative")
        }
    }

    private var recipe: PretrainingRecipe {
        var recipe = PretrainingRecipe.builtIn
        recipe.steps = steps
        recipe.batch = batch
        recipe.seed = seed
        recipe.optimizer.peakRate = rate
        recipe.optimizer.warmupSteps = warmup
        recipe.imageSide = imageSide
        recipe.patchSize = patch
        recipe.vision = TowerConfiguration(
            width: width, depth: depth, heads: max(1, width / 64), mlpWidth: 4 * width, activation: .quickGELU)
        recipe.text = TowerConfiguration(
            width: textWidth, depth: textDepth, heads: max(1, textWidth / 64), mlpWidth: 4 * textWidth, activation: .quickGELU)
        return recipe
    }

    func run() async throws {
        let folder = URL(fileURLWithPath: out)
        try OutputFile.makeFolder(folder)
        let saved = folder.appendingPathComponent("checkpoint.safetensors")
        let pretrainer = try Pretrainer(recipe)
        let notices = Notices(isQuiet: quiet)
        if !restart, FileManager.default.fileExists(atPath: saved.path) {
            try pretrainer.resume(from: saved)
            notices.note("going on from step \(pretrainer.step) of \(steps)")
        }
        let pool = threading.makePool()
        try train(pretrainer, pool, folder: folder, saved: saved, notices)
        try pretrainer.export(to: folder)
        try OutputFile.write(Data(DrawnClassSet.yaml.utf8), to: folder.appendingPathComponent("classes.yaml"))
        if evaluate > 0 {
            for domain in DrawingDomain.allCases {
                let accuracy = try pretrainer.accuracy(domain, count: evaluate, pool: pool)
                notices.note("\(domain): \(Self.percent(accuracy)) % top-1, zero-shot, on \(evaluate) held-out pictures")
            }
        }
        notices.note("wrote \(out)")
    }

    private func train(_ pretrainer: Pretrainer, _ pool: ThreadPool, folder: URL, saved: URL, _ notices: Notices) throws {
        let stop = StopSignal()
        var curve = try LossCurve(folder.appendingPathComponent("loss.csv"), from: pretrainer.step)
        var display = TrainingDisplay(total: steps, batch: batch, from: pretrainer.step, isQuiet: quiet)
        var lastSave = ContinuousClock.now
        while pretrainer.step < steps {
            let progress = try pretrainer.advance(pool: pool)
            try curve.add(progress)
            display.show(progress)
            let isStopped = stop.isRaised
            if isStopped || pretrainer.step == steps || ContinuousClock.now - lastSave > .seconds(checkpointMinutes * 60) {
                try pretrainer.save(to: saved)
                lastSave = .now
            }
            if isStopped {
                notices.note("stopped after step \(pretrainer.step); the same command goes on from there")
                throw ExitCode(75)
            }
        }
    }

    static func percent(_ part: Double) -> String { String(format: "%.2f", part * 100) }
}

/// `loss.csv`: a line a step.
private struct LossCurve {
    private let url: URL
    private let handle: FileHandle

    /// Keeps the lines of the first `step` steps of a file that is there.
    init(_ url: URL, from step: Int) throws {
        self.url = url
        let old = (try? String(contentsOf: url, encoding: .utf8))?.split(separator: "\n").dropFirst().prefix(step) ?? []
        let text = (["step,loss,accuracy,rate,gradient_norm"] + old.map(String.init)).map { $0 + "\n" }.joined()
        try OutputFile.write(Data(text.utf8), to: url)
        handle = try FileHandle(forWritingTo: url)
        try handle.seekToEnd()
    }

    mutating func add(_ p: Pretrainer.Progress) throws {
        let line = String(format: "%d,%.4f,%.4f,%.6g,%.4g\n", p.step, p.loss, p.accuracy, p.rate, p.gradientNorm)
        try handle.write(contentsOf: Data(line.utf8))
    }
}

/// The progress of a training with the time that is left: a line that is written over on a terminal, a line a minute elsewhere.
private struct TrainingDisplay {
    private let total: Int
    private let batch: Int
    private let first: Int
    private let isQuiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let start = ContinuousClock.now
    private var shown: ContinuousClock.Instant?
    private var loss: Double?
    private var accuracy = 0.0

    init(total: Int, batch: Int, from first: Int, isQuiet: Bool) {
        (self.total, self.batch, self.first, self.isQuiet) = (total, batch, first, isQuiet)
    }

    mutating func show(_ p: Pretrainer.Progress) {
        // Smoothed over fifty steps or so.
        loss = (loss ?? p.loss) * 0.98 + p.loss * 0.02
        accuracy = loss == nil ? p.accuracy : accuracy * 0.98 + p.accuracy * 0.02
        let now = ContinuousClock.now
        if isQuiet || (p.step < total && shown.map { now - $0 < (isTerminal ? .milliseconds(200) : .seconds(60)) } ?? false) { return }
        shown = now
        let seconds = max(1e-3, (now - start) / .seconds(1))
        let pace = Double(p.step - first) / seconds
        let text = String(
            format: "step %d of %d, loss %.3f, right %.1f %%, %.0f pairs/s, %.0f min left", p.step, total, loss ?? 0, accuracy * 100,
            pace * Double(batch), Double(total - p.step) / pace / 60)
        let line = isTerminal ? "\r\u{1B}[K\(text)\(p.step == total ? "\n" : "")" : "\(text)\n"
        FileHandle.standardError.write(Data(line.utf8))
    }
}

/// Whether SIGTERM or SIGINT has come; a second one ends the process at once.
private final class StopSignal: Sendable {
    private let raised = Atomic<Bool>(false)
    // Safe: written in init only.
    nonisolated(unsafe) private var sources: [any DispatchSourceSignal] = []

    init() {
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [weak self] in
                guard let self else { return }
                if raised.exchange(true, ordering: .relaxed) { _exit(128 + number) }
            }
            source.resume()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }

    var isRaised: Bool { raised.load(ordering: .relaxed) }
}
