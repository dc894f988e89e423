package import Messages

/// What a producer has sent and has no answer to: pure, with the time from outside.
///
/// Silence is answered by sending the same again (2.5 s, then doubled up to 30 s), BUSY by sending what was refused after the stated time.
/// The ids stay the same, so that nothing is done twice.
package struct SubmitWindow<Payload> {
    /// Jobs that travel together.
    package struct Batch {
        package let id: String
        package var items: [(job: Job, payload: Payload)]
        var dueAt: ContinuousClock.Instant
        var silence: Duration
        var bytes: Int
    }

    /// How long to wait for an answer before sending again, at first and at most.
    package static var firstSilence: Duration { .milliseconds(2500) }
    package static var longestSilence: Duration { .seconds(30) }

    private var batches: [String: Batch] = [:]
    private var order: [String] = []
    private var lastNumber = 0
    private let run: String
    private let limit: Int
    private let byteLimit: Int
    private var bytes = 0
    /// Batches that were sent again because nobody answered.
    package private(set) var resent = 0

    /// - Parameters:
    ///   - run: part of the batch ids, so that answers to an earlier process's batches are told apart.
    ///   - limit: batches in flight.
    ///   - byteLimit: bytes in flight; one batch always fits.
    package init(run: String, limit: Int, byteLimit: Int) {
        self.run = run
        self.limit = max(1, limit)
        self.byteLimit = byteLimit
    }

    /// Whether nothing is in flight.
    package var isEmpty: Bool { batches.isEmpty }

    /// Whether another batch of so many bytes may be added.
    package func hasRoom(bytes count: Int) -> Bool { batches.isEmpty || (batches.count < limit && bytes + count <= byteLimit) }

    /// Puts a batch in; it is due at once.
    package mutating func add(_ items: [(job: Job, payload: Payload)], bytes count: Int, now: ContinuousClock.Instant) {
        lastNumber += 1
        let id = "\(run).\(lastNumber)"
        batches[id] = Batch(id: id, items: items, dueAt: now, silence: Self.firstSilence, bytes: count)
        order.append(id)
        bytes += count
    }

    /// What is to be sent now.
    package mutating func due(now: ContinuousClock.Instant) -> [Batch] {
        var due: [Batch] = []
        for id in order {
            guard var batch = batches[id], batch.dueAt <= now else { continue }
            if batch.silence > Self.firstSilence { resent += 1 }
            batch.dueAt = now + batch.silence
            batch.silence = min(batch.silence * 2, Self.longestSilence)
            batches[id] = batch
            due.append(batch)
        }
        return due
    }

    /// A batch that could not be handed to the socket: it is due again in a moment, and nobody was silent.
    package mutating func postpone(_ id: String, now: ContinuousClock.Instant) {
        batches[id]?.dueAt = now + .milliseconds(100)
        batches[id]?.silence = Self.firstSilence
    }

    /// When something is due next, if anything is.
    package var nextDue: ContinuousClock.Instant? { batches.values.map(\.dueAt).min() }

    /// Takes an answer in. Gives what is settled: every receipt that is not BUSY.
    package mutating func settle(_ reply: SubmitReply, now: ContinuousClock.Instant) -> [(job: Job, receipt: JobReceipt)] {
        guard var batch = batches[reply.batchID], reply.failure == nil else { return [] }
        let receipts = Dictionary(reply.receipts.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var settled: [(job: Job, receipt: JobReceipt)] = []
        var open: [(job: Job, payload: Payload)] = []
        var wait = Duration.zero
        for item in batch.items {
            if let receipt = receipts[item.job.id], receipt.verdict != .busy {
                settled.append((item.job, receipt))
            } else {
                open.append(item)
                if let receipt = receipts[item.job.id] { wait = max(wait, receipt.retryAfter) }
            }
        }
        if open.isEmpty {
            batches[reply.batchID] = nil
            order.removeAll { $0 == reply.batchID }
            bytes -= batch.bytes
        } else {
            batch.items = open
            batch.dueAt = now + min(max(wait, .milliseconds(50)), .seconds(60))
            batch.silence = Self.firstSilence
            batches[reply.batchID] = batch
        }
        return settled
    }
}
