internal import DequeModule

/// The open jobs of one service that wait for a worker, and the workers that wait for jobs.
struct ServiceQueue: Sendable {
    let name: UInt32
    let text: String
    var mode = ServiceMode.running
    var limits: QueueConfiguration.Limits
    var batching: QueueConfiguration.Batching

    /// All its open jobs.
    var jobs = 0
    var bytes = 0

    /// Flows that have ready jobs (or had, a moment ago), by priority, in the order of their turns.
    var levels: [Deque<UInt32>] = Array(repeating: [], count: Priority.levels)
    /// Ready jobs, those that run alone left out.
    var ready = 0
    /// Since when there are ready jobs that no worker was offered, in milliseconds on the continuous clock.
    var readySince: Int64 = 0
    /// When a batch has waited long enough for more.
    var due: Int64 { readySince.addingSaturating(batching.wait.milliseconds) }
    /// What is due was offered to every idle session, and none could take it: it is offered again when something changes, or at this time.
    var heldUntil: Int64 = .min
    /// Ready jobs that run alone.
    var suspects = SlotList()
    /// Workers that are kept free for them.
    var reserved = 0

    /// Sessions with credit, the longest waiting first; ended ones are left out when their turn comes.
    var idle = Deque<SessionID>()
    var times = BatchTimes()
    var rate = FinishRate()
}

/// How long the last batches took, in milliseconds.
struct BatchTimes: Sendable {
    private var times: [Int64] = []
    private var next = 0
    /// The 99th percentile of the last 128; 0 before the first.
    private(set) var high: Int64 = 0

    mutating func add(_ time: Int64) {
        if times.count < 128 { times.append(time) } else { times[next] = time }
        next = (next + 1) % 128
        high = times.count > 100 ? times.sorted()[times.count * 99 / 100 - 1] : times.max() ?? 0
    }
}

/// Finished jobs a second, for the honest answer to "when may I come again".
struct FinishRate: Sendable {
    private var second: Int64 = .min
    private var count = 0
    private var smoothed = 0.0

    mutating func add(_ now: Moment) {
        let current = now.uptime.milliseconds / 1000
        if current != second {
            smoothed = second == .min ? Double(count) : (smoothed + Double(count)) / 2
            (second, count) = (current, 0)
        }
        count += 1
    }

    /// How long `jobs` take at this rate; 0.1 to 30 s, 1 s if nothing is known.
    func time(for jobs: Int) -> Duration {
        let rate = max(smoothed, Double(count))
        guard rate > 0 else { return .seconds(1) }
        return .milliseconds(Int64(min(max(Double(jobs) / rate * 1000, 100), 30_000)))
    }
}
