import ArgumentParser
import CLIP
import Crypto
import Datasets
import Foundation
import Imaging
import Messages
import Quantization
import Services
import Tensors
import Transport

/// On what a model is calibrated, and how.
struct CalibrationOptions: ParsableArguments {
    @Option(
        name: .long,
        help: """
            Images, a folder or a tar archive to calibrate on; may be repeated. Or an endpoint, as @tcp://0.0.0.0:5557: then the first \
            --samples images of the jobs that come are used.
            """, completion: .file())
    var calibration: [String]

    @Option(name: .long, help: "The class set whose prompts the text tower is calibrated on.", completion: .file())
    var classSet: String

    @Option(name: .long, help: "Images used for calibration; drawn from all that there are, of a queue the first.")
    var samples = 1000

    @Option(name: .long, help: "Images in a calibration batch.")
    var batch = 100

    @Option(
        name: .long,
        help: "Vectors of a prompt yet to be learned that each class name also gets among the calibration prompts; 0: text prompts only.")
    var calibratePromptTokens = 0

    @Flag(name: .long, help: "Cut prompts that are too long for the model instead of refusing them.")
    var truncatePrompts = false

    @Option(name: .long, help: "What the draw of images depends on.")
    var seed: UInt64 = 0

    @Option(name: .long, help: "With an endpoint: begin when no job has come for this many seconds, with the images that came.")
    var timeout: Double?

    @OptionGroup var imageOptions: ImageOptions

    func validate() throws {
        if calibratePromptTokens < 0 { throw ValidationError("--calibrate-prompt-tokens must be at least 0") }
        if samples < 1 || batch < 1 { throw ValidationError("--samples and --batch must be at least 1") }
        if isQueue && !calibration.allSatisfy(Self.isEndpoint) {
            throw ValidationError("--calibration takes either endpoints or files, not both")
        }
        if let timeout {
            if !isQueue { throw ValidationError("--timeout goes with an endpoint") }
            try checkSeconds("--timeout", timeout)
        }
    }

    var isQueue: Bool { calibration.contains(where: Self.isEndpoint) }

    private static func isEndpoint(_ text: String) -> Bool { text.contains("://") }

    /// Shows the calibrator all images and prompts.
    ///
    /// - Throws: what makes the data unusable; single images that can't be decoded are left out and named on stderr.
    func observe(
        _ calibrator: Calibrator, _ checkpoint: Checkpoint, preprocessor: PreprocessorConfiguration, tokenizer: Tokenizer, pool: ThreadPool,
        quiet: Bool
    ) throws -> QuantizedFolder.Provenance {
        let classes = try ClassSet(contentsOf: URL(fileURLWithPath: classSet))
        let prompts = try classes.classes.flatMap { $0.texts(templates: classes.templates) }.map {
            try tokenizer.encode($0, contextLength: checkpoint.configuration.contextLength, truncating: truncatePrompts)
        }
        let (count, digest) = try observeImages(
            calibrator, try ImagePreparation(preprocessor, decoder: imageOptions.decoder, pool: pool), Notices(isQuiet: quiet))
        let learned = try learnedPrompts(classes, tokenizer, checkpoint.configuration)
        let all = prompts.map { EmbeddedPrompt(ids: $0) } + learned
        try calibrator.observe(embedded: all)
        return QuantizedFolder.Provenance(
            source: checkpoint.name, sourceSHA256: checkpoint.sha256, images: count, imagesSHA256: digest, prompts: all.count,
            promptsSHA256: Self.sha256(all), batch: batch, seed: isQueue ? nil : seed)
    }

    /// Of each prompt's tokens and vectors, little-endian, with their numbers before them.
    private static func sha256(_ prompts: [EmbeddedPrompt]) -> String {
        var hash = SHA256()
        for prompt in prompts {
            for number in [Int32(prompt.ids.count), Int32(prompt.context?.count ?? 0)] + prompt.ids {
                withUnsafeBytes(of: number.littleEndian) { hash.update(bufferPointer: $0) }
            }
            prompt.context?.withUnsafeBufferPointer { values in
                for value in values { withUnsafeBytes(of: value.bitPattern.littleEndian) { hash.update(bufferPointer: $0) } }
            }
        }
        return hex(hash.finalize())
    }

    private static func hex(_ digest: SHA256.Digest) -> String {
        digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// Each class's name behind vectors as a learned prompt begins with.
    private func learnedPrompts(_ classes: ClassSet, _ tokenizer: Tokenizer, _ configuration: CLIPConfiguration) throws -> [EmbeddedPrompt]
    {
        if calibratePromptTokens == 0 { return [] }
        let length = configuration.contextLength - calibratePromptTokens
        guard length > 2 else {
            throw ValidationError(
                "--calibrate-prompt-tokens \(calibratePromptTokens) leaves no room for a class name in \(configuration.contextLength) positions"
            )
        }
        let context = EmbeddedPrompt.initialContext(tokens: calibratePromptTokens, width: configuration.text.width, seed: seed)
        return try classes.classes.map {
            EmbeddedPrompt(ids: try tokenizer.encode("\($0.name).", contextLength: length, truncating: truncatePrompts), context: context)
        }
    }

    /// How many images were seen, and the SHA-256 of their crops.
    private func observeImages(_ calibrator: Calibrator, _ preparation: ImagePreparation, _ notices: Notices) throws -> (Int, String) {
        var (images, total) = try open(notices)
        var progress = Progress("calibrated", total: total, isQuiet: notices.isQuiet)
        var hash = SHA256()
        var count = 0
        while count < total {
            let jobs = images.next(min(batch, total - count))
            if jobs.isEmpty { break }
            var crops: [UInt8] = []
            for (job, outcome) in zip(jobs, preparation.prepare(jobs)) {
                switch outcome {
                case .success(let picture):
                    crops += picture.crop
                    count += 1
                case .failure(let failure): notices.warn("left out: \(job.job.id): \(failure.code): \(failure.message)")
                }
            }
            hash.update(data: crops)
            try calibrator.observe(crops: crops)
            progress.update(count)
        }
        progress.finish(count)
        if case .queue(let queue) = images { queue.close() }
        guard count > 0 else {
            throw CalibrationImages.Missing(places: calibration, hadSome: total > 0 && !isQueue, timeout: isQueue ? timeout : nil)
        }
        return (count, Self.hex(hash.finalize()))
    }

    private func open(_ notices: Notices) throws -> (images: CalibrationImages, total: Int) {
        guard isQueue else {
            return try CalibrationImages.draw(calibration, samples: samples, seed: seed, maxBytes: imageOptions.maxBytes, notices)
        }
        let queue = try QueueImages(
            endpoints(calibration, mode: .bind), maxBytes: imageOptions.maxBytes, timeout: timeout.map { .seconds($0) })
        notices.note("waiting for \(samples) images at \(queue.endpoint)")
        return (.queue(queue), samples)
    }
}
