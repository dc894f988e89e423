import ArgumentParser
import CLIP
import Foundation
import Quantization
import Synchronization
import Tensors

/// `p4q bench encoder`: the image tower alone, beside what its matrix products cost in OpenBLAS, or beside the limit of integer dot products.
struct BenchEncoder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "encoder",
        abstract: "Images a second through the image tower, and its share of OpenBLAS's own speed on the same products.")

    @OptionGroup var modelOptions: BenchModelOptions
    @OptionGroup var threading: ThreadOptions

    @Option(name: .long, help: "Images in one pass.")
    var batch = 32

    @Option(name: .long, help: "How long to measure.")
    var seconds = 5.0

    @Flag(name: .long, help: "Print a JSON object.")
    var json = false

    func validate() throws {
        try checkCount("--batch", batch, most: BenchModelOptions.largestBatch)
        try checkSeconds("--seconds", seconds)
    }

    func run() async throws {
        let pool = threading.makePool()
        let clock = StageClock(.counter)
        let subject = try modelOptions.subject(pool: pool, clock: clock)
        let encoder = subject.model.imageEncoder
        let crops = (0..<batch * encoder.imageSide * encoder.imageSide * 3).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        var features = [Float](repeating: 0, count: batch * encoder.featureWidth)
        func encode() {
            crops.withUnsafeBufferPointer { crops in
                features.withUnsafeMutableBufferPointer { encoder.encode(crops: crops, count: batch, features: $0, pool: pool) }
            }
        }
        if subject.bits != nil { return try measureIntegers(encode, subject, clock, pool) }
        let products = TowerProducts(subject.configuration, batch: batch)
        for _ in 0..<2 { encode() }
        products.run(threads: pool.threads)
        var (tower, blas) = (Stopwatch(), Stopwatch())
        // In turns, so that both see the same machine.
        for _ in 0..<5 {
            tower.repeating(for: seconds / 5 * 0.7, least: 1, encode)
            blas.repeating(for: seconds / 5 * 0.3, least: 1) { products.run(threads: pool.threads) }
        }
        let operations = Double(products.operations)
        try printReport(
            [
                ("model", subject.model.name), ("bits", subject.bitsText), ("threads", pool.threads), ("batch", batch),
                ("processor", processorName()), ("images_per_second", rounded(Double(batch) / tower.median)),
                ("milliseconds_per_batch", rounded(tower.median * 1e3)), ("gflops", rounded(operations / tower.median / 1e9)),
                ("sgemm_gflops", rounded(operations / blas.median / 1e9)), ("sgemm_share", rounded(blas.median / tower.median, 3)),
                ("runs", tower.seconds.count),
            ], json: json)
    }

    /// The integer tower, beside what the instruction set's dot product does on registers alone.
    private func measureIntegers(
        _ encode: () -> Void, _ subject: BenchSubject, _ clock: StageClock, _ pool: ThreadPool
    ) throws {
        guard let bits = subject.productBits else { return }
        let gemm = IntegerGEMM(try ProcessorOptions.instructionSet())
        for _ in 0..<2 { encode() }
        var (tower, clocked) = (Stopwatch(), Stopwatch())
        clock.reset()
        var limits: [IntegerGEMM.PeakRate] = []
        // In short turns, so that all see the same machine. A clock makes passes slower, so that those with one don't count as speed.
        let end = ContinuousClock.now + .seconds(seconds)
        while limits.count < 3 || ContinuousClock.now < end {
            clock.isRunning = true
            if limits.count % 4 == 0 { clocked.repeating(for: 0.2, least: 1, encode) }
            clock.isRunning = false
            tower.repeating(for: 0.2, least: 1, encode)
            limits.append(IntegerLimit.measure(gemm, bits, pool, milliseconds: 25))
        }
        let operations = Double(batch * subject.configuration.integerOperationsPerImage(quantizesAttention: subject.recipe == .paper))
        let limit = Stopwatch.median(limits.map(\.mean))
        let bestLimit = limits.map(\.best).max() ?? .nan
        let images = Double(clocked.seconds.count * batch)
        let stages = clock.takeSeconds().map { ($0.stage, $0.seconds / images * 1e3) }
        let busy = stages.reduce(0) { $0 + $1.1 }
        let available = clocked.seconds.reduce(0, +) * Double(pool.threads) / images * 1e3
        var fields: [(name: String, value: any Encodable)] = [
            ("model", subject.model.name), ("bits", subject.bitsText), ("threads", pool.threads), ("batch", batch),
            ("processor", processorName()), ("instruction_set", gemm.instructionSet.rawValue),
            ("images_per_second", rounded(Double(batch) / tower.median)), ("milliseconds_per_batch", rounded(tower.median * 1e3)),
            ("gops", rounded(operations / tower.median / 1e9)), ("limit_gops", rounded(limit / 1e9)),
            ("limit_share", rounded(operations / tower.median / limit, 3)), ("best_limit_gops", rounded(bestLimit / 1e9)),
            ("best_limit_share", rounded(operations / tower.median / bestLimit, 3)),
            ("limit_images_per_second", rounded(limit / operations * Double(batch))), ("runs", tower.seconds.count),
        ]
        if subject.isClocked {
            let parts = Dictionary(uniqueKeysWithValues: stages.map { ("\($0.0)", rounded($0.1, 3)) })
            fields.append(
                (
                    "core_milliseconds_per_image",
                    parts.merging(["waiting_and_rest": rounded(available - busy, 3)]) { first, _ in first }
                ))
        }
        try printReport(fields, json: json)
    }
}

/// What the processor's integer dot product can do.
enum IntegerLimit {
    /// Of all threads at once, on registers alone.
    static func measure(_ gemm: IntegerGEMM, _ bits: BitPlan, _ pool: ThreadPool, milliseconds: Int) -> IntegerGEMM.PeakRate {
        let rates = Mutex<[IntegerGEMM.PeakRate]>([])
        pool.forEach(pool.threads) { _ in
            let rate = gemm.peakRate(activations: bits.activations, weights: bits.weights, milliseconds: milliseconds)
            rates.withLock { $0.append(rate) }
        }
        return rates.withLock { .sum($0) }
    }
}

/// The matrix products of one pass through the image tower, in OpenBLAS with its own threads: the yardstick of `bench encoder`.
struct TowerProducts {
    private struct Shape {
        let m: Int
        let n: Int
        let k: Int
        let count: Int
    }

    private let shapes: [Shape]
    private let a: [Float]
    private let b: [Float]

    init(_ configuration: CLIPConfiguration, batch: Int) {
        shapes = configuration.imageProducts.map { Shape(m: batch * $0.rows, n: $0.outputs, k: $0.inputs, count: $0.count) }
        a = (0..<(shapes.map { $0.m * $0.k }.max() ?? 0)).map { Float($0 % 17) - 8 }
        b = (0..<(shapes.map { $0.n * $0.k }.max() ?? 0)).map { Float($0 % 13) - 6 }
    }

    /// Multiplications and additions.
    var operations: Int { shapes.reduce(0) { $0 + 2 * $1.m * $1.n * $1.k * $1.count } }

    func run(threads: Int) {
        let output = [Float](unsafeUninitializedCapacity: shapes.map { $0.m * $0.n }.max() ?? 0) { buffer, _ in
            guard let c = buffer.baseAddress else { return }
            BLAS.withOwnThreads(threads) {
                for shape in shapes {
                    for _ in 0..<shape.count {
                        BLAS.multiply(
                            m: shape.m, n: shape.n, k: shape.k, a: a, aStride: shape.k, transposedB: b, bStride: shape.k, c: c,
                            cStride: shape.n)
                    }
                }
            }
        }
        withExtendedLifetime(output) {}
    }
}
