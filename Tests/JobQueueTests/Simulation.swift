import JobQueue

/// The machine in a world that a seed decides: producers, workers and sinks that come, go, die and repeat themselves, a process that is
/// killed, a disk that loses what was not synced, clocks that run and jump. Everything a peer may rely on is checked as it happens.
struct Simulation {
    enum SinkBug { case acknowledgesFirst }

    var random: SeededSource
    let planted: PlantedBug?
    let sinkBug: SinkBug?
    var machine: QueueMachine
    var journal: SimulatedJournal
    let secret = LeaseSecret(high: 17, low: 4)

    var uptime: Int64 = 1_000_000
    var wall: Int64 = 1_700_000_000_000
    /// Being written: neither lost nor durable yet.
    var writing: QueueMachine.Output?

    var jobs: [ModelJob] = []
    var jobByNumber: [UInt64: Int] = [:]
    var jobBySequence: [UInt64: Int] = [:]
    var requests: [UInt64: [Int]] = [:]
    var nextRequest: UInt64 = 1
    var nextSession: UInt64 = 1
    var workers: [SimulatedWorker] = []
    var sinks: [SimulatedSink] = []
    /// Answers that were sent once already, or whose session is gone.
    var lateAnswers: [(identity: String, answer: WorkerAnswer)] = []

    /// The ordered group's store: sequence and generation are written with the outcome.
    var orderedLast: UInt64 = 0
    var orderedGeneration: UInt64 = 0
    /// Stored by no one yet, though acknowledged: only with the planted bug of a sink.
    var orderedUnwritten: [Delivery.Item] = []
    /// Outcomes whose acknowledgement was confirmed to the shared group.
    var confirmed: Set<UInt64> = []
    var unconfirmed: [UInt64: [[UInt64]]] = [:]
    /// By session, what each answer that has no receipt yet said was done.
    var unreceipted: [UInt64: [[Int?]]] = [:]

    static let services = ["classify", "classify/b"]
    static let configuration: QueueConfiguration = {
        var configuration = QueueConfiguration()
        configuration.total.jobs = 200
        configuration.service.jobs = 60
        configuration.producers["p1"] = .init(jobs: 12)
        configuration.weights["p2"] = 3
        configuration.sinkWindow = 6
        configuration.keepOutcomes = .seconds(20)
        configuration.keptOutcomes = 40
        configuration.standardBatching = .init(jobs: 4, wait: .milliseconds(20))
        return configuration
    }()

    init(seed: UInt64, planted: PlantedBug? = nil, sinkBug: SinkBug? = nil) {
        random = SeededSource(seed: seed)
        self.planted = planted
        self.sinkBug = sinkBug
        journal = SimulatedJournal(isDurable: planted != .synchronousNormal && planted != .synchronousOff)
        let (partition, _) = journal.open(secret)
        machine = QueueMachine(
            partition, configuration: Self.configuration, seed: seed,
            now: Moment(uptime: Uptime(milliseconds: uptime), wall: WallTime(milliseconds: wall)), planted: planted)
        machine.start(now: now)
        handle(.addGroup(RequestID(0), GroupSettings(name: "ordered", kind: .exclusive), .earliest))
    }

    var now: Moment { Moment(uptime: Uptime(milliseconds: uptime), wall: WallTime(milliseconds: wall)) }

    mutating func handle(_ event: Event) { machine.handle(event, now: now) }

    /// `events` random steps, then quiet until everything accepted has arrived. Throws the first `Violation`.
    mutating func run(events: Int) throws {
        for _ in 0..<events {
            try step()
            if random.chance(55) { try journalStep() }
        }
        try quiet()
    }

    private mutating func step() throws {
        switch random.below(100) {
        case 0..<20: submit()
        case 20..<42: answer()
        case 42..<50: progress()
        case 50..<64: try acknowledge()
        case 64..<71: connectWorker()
        case 71..<75: connectSink()
        case 75..<79: endWorker()
        case 79..<81: endSink()
        case 81..<84: repeatAnswer()
        case 84..<86: administer()
        case 86..<98: try passTime()
        case 98: try crash()
        default: if random.chance(40) { try crash() }
        }
    }

    // MARK: The journal

    /// One step of group commit: take what was decided, write it, carry out what it promised.
    mutating func journalStep() throws {
        if let output = writing {
            journal.commit(output.batch)
            writing = nil
            machine.committed(output.number, now: now)
            try carryOut(output.actions)
        } else if let output = machine.takeOutput() {
            try check(output.batch)
            try carryOut(output.immediate)
            writing = output
        }
    }

    /// The process ends, by a kill or with the power, and begins again.
    mutating func crash() throws {
        // A kill may come after the write and before anybody heard of it.
        if let output = writing, random.chance(50) { journal.commit(output.batch) }
        writing = nil
        if random.chance(50) { journal.powerCut(kept: random.below(9)) } else { journal.processEnded() }
        for worker in workers { keepForLater(worker) }
        workers = []
        sinks = []
        requests = [:]
        unconfirmed = [:]
        unreceipted = [:]
        if random.chance(20) { uptime += Int64(random.below(30_000)) }
        let (partition, rows) = journal.open(secret)
        machine = QueueMachine(partition, configuration: Self.configuration, seed: random.next(), now: now, planted: planted)
        try machine.restore(rows, now: now)
        machine.start(now: now)
        if !partition.groups.contains(where: { $0.settings.name == "ordered" }) {
            handle(.addGroup(RequestID(0), GroupSettings(name: "ordered", kind: .exclusive), .earliest))
        }
        for index in jobs.indices where jobs[index].isAccepted {
            guard machine.status(of: jobs[index].key) != nil || journal.tombstone(jobs[index].key) != nil else {
                throw Violation("I1: accepted job \(jobs[index].id) is gone after a restart")
            }
            if jobs[index].isStored, case .ready? = machine.status(of: jobs[index].key) {
                throw Violation("the worker was told that the result of job \(index) is stored, and it is not")
            }
        }
    }

    mutating func keepForLater(_ worker: SimulatedWorker) {
        for lease in worker.batches.joined() where lateAnswers.count < 40 {
            lateAnswers.append((worker.identity, WorkerAnswer(lease: lease.grant.lease, verdict: .scored, body: Self.body(lease.job))))
        }
    }

    /// What a worker makes of a job: a pure function of it.
    static func body(_ job: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: job), UInt8(truncatingIfNeeded: job >> 8)] }
}
