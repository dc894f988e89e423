/// Every number the queue goes by. May be replaced while it runs.
package struct QueueConfiguration: Hashable, Sendable {
    /// Bounds on what may be open. A limit of age ends what is older as `dead(expired)`; the others answer busy.
    package struct Limits: Hashable, Sendable {
        package var jobs: Int
        package var bytes: Int
        package var age: Duration?

        package init(jobs: Int = .max, bytes: Int = .max, age: Duration? = nil) {
            self.jobs = jobs
            self.bytes = bytes
            self.age = age
        }
    }

    /// How jobs are put together for a worker.
    package struct Batching: Hashable, Sendable {
        /// The most jobs; a worker may ask for fewer.
        package var jobs: Int
        /// How long the oldest ready job waits for others.
        package var wait: Duration
        /// With it, batches are made as large as a worker lately finished in this time.
        package var latencyTarget: Duration?

        package init(jobs: Int = 256, wait: Duration = .milliseconds(5), latencyTarget: Duration? = nil) {
            self.jobs = jobs
            self.wait = wait
            self.latencyTarget = latencyTarget
        }
    }

    /// Open jobs and bytes in all: what bounds the memory (about 150 bytes a job) and the disk.
    package var total = Limits(jobs: 2_000_000, bytes: 64 << 30)
    /// By service; others have `service`.
    package var services: [String: Limits] = [:]
    package var service = Limits(jobs: 2_000_000, bytes: 64 << 30)
    /// By producer; others have `producer`.
    package var producers: [String: Limits] = [:]
    package var producer = Limits()
    /// Shares of producers among each other; 1 for others. 1 to 1000.
    package var weights: [String: Int] = [:]
    package var batching: [String: Batching] = [:]
    package var standardBatching = Batching()
    /// Different names of producers and services together.
    package var names = 100_000

    /// Attempts before a job is dead.
    package var attempts = 5
    /// Deaths of workers that had only this job.
    package var crashes = 3
    /// The wait before attempt n is `retryBase` x 2^(n-1), at most `retryMaximum`, +-20 %: 2 s, 4 s, ...
    package var retryBase = Duration.seconds(2)
    package var retryMaximum = Duration.seconds(60)

    package var heartbeat = Duration.seconds(1)
    /// Silent heartbeats after which a peer is gone.
    package var silentHeartbeats = 3
    /// A lease lasts at least this long, and `leaseBatches` times the 99th percentile of the batches' times.
    package var leaseMinimum = Duration.seconds(10)
    package var leaseBatches = 5
    /// From the moment a job's work starts, whatever the progress.
    package var leaseMaximum = Duration.seconds(60)

    /// Unacknowledged outcomes a member of a group may have.
    package var sinkWindow = 256
    /// How long outcomes stay after every group has read them, so that a new group can have them.
    package var keepOutcomes = Duration.seconds(3600)
    /// The most of those.
    package var keptOutcomes = 100_000

    /// Tombstones older than this are no use to the machine; lookups are made just before a submission.
    package var lookupLifetime = Duration.seconds(10)

    /// How long the id of a forgotten job counts, and how many such ids do, whichever ends first; whole days end together.
    package var rememberIDs = Duration.seconds(7 * 86_400)
    package var rememberedIDs = 20_000_000
    /// How often that is looked at.
    package var rememberCheck = Duration.seconds(3600)

    package init() {}
}
