import Messages
import Testing

@Suite struct DispatchMessagesTests {
    private static let lease = [UInt8](0..<30)
    private static let scored = JobResult(
        id: "a", outcome: .scored([Prediction(label: "cat", index: 1, probability: 0.75, cosine: 0.5)], unknown: false), worker: "w",
        attempt: 2, metadata: ["k": "v"], traceparent: "00-x")
    private static let failed = JobResult(
        id: "b", outcome: .failed(Failure(code: "decode.corrupt", stage: .decode, message: "m", retryable: false)), worker: "w")

    @Test func `a stored job is leased with what the lease adds, whatever its producer wrote there`() throws {
        var job = Job(id: "a", deadline: .within(.seconds(100)), metadata: ["k": "v"], attempt: 9, lease: [1, 2, 3])
        job.priority = 7
        let stored = try ReceivedJobBatch(envelope: JobBatch(jobs: [job]).encode(), payloadSizes: [5]).jobBytes[0]
        let item = LeasedJobs.Item(job: stored, lease: Self.lease, attempt: 2, timeLeft: .seconds(3))
        let (envelope, count) = try LeasedJobs(batchID: "1.2", isAlone: true, items: [item, item]).encode()
        #expect(count == 2)
        // Two jobs of different producers may have the same id.
        let batch = try ReceivedJobBatch(envelope: envelope, payloadSizes: [5, 5], isLeased: true)
        #expect(batch.id == "1.2" && batch.isAlone && batch.entries.count == 2)
        job.lease = Self.lease
        job.attempt = 2
        job.deadline = .within(.seconds(3))
        #expect(try batch.entries.map { try $0.get() } == [job, job])
    }

    @Test func `a lease takes as many jobs as an envelope holds`() throws {
        let labels = (0..<4000).map { "a class with a rather long name, number \($0)" }
        let job = Job(id: "a", classes: .inline(labels: labels, templates: []))
        let stored = try ReceivedJobBatch(envelope: JobBatch(jobs: [job]).encode(), payloadSizes: [0]).jobBytes[0]
        let items = (0..<10).map { _ in LeasedJobs.Item(job: stored, lease: Self.lease, attempt: 1, timeLeft: nil) }
        let (envelope, count) = try LeasedJobs(batchID: "x", isAlone: false, items: items).encode()
        #expect(count == (1 << 20) / (stored.count + 40) && envelope.count <= 1 << 20)
        #expect(
            try ReceivedJobBatch(envelope: envelope, payloadSizes: Array(repeating: 0, count: count), isLeased: true).entries.count == count
        )
    }

    @Test func `answers come back with their leases and kinds`() throws {
        let retry = JobResult(
            id: "c", outcome: .failed(Failure(code: "payload.missing", stage: .fetch, message: "m", retryable: true)), worker: "w")
        let batch = AnswerBatch(
            id: "n", worker: "w",
            answers: [(Self.lease, Self.scored), ([7], Self.failed), ([8], retry), ([9], nil)])
        let envelopes = try batch.encode()
        let read = try ReceivedAnswers(envelopes: envelopes)
        #expect(read.batchID == "n" && read.worker == "w" && read.rejected.isEmpty)
        #expect(read.answers.map(\.kind) == [.scored, .rejected, .retry, .released])
        #expect(read.answers.map(\.lease) == [Self.lease, [7], [8], [9]])
        #expect(try JobResult(stored: read.answers[0].result, place: nil) == Self.scored)
        #expect(read.answers[3].result.isEmpty)
    }

    @Test func `a stored result is delivered with its place, in as many envelopes as it takes`() throws {
        let stored = try Self.scored.storedBytes()
        let items = (1...600).map {
            DeliveredResults.Item(
                result: stored, place: OutcomePlace(sequence: UInt64($0), previous: UInt64($0 - 1), service: "classify", producer: "p"))
        }
        let envelopes = try DeliveredResults(group: "g", generation: 4, items: items).encode()
        #expect(envelopes.count == 3)
        let batches = try envelopes.map { try ReceivedResultBatch(envelope: $0) }
        #expect(batches.allSatisfy { $0.group == "g" && $0.generation == 4 && $0.rejected.isEmpty })
        let results = batches.flatMap(\.results)
        #expect(results.compactMap(\.place?.sequence) == (1...600).map { UInt64($0) })
        #expect(results[5].place == items[5].place)
        var plain = results[5]
        plain.place = nil
        #expect(plain == Self.scored)
        #expect(results[5].jsonLine().hasPrefix(#"{"id":"a","seq":6,"service":"classify","producer":"p","#))
    }

    @Test func `what is said about jobs comes back as it was`() throws {
        let reply = SubmitReply(
            batchID: "b",
            receipts: [
                JobReceipt(id: "1", verdict: .accepted, state: .ready),
                JobReceipt(id: "2", verdict: .busy, retryAfter: .milliseconds(250), code: "total.jobs"),
                JobReceipt(id: "3", verdict: .duplicate, state: .scored, sequence: 9, result: Self.scored),
            ])
        #expect(try SubmitReply(envelopes: reply.encode()) == reply)
        let refusal = SubmitReply(
            batchID: "", receipts: [], failure: Failure(code: "access.forbidden", stage: .message, message: "no", retryable: false))
        #expect(try SubmitReply(envelopes: refusal.encode()) == refusal)
        let query = JobQuery(jobService: "classify", ids: ["a", "b"], withOutcomes: true, cancels: true)
        #expect(try JobQuery(envelope: query.encode()) == query)
        let beat = HeartbeatInfo(leases: [.init(lease: Self.lease, counter: .max)], echo: 3, receipts: [.init(lease: [1], isStored: true)])
        #expect(try HeartbeatInfo(frame: beat.encode()) == beat)
        let info = PeerInfo(worker: "w#1", batchItems: 32, batchBytes: 1 << 40, models: [Provenance(name: "m", sha256: .zero)])
        #expect(try PeerInfo(frame: info.encode()) == info)
        for extent in [SinkAcknowledgement.Extent.through(7), .sequences([1, 5, .max]), .failed] {
            let acknowledgement = SinkAcknowledgement(generation: 2, extent: extent)
            #expect(try SinkAcknowledgement(envelope: acknowledgement.encode()) == acknowledgement)
        }
        let requests: [AdminRequest] = [
            .figures, .workers, .groups, .addGroup(name: "g", isExclusive: true, services: ["train"], fromEarliest: true, expireBeyond: 5),
            .removeGroup("g"), .setMode(service: "classify", .paused), .purge(service: "classify"), .drainWorker("w"),
            .peek(service: "classify", limit: 3), .deadLetters(after: 4, limit: 5), .retry([1, 2]), .removeDeadLetters([3]),
            .backup(to: "/x"),
        ]
        for request in requests { #expect(try AdminRequest(envelope: request.encode()) == request) }
        let answer = AdminReply(code: "c", message: "m", json: "{}")
        #expect(try AdminReply(envelope: answer.encode()) == answer)
    }

    /// Each message cut at every byte, with every bit of it flipped: read, or a typed error.
    @Test func `no damage of a message traps`() throws {
        let samples: [[UInt8]] = [
            try SubmitReply(batchID: "b", receipts: [JobReceipt(id: "3", verdict: .duplicate, sequence: 9, result: Self.scored)]).encode()[
                0],
            try JobQuery(jobService: "classify", ids: ["a"]).encode(),
            try HeartbeatInfo(leases: [.init(lease: Self.lease, counter: 1)], receipts: [.init(lease: [1], isStored: true)]).encode(),
            try PeerInfo(worker: "w", models: [Provenance(name: "m", sha256: .zero)]).encode(),
            try SinkAcknowledgement(generation: 2, extent: .sequences([1, 2])).encode(),
            try AnswerBatch(id: "n", worker: "w", answers: [(Self.lease, Self.scored), ([7], Self.failed)]).encode()[0],
            try AdminRequest.addGroup(name: "g", isExclusive: true, services: ["train"], fromEarliest: true, expireBeyond: 5).encode(),
        ]
        var count = 0
        for sample in samples {
            var mutants = (0...sample.count).map { Array(sample.prefix($0)) }
            for place in sample.indices {
                for bit in 0..<8 {
                    var copy = sample
                    copy[place] ^= 1 << bit
                    mutants.append(copy)
                }
            }
            for mutant in mutants {
                _ = try? SubmitReply(envelopes: [mutant])
                _ = try? JobQuery(envelope: mutant)
                _ = try? HeartbeatInfo(frame: mutant)
                _ = try? PeerInfo(frame: mutant)
                _ = try? SinkAcknowledgement(envelope: mutant)
                _ = try? ReceivedAnswers(envelopes: [mutant])
                _ = try? AdminRequest(envelope: mutant)
                _ = try? AdminReply(envelope: mutant)
                _ = try? JobResult(stored: mutant, place: nil)
                _ = try? Job(stored: mutant)
                count += 1
            }
        }
        #expect(count > 2500)
    }
}
