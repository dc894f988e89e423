package import Tensors

/// What turns pictures into features: the float tower, or a quantized one.
package protocol ImageEncoder: Sendable {
    /// Width and height of the pictures it takes, in pixels.
    var imageSide: Int { get }
    /// Length of a feature.
    var featureWidth: Int { get }

    /// Features of `count` pictures.
    ///
    /// - Parameters:
    ///   - crops: [count, imageSide, imageSide, 3] 8-bit RGB, as preprocessing gives them.
    ///   - features: [count, featureWidth], receives the projected features, not normalised.
    ///   - pool: whose threads do the work.
    func encode(
        crops: UnsafeBufferPointer<UInt8>, count: Int, features: UnsafeMutableBufferPointer<Float>, pool: ThreadPool)
}

/// What turns prompts into features: the float tower, or a quantized one.
package protocol TextEncoder: Sendable {
    /// The most tokens a prompt may have, start and end included.
    var contextLength: Int { get }
    /// Length of a feature.
    var featureWidth: Int { get }

    /// Projected features, not normalised, [prompts.count, featureWidth]. The feature is taken at each prompt's highest token id (the end
    /// token); nothing after it is computed.
    ///
    /// - Precondition: prompts have 1 to `contextLength` tokens, all inside the vocabulary.
    func encode(prompts: [[Int32]], pool: ThreadPool) -> FloatTensor
}

/// How a batch is spread over a pool: whole items to a thread where that keeps all threads busy, else every operation over all threads.
package enum BatchPlan: Equatable {
    /// Each thread takes runs of items through the whole tower.
    case items([Range<Int>])
    /// All threads share every operation of one run after the other.
    case operations([Range<Int>])

    /// - Parameter limit: items in one run, so that a run's activations stay near the cores.
    package static func forItems(_ count: Int, threads: Int, limit: Int) -> BatchPlan {
        if threads == 1 || count >= 4 * threads || (count > 0 && count % threads == 0) {
            return .items(shrinkingRuns(count, threads, limit))
        }
        return .operations(split(count, into: (count + limit - 1) / limit))
    }

    /// Items in one run that are worth reading all weights for.
    private static let leastRun = 4

    /// Runs in rounds of one to each thread, each round half of what is left until that is too little, so that a thread that others slowed
    /// down is not waited for long.
    private static func shrinkingRuns(_ count: Int, _ threads: Int, _ limit: Int) -> [Range<Int>] {
        guard threads > 1 else { return split(count, into: (count + limit - 1) / max(limit, 1)) }
        var runs: [Range<Int>] = []
        var start = 0
        while start < count {
            let left = count - start
            let size = min(limit, max(left / (2 * threads), leastRun))
            let taken = left < 2 * size * threads ? left : size * threads
            let round = split(taken, into: max(threads, (taken + limit - 1) / limit))
            runs += round.map { start + $0.lowerBound..<start + $0.upperBound }
            start += taken
        }
        return runs
    }

    private static func split(_ count: Int, into parts: Int) -> [Range<Int>] {
        (0..<parts).map { count * $0 / parts..<count * ($0 + 1) / parts }.filter { !$0.isEmpty }
    }

    /// Calls `body` with each run and the pool that it may use.
    package func run(on pool: ThreadPool, _ body: (Range<Int>, ThreadPool) -> Void) {
        switch self {
        case .items(let runs): pool.forEach(runs.count) { body(runs[$0], .serial) }
        case .operations(let runs): for run in runs { body(run, pool) }
        }
    }
}

extension ThreadPool {
    /// The caller alone.
    package static let serial = ThreadPool(threads: 1)
}
