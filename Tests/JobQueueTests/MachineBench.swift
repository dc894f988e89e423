import JobQueue
import Testing

/// A machine on a table: events in, actions out, with a journal that always commits.
struct MachineBench {
    var machine: QueueMachine
    var uptime: Int64 = 1_000_000
    var wall: Int64 = 1_700_000_000_000
    private var nextJob = 0
    private var nextRequest: UInt64 = 100
    var batches: [JournalBatch] = []

    init(_ configuration: QueueConfiguration = Self.plain, planted: PlantedBug? = nil) {
        let partition = RecoveredPartition(
            partition: PartitionID(), epoch: Epoch(1), secret: LeaseSecret(high: 1, low: 2), lastJob: JobNumber(0),
            lastSequence: Sequence(0), names: [], groups: [], modes: [], wasClean: true)
        machine = QueueMachine(
            partition, configuration: configuration, seed: 1,
            now: Moment(uptime: Uptime(milliseconds: uptime), wall: WallTime(milliseconds: wall)), planted: planted)
        machine.start(now: now)
    }

    /// Batches go out at once.
    static var plain: QueueConfiguration {
        var configuration = QueueConfiguration()
        configuration.standardBatching.wait = .zero
        return configuration
    }

    var now: Moment { Moment(uptime: Uptime(milliseconds: uptime), wall: WallTime(milliseconds: wall)) }

    @discardableResult
    mutating func post(_ event: Event) -> [Action] {
        machine.handle(event, now: now)
        guard let output = machine.takeOutput() else { return [] }
        if !output.batch.isEmpty { batches.append(output.batch) }
        machine.committed(output.number, now: now)
        return output.immediate + output.actions
    }

    @discardableResult
    mutating func pass(_ duration: Duration) -> [Action] {
        var actions: [Action] = []
        let end = uptime + duration.milliseconds
        while uptime < end {
            uptime = min(end, uptime + 250)
            wall += 250
            actions += post(.tick)
        }
        return actions
    }

    /// New jobs of a producer; the verdicts' jobs and everything else that came of it.
    @discardableResult
    mutating func submit(
        _ count: Int, producer: String = "p", service: String = "classify", bytes: Int = 10,
        _ change: (inout Submission) -> Void = { _ in }
    ) -> (verdicts: [SubmissionVerdict], actions: [Action]) {
        var jobs: [Submission] = []
        for _ in 0..<count {
            let id = "job-\(nextJob)"
            var job = Submission(
                id: id, key: JobKey(producer: producer, service: service, id: id), digest: JobDigest(high: UInt64(nextJob), low: 0),
                payload: [UInt8](repeating: 0, count: bytes))
            nextJob += 1
            change(&job)
            jobs.append(job)
        }
        return submit(jobs, producer: producer, service: service)
    }

    mutating func submit(
        _ jobs: [Submission], producer: String = "p", service: String = "classify"
    ) -> (verdicts: [SubmissionVerdict], actions: [Action]) {
        nextRequest += 1
        let batch = SubmissionBatch(
            request: RequestID(nextRequest), producer: producer, service: service, jobs: jobs, lookedUp: now.uptime)
        let actions = post(.submit(batch))
        for case .verdicts(_, let verdicts) in actions { return (verdicts, actions) }
        return ([], actions)
    }

    @discardableResult
    mutating func worker(
        _ session: UInt64, _ name: String? = nil, service: String = "classify", credit: Int = 1, jobs: Int = 4, bytes: Int = 1 << 20,
        heartbeats: Bool = true
    ) -> [Action] {
        post(
            .ready(
                WorkerReady(
                    session: SessionID(session), identity: "key", worker: name ?? "w\(session)", service: service, credit: credit,
                    batchJobs: jobs, batchBytes: bytes, announcesHeartbeats: heartbeats)))
    }

    @discardableResult
    mutating func answer(_ batch: LeasedBatch, _ verdict: WorkerAnswer.Verdict = .scored) -> [Action] {
        post(.answer(batch.session, identity: "key", batch.grants.map { WorkerAnswer(lease: $0.lease, verdict: verdict, body: [1]) }))
    }

    @discardableResult
    mutating func start(_ batch: LeasedBatch, _ counter: UInt64 = 1) -> [Action] {
        post(.heartbeat(batch.session, batch.grants.map { LeaseProgress(lease: $0.lease, counter: counter) }))
    }

    @discardableResult
    mutating func sink(_ session: UInt64, group: String = "default", credit: Int = 1, outcomes: Int = 256) -> [Action] {
        post(
            .sinkReady(
                SinkReady(session: SessionID(session), identity: "sink", group: group, credit: credit, batchOutcomes: outcomes)))
    }
}

extension [Action] {
    var leased: [LeasedBatch] { compactMap { if case .lease(let batch) = $0 { batch } else { nil } } }
    var deliveries: [Delivery] { compactMap { if case .deliver(let delivery) = $0 { delivery } else { nil } } }
    var dismissed: [UInt64] { compactMap { if case .dismiss(let session) = $0 { session.rawValue } else { nil } } }
    var receipts: [AnswerReceipt] {
        flatMap { action -> [AnswerReceipt] in if case .receipts(_, let receipts, _) = action { receipts } else { [] } }
    }
    var answers: [AdminAnswer] { compactMap { if case .answer(_, let answer) = $0 { answer } else { nil } } }
    var acknowledged: [AcknowledgementReceipt] { compactMap { if case .acknowledged(_, let receipt) = $0 { receipt } else { nil } } }
}

/// Records an issue.
func fail(_ text: String) { Issue.record(Comment(rawValue: text)) }
