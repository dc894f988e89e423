internal import DequeModule
internal import HeapModule

/// The rules of the durable queue: state + event + now -> changes to the journal and actions. No clock, socket or file inside.
///
/// Everything the machine decides it puts into its output: a batch for the journal, and actions. Whoever drives it takes the output
/// whenever the journal is free (`takeOutput`), commits its batch, and only then carries out its actions; outputs are committed in order.
/// `PartitionRunner` does that.
///
/// Leases themselves are not journalled: a job that was leased when the process ended is ready again, at no cost.
package struct QueueMachine: Sendable {
    package internal(set) var configuration: QueueConfiguration
    let partition: PartitionID
    package let epoch: Epoch
    let secret: LeaseSecret
    let planted: PlantedBug?
    var jitter: JitterSource

    var names: [Name] = []
    var nameNumbers: [String: UInt32] = [:]
    var services: [ServiceQueue] = []

    var jobs = JobTable()
    var flows: [Flow] = []
    var flowNumbers: [FlowKey: UInt32] = [:]
    var timers = Heap<JobTimer>()
    var openJobs = 0
    var openBytes = 0
    var lastJob: UInt64

    var sessions: [SessionID: Session] = [:]
    var workers: [String: WorkerState] = [:]
    var leases: [UInt64: Lease] = [:]
    var nextLease: UInt64 = 1
    /// The last leases of outputs that are not committed yet: their time has not begun.
    var unsentLeases = Deque<(output: UInt64, last: UInt64)>()
    var lastSentLease: UInt64 = 0

    var groups: [GroupState] = []
    /// The jobs of the outcomes that are kept, in sequence; the last one is `lastSequence`'s.
    var outcomes = Deque<UInt32>()
    var lastSequence: UInt64
    /// Outcomes up to `through` were read by every group at `time`.
    var readMarks = Deque<ReadMark>()
    /// Jobs that lookups which are under way may miss.
    var justForgotten: [JobKey: Tombstone] = [:]
    var forgottenOrder = Deque<ForgottenMark>()

    var isDiskLow = false
    var isStopping = false
    /// The journal has more to write than it should have; set by the driver.
    package var isJournalBehind = false
    /// What waits for the journal is as much as its disk can take; set by the driver.
    package var isRoomShort = false
    var purges: [Purge] = []
    /// Finished jobs that `start` puts in their places.
    var unplaced: [UInt32] = []
    /// Only by a planted bug: jobs that a restart has killed.
    var unplacedDead: [UInt32] = []
    var counters = QueueCounters()

    var output = Output(number: 1, batch: JournalBatch(), immediate: [], actions: [])
    var dirtyServices: Set<Int> = []
    var hasNewOutcomes = false
    var nextLeaseCheck = Int64.max
    var nextSilenceCheck = Int64.max
    var nextForget = Int64.max
    /// When something last happened, and when the process last went on after a standstill, in milliseconds on the continuous clock.
    var awake: Int64
    var resumed = Int64.min

    /// What was decided since the last output.
    package struct Output: Sendable {
        /// Counts from 1.
        package var number: UInt64
        package var batch: JournalBatch
        /// What promises nothing: may be carried out at once.
        package var immediate: [Action]
        /// To be carried out in this order after the batch and all before it are committed.
        package var actions: [Action]
        /// Of the contents in the batch.
        package var bytes = 0
    }

    /// The queue as a store found it; `restore` and `start` complete it.
    package init(
        _ recovered: RecoveredPartition, configuration: QueueConfiguration, seed: UInt64, now: Moment, planted: PlantedBug? = nil
    ) {
        self.configuration = configuration
        partition = recovered.partition
        epoch = recovered.epoch
        secret = recovered.secret
        self.planted = planted
        jitter = JitterSource(seed: seed)
        awake = now.uptime.milliseconds
        lastJob = recovered.lastJob.rawValue
        lastSequence = recovered.lastSequence.rawValue
        restore(recovered, now)
    }

    /// Takes in what has happened.
    package mutating func handle(_ event: Event, now: Moment) {
        noticeStandstill(now)
        switch event {
        case .submit(let batch): submit(batch, now)
        case .cancel(let request, let key): cancel(request, key, now)
        case .watch(let job): watch(job)
        case .ready(let worker): ready(worker, now)
        case .heartbeat(let session, let progress): heartbeat(session, progress, now)
        case .answer(let session, let identity, let answers): answer(session, identity, answers, now)
        case .ended(let session, let end): ended(session, end, now)
        case .corrupt(let session, let leases, let isSent): corrupt(session, leases, isSent, now)
        case .sinkReady(let sink): sinkReady(sink, now)
        case .acknowledge(let session, let acknowledgement): acknowledge(session, acknowledgement, now)
        case .addGroup(let request, let settings, let start): addGroup(request, settings, start, now)
        case .removeGroup(let request, let name): removeGroup(request, name)
        case .setMode(let request, let service, let mode): setMode(request, service, mode)
        case .drainWorker(let request, let name): drainWorker(request, name, now)
        case .purge(let request, let service): purge(request, service, now)
        case .configure(let new): configure(new, now)
        case .disk(let isLow): isDiskLow = isLow
        case .stop: isStopping = true
        case .tick: tick(now)
        }
        pump(now)
    }

    /// Everything since the last output; nil if that is nothing.
    package mutating func takeOutput() -> Output? {
        for index in groups.indices where groups[index].isChanged {
            groups[index].isChanged = false
            output.batch.groups.append(groups[index].record)
        }
        guard !output.batch.isEmpty || !output.actions.isEmpty || !output.immediate.isEmpty else { return nil }
        output.batch.partition = partition
        output.batch.epoch = epoch
        if nextLease - 1 > unsentLeases.last?.last ?? lastSentLease { unsentLeases.append((output.number, nextLease - 1)) }
        defer { output = Output(number: output.number + 1, batch: JournalBatch(), immediate: [], actions: []) }
        return output
    }

    /// There is something to take.
    package var hasOutput: Bool {
        !output.batch.isEmpty || !output.actions.isEmpty || !output.immediate.isEmpty || groups.contains { $0.isChanged }
    }

    /// The batch of output `number` is durable.
    package mutating func committed(_ number: UInt64, now: Moment) {
        noticeStandstill(now)
        while let sent = unsentLeases.first, sent.output <= number {
            unsentLeases.removeFirst()
            beginLeases(through: sent.last, now)
        }
        for index in forgottenOrder.indices.reversed() {
            guard forgottenOrder[index].committed == nil else { break }
            if forgottenOrder[index].output <= number { forgottenOrder[index].committed = now.uptime }
        }
    }

    /// When `.tick` must come, if nothing else happens.
    package var nextTick: Uptime {
        var next = min(timers.min?.time ?? .max, nextLeaseCheck, nextSilenceCheck, nextForget)
        if !purges.isEmpty { next = .min }
        for service in services { next = min(next, batchDue(service)) }
        for group in groups { next = min(next, group.holdUntil) }
        return Uptime(milliseconds: next)
    }

    /// Gives out what has become possible.
    private mutating func pump(_ now: Moment) {
        while let service = dirtyServices.popFirst() { leaseJobs(service, now) }
        if hasNewOutcomes {
            hasNewOutcomes = false
            for index in groups.indices { deliver(index, now) }
        }
    }
}

/// The rest of what a machine remembers, small things.
extension QueueMachine {
    /// A producer or a service, or both.
    struct Name: Sendable {
        let text: String
        var limits: QueueConfiguration.Limits
        var weight: Int
        /// As a producer: what is open of it.
        var jobs = 0
        var bytes = 0
        /// As a service: its place in `services`.
        var service: Int?
    }

    struct FlowKey: Hashable, Sendable {
        let service: UInt32
        let producer: UInt32
        let priority: UInt8
    }

    struct ReadMark: Sendable {
        var time: Int64
        var through: UInt64
    }

    struct ForgottenMark: Sendable {
        let key: JobKey
        let output: UInt64
        var committed: Uptime?
    }

    struct Purge: Sendable {
        let request: RequestID
        let service: Int
        let lastJob: UInt64
        var slot: UInt32 = 0
        var count = 0
    }
}
