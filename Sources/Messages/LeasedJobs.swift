internal import FoundationEssentials

/// Stored jobs on their way to a worker.
package struct LeasedJobs: Sendable {
    /// A stored job and what the lease adds.
    package struct Item: Sendable {
        /// The job as its producer sent it.
        package var job: [UInt8]
        package var lease: [UInt8]
        package var attempt: Int
        /// What is left until its deadline.
        package var timeLeft: Duration?

        package init(job: [UInt8], lease: [UInt8], attempt: Int, timeLeft: Duration?) {
            self.job = job
            self.lease = lease
            self.attempt = attempt
            self.timeLeft = timeLeft
        }
    }

    package var batchID: String
    package var isAlone: Bool
    package var items: [Item]

    package init(batchID: String, isAlone: Bool, items: [Item]) {
        self.batchID = batchID
        self.isAlone = isAlone
        self.items = items
    }

    /// The envelope, and how many of the items are in it: as many as fit.
    ///
    /// A stored job is not read: what the lease adds is written behind it, and protobuf joins the two, the last value of a field counting.
    package func encode() throws(MessageError) -> (envelope: [UInt8], count: Int) {
        let checks = FieldChecks(item: "the lease")
        var wire = P4q_V1_UnreadJobBatch()
        wire.batchID = batchID
        wire.alone = isAlone
        var bytes = 256
        for item in items {
            var lease = P4q_V1_JobLease()
            lease.leaseID = Data(item.lease)
            lease.attempt = UInt32(clamping: item.attempt)
            if let timeLeft = item.timeLeft { lease.deadlineInMs = timeLeft.wholeMicroseconds / 1000 }
            let job = item.job + (try checks.bytes(of: lease))
            bytes += job.count + 5
            if bytes > MessageLimits.envelopeBytes, !wire.jobs.isEmpty { break }
            wire.jobs.append(Data(job))
        }
        return (try checks.bytes(of: wire), wire.jobs.count)
    }
}

/// A worker's answers to a leased batch: the body of its FINAL.
package struct AnswerBatch: Sendable {
    package enum Kind: UInt32, Hashable, Sendable {
        case scored = 1
        /// It will fail every time.
        case rejected
        /// It failed and may succeed elsewhere or later.
        case retry
        /// Handed back unstarted.
        case released
    }

    package var id: String
    package var worker: String
    package var answers: [(lease: [UInt8], result: JobResult?)]

    /// - Parameter answers: a nil result hands the job back unstarted.
    package init(id: String, worker: String, answers: [(lease: [UInt8], result: JobResult?)]) {
        self.id = id
        self.worker = worker
        self.answers = answers
    }

    /// The results alone, as they go to who knows no leases.
    package var resultBatch: ResultBatch { ResultBatch(id: id, worker: worker, results: answers.compactMap(\.result)) }

    /// The envelope frames that together hold all answers. A result that can't be sent is sent as a failure that says so.
    package func encode() throws(MessageError) -> [[UInt8]] {
        let checks = FieldChecks(item: "the answers")
        var head = P4q_V1_UnreadAnswerBatch()
        head.batchID = try checks.bounded(id, "batch_id")
        head.worker = try checks.bounded(worker, "worker")
        var envelopes: [[UInt8]] = []
        var batch = head
        var bytes = 512
        for (lease, result) in answers {
            var answer = P4q_V1_UnreadAnswer()
            answer.leaseID = Data(lease)
            answer.kind = Kind(result).rawValue
            if let result {
                let results = try ResultBatch(id: "", worker: "", results: [result]).encodeItems()
                answer.result = Data(results[0])
            }
            let size = answer.result.count + lease.count + 32
            if bytes + size > MessageLimits.envelopeBytes, !batch.answers.isEmpty {
                envelopes.append(try checks.bytes(of: batch))
                (batch, bytes) = (head, 512)
            }
            batch.answers.append(answer)
            bytes += size
        }
        envelopes.append(try checks.bytes(of: batch))
        return envelopes
    }
}

extension AnswerBatch.Kind {
    fileprivate init(_ result: JobResult?) {
        switch result?.outcome {
        case nil: self = .released
        case .scored?, .learned?: self = .scored
        case .failed(let failure)?: self = failure.retryable ? .retry : .rejected
        }
    }
}

/// A worker's answers as they arrived.
package struct ReceivedAnswers: Sendable {
    package struct Answer: Sendable {
        package let lease: [UInt8]
        package let kind: AnswerBatch.Kind
        /// The result as it came; it can be read, and is what `kind` says. Empty with `released`.
        package let result: [UInt8]
        /// Why it failed, of `rejected` and `retry`; empty otherwise.
        package let code: String
    }

    package let batchID: String
    package let worker: String
    package let answers: [Answer]
    /// Why others can't be used.
    package let rejected: [MessageError]

    /// Reads the envelope frames of a FINAL. Throws only if an envelope as a whole can't be used.
    package init(envelopes: [[UInt8]]) throws(MessageError) {
        guard let first = envelopes.first else { throw .emptyBatch }
        let checks = FieldChecks(item: "the answers")
        var answers: [Answer] = []
        var rejected: [MessageError] = []
        var (id, name) = ("", "")
        for envelope in envelopes {
            try MessageError.checkEnvelope(bytes: envelope.count)
            let wire: P4q_V1_UnreadAnswerBatch = try checks.message(envelope)
            if envelope == first {
                id = try checks.bounded(wire.batchID, "batch_id")
                name = try checks.bounded(wire.worker, "worker")
            }
            try checks.count(answers.count + wire.answers.count, "answers", limit: MessageLimits.itemsPerBatch)
            for (index, answer) in wire.answers.enumerated() {
                do throws(MessageError) {
                    answers.append(try Self.read(answer, checks: FieldChecks("answer", at: index)))
                } catch {
                    rejected.append(error)
                }
            }
        }
        (batchID, worker) = (id, name)
        self.answers = answers
        self.rejected = rejected
    }

    private static func read(_ wire: P4q_V1_UnreadAnswer, checks: FieldChecks) throws(MessageError) -> Answer {
        guard let kind = AnswerBatch.Kind(rawValue: wire.kind) else { throw checks.invalid("kind", "\(wire.kind) is not known here") }
        guard wire.leaseID.count <= MessageLimits.leaseBytes else { throw checks.invalid("lease_id", "it is too long") }
        if kind == .released { return Answer(lease: Array(wire.leaseID), kind: kind, result: [], code: "") }
        let result = try JobResult(try checks.message(wire.result) as P4q_V1_Result, batchWorker: "", checks: checks)
        guard AnswerBatch.Kind(result) == kind else { throw checks.invalid("kind", "it is not what the result says") }
        let code = if case .failed(let failure) = result.outcome { failure.code } else { "" }
        return Answer(lease: Array(wire.leaseID), kind: kind, result: Array(wire.result), code: code)
    }
}

/// Stored outcomes on their way to a sink.
package struct DeliveredResults: Sendable {
    /// A stored result, and its place.
    package struct Item: Sendable {
        package var result: [UInt8]
        package var place: OutcomePlace

        package init(result: [UInt8], place: OutcomePlace) { (self.result, self.place) = (result, place) }
    }

    package var group: String
    package var generation: UInt64
    package var items: [Item]

    package init(group: String, generation: UInt64, items: [Item]) {
        self.group = group
        self.generation = generation
        self.items = items
    }

    /// The envelope frames that together hold all items. Stored results are not read; see `LeasedJobs.encode`.
    package func encode() throws(MessageError) -> [[UInt8]] {
        let checks = FieldChecks(item: "the delivery")
        var head = P4q_V1_UnreadResultBatch()
        head.generation = generation
        head.group = group
        var envelopes: [[UInt8]] = []
        var batch = head
        var bytes = 512
        for item in items {
            let result = item.result + (try item.place.encode(checks))
            let isFull = bytes + result.count + 5 > MessageLimits.envelopeBytes || batch.results.count == MessageLimits.itemsPerBatch
            if isFull, !batch.results.isEmpty {
                envelopes.append(try checks.bytes(of: batch))
                (batch, bytes) = (head, 512)
            }
            batch.results.append(Data(result))
            bytes += result.count + 5
        }
        if !batch.results.isEmpty { envelopes.append(try checks.bytes(of: batch)) }
        return envelopes
    }
}

extension OutcomePlace {
    fileprivate func encode(_ checks: FieldChecks) throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_ResultDelivery()
        wire.sequence = sequence
        wire.previous = previous
        wire.service = service
        wire.producer = producer
        return try checks.bytes(of: wire)
    }
}

extension JobResult {
    /// Reads a stored result.
    package init(stored bytes: [UInt8], place: OutcomePlace?) throws(MessageError) {
        let checks = FieldChecks(item: "the stored result")
        self = try JobResult(try checks.message(bytes) as P4q_V1_Result, batchWorker: "", checks: checks)
        if let place { self.place = place }
    }

    /// The result as it is stored.
    package func storedBytes() throws(MessageError) -> [UInt8] {
        try ResultBatch(id: "", worker: "", results: [self]).encodeItems()[0]
    }
}
