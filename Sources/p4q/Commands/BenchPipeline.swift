import ArgumentParser
import CLIP
import Foundation
import Imaging
import Messages
import Quantization
import Services
import Synchronization
import Tensors

/// `p4q bench pipeline`: image files in, scores out, through the parts a worker is made of.
struct BenchPipeline: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Images a second from file bytes to scores against made-up class features.",
        discussion: """
            Beside what an image costs in the pipeline stands what it could cost: decoding and preprocessing on one thread with nothing \
            beside it (alone), and the tower's operations at the speed of the processor's integer dot product (limit). decode and \
            preprocess are elapsed times, which threads that share a core lengthen; the other figures are processor time.
            """)

    @OptionGroup var modelOptions: BenchModelOptions
    @OptionGroup var threading: ThreadOptions

    @Option(name: .long, help: "A folder or archive of images; may be repeated.", completion: .directory)
    var images: [String]

    @Option(name: .long, help: "The most images in one pass.")
    var batch = 32

    @Option(name: .long, help: "Classes to score against.")
    var classes = 1000

    @Option(name: .long, help: "How long to measure.")
    var seconds = 10.0

    @Flag(name: .long, help: "Print a JSON object.")
    var json = false

    func validate() throws {
        try checkCount("--batch", batch, most: BenchModelOptions.largestBatch)
        try checkCount("--classes", classes, most: 1_000_000)
        try checkSeconds("--seconds", seconds)
    }

    func run() async throws {
        let files = try loadImages(images)
        let pool = threading.makePool()
        let clock = StageClock(.processorTime)
        let subject = try modelOptions.subject(pool: pool, clock: clock)
        let model = subject.model
        let registry = ClassSetRegistry(model: model, pool: pool, cache: nil)
        let classSet = try ClassSet(labels: (0..<classes).map { "class \($0)" })
        try registry.put(classSet, textFeatures: Self.madeUpFeatures(classes, width: model.imageEncoder.featureWidth))
        var settings = ClassificationPipeline.Settings(worker: "bench", decodeThreads: pool.threads)
        settings.batchMaximum = batch
        let failures = Atomic<Int>(0)
        let pipeline = try ClassificationPipeline(model: model, registry: registry, settings: settings, pool: pool) { batches in
            for result in batches.flatMap(\.results) {
                if case .failed = result.outcome { failures.wrappingAdd(1, ordering: .relaxed) }
            }
        }
        // The first batches fill caches and memory; they are not counted.
        feed(pipeline, files, until: .now + .seconds(min(2, seconds / 4)))
        clock.reset()
        let (before, start) = (pipeline.counters.values, ContinuousClock.now)
        let processorBefore = Self.processorSeconds()
        feed(pipeline, files, until: start + .seconds(seconds))
        let (after, elapsed) = (pipeline.counters.values, ContinuousClock.now - start)
        let processor = Self.processorSeconds() - processorBefore
        let tower = clock.takeSeconds().reduce(0) { $0 + $1.seconds }
        pipeline.finish()
        if failures.load(ordering: .relaxed) > 0 { throw ValidationError("some of the images can't be decoded; measure with good ones") }
        try report(
            before, after, seconds: Self.seconds(elapsed), processor: processor, tower: subject.isClocked ? tower : nil,
            limits: try limits(files, subject, pool), threads: pool.threads, bits: subject.bitsText)
    }

    private func feed(_ pipeline: ClassificationPipeline, _ files: [Data], until end: ContinuousClock.Instant) {
        var index = 0
        while ContinuousClock.now < end {
            _ = pipeline.submit(ClassificationJob(Job(id: "\(index)"), payload: .data(files[index % files.count])))
            index += 1
        }
    }

    /// What an image costs at least, in milliseconds of a core.
    private struct Limits {
        let decode: Double
        let preprocess: Double
        /// nil: float, or no time of its own.
        let tower: Double?
    }

    private func limits(_ files: [Data], _ subject: BenchSubject, _ pool: ThreadPool) throws -> Limits {
        let preprocessor = try ImagePreprocessor(subject.model.preprocessor)
        let (decoder, workspace) = (ImageDecoder(), ImageWorkspace())
        var crop = [UInt8](repeating: 0, count: preprocessor.sampleCount)
        var (decode, preprocess) = (0.0, 0.0)
        var count = 0.0
        let end = ContinuousClock.now + .seconds(min(2, seconds / 4))
        repeat {
            for file in files {
                try file.withUnsafeBytes { bytes in
                    var outcome: (any Error)?
                    decode += Stopwatch.time { do { try decoder.decode(bytes, into: workspace.image) } catch { outcome = error } }
                    if let outcome { throw outcome }
                    preprocess += Stopwatch.time {
                        crop.withUnsafeMutableBufferPointer { preprocessor.crop(workspace.image, into: $0, workspace: workspace) }
                    }
                }
                count += 1
                if ContinuousClock.now >= end { break }
            }
        } while ContinuousClock.now < end
        let tower = try subject.productBits.map { bits in
            let rate = IntegerLimit.measure(IntegerGEMM(try ProcessorOptions.instructionSet()), bits, pool, milliseconds: 100)
            let operations = subject.configuration.integerOperationsPerImage(quantizesAttention: subject.recipe == .paper)
            return Double(operations) / rate.mean * Double(pool.threads) * 1e3
        }
        return Limits(decode: decode / count * 1e3, preprocess: preprocess / count * 1e3, tower: tower)
    }

    private func report(
        _ before: PipelineCounters.Values, _ after: PipelineCounters.Values, seconds: Double, processor: Double, tower: Double?,
        limits: Limits, threads: Int, bits: String
    ) throws {
        let count = Double(after.scored - before.scored)
        func each(_ seconds: Double) -> Double { rounded(seconds / count * 1e3, 3) }
        var fields: [(name: String, value: any Encodable)] = [
            ("images_per_second", rounded(count / seconds)), ("images", Int(count)), ("threads", threads), ("batch", batch),
            ("bits", bits), ("classes", classes), ("processor", processorName()), ("core_milliseconds_per_image", each(processor)),
            ("decode_milliseconds_per_image", each(Self.seconds(after.decode - before.decode))),
            ("decode_alone_milliseconds_per_image", rounded(limits.decode, 3)),
            ("preprocess_milliseconds_per_image", each(Self.seconds(after.preprocess - before.preprocess))),
            ("preprocess_alone_milliseconds_per_image", rounded(limits.preprocess, 3)),
        ]
        if let tower { fields.append(("encoder_core_milliseconds_per_image", each(tower))) }
        if let limit = limits.tower { fields.append(("encoder_limit_milliseconds_per_image", rounded(limit, 3))) }
        fields.append(("images_per_batch", rounded(Double(after.images - before.images) / Double(max(after.batches - before.batches, 1)))))
        try printReport(fields, json: json)
    }

    /// [classes, width], unit norm, made up.
    private static func madeUpFeatures(_ classes: Int, width: Int) -> FloatTensor {
        FloatTensor(shape: [classes, width]) { values in
            for index in values.indices { values[index] = Float((index &* 40_503) % 1013) / 1013 - 0.5 }
            for row in 0..<classes {
                guard let base = values.baseAddress else { return }
                FloatKernels().normalize(base + row * width, count: width, output: base + row * width)
            }
        }
    }

    static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }

    /// User and system time of this process.
    static func processorSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
