internal import FoundationEssentials

extension SubmitReply {
    /// The envelope frames that together hold all receipts; more than one if outcomes make one too large.
    package func encode() throws(MessageError) -> [[UInt8]] {
        let checks = FieldChecks(item: "the reply")
        var head = P4q_V1_SubmitReply()
        head.batchID = try checks.bounded(batchID, "batch_id")
        if let failure {
            head.error = P4q_V1_Failure(failure)
            return [try checks.bytes(of: head)]
        }
        var envelopes: [[UInt8]] = []
        var batch = head
        var bytes = 256
        for receipt in receipts {
            let wire = P4q_V1_JobReceipt(receipt)
            // Only a result can be large, and what is small need not be exact.
            let text = receipt.id.utf8.count + receipt.code.utf8.count + wire.message.utf8.count
            let size = receipt.result == nil ? text + 64 : try checks.bytes(of: wire).count + 5
            if bytes + size > MessageLimits.envelopeBytes, !batch.jobs.isEmpty {
                envelopes.append(try checks.bytes(of: batch))
                (batch, bytes) = (head, 256)
            }
            batch.jobs.append(wire)
            bytes += size
        }
        envelopes.append(try checks.bytes(of: batch))
        return envelopes
    }

    /// Reads what `encode` made.
    package init(envelopes: [[UInt8]]) throws(MessageError) {
        guard !envelopes.isEmpty else { throw .emptyBatch }
        self.init(batchID: "", receipts: [])
        let checks = FieldChecks(item: "the reply")
        for bytes in envelopes {
            try MessageError.checkEnvelope(bytes: bytes.count)
            let wire: P4q_V1_UnreadSubmitReply = try checks.message(bytes)
            batchID = try checks.bounded(wire.batchID, "batch_id")
            if !wire.error.isEmpty { failure = try Failure(try checks.message(wire.error) as P4q_V1_Failure, checks: checks) }
            try checks.count(receipts.count + wire.jobs.count, "jobs", limit: MessageLimits.itemsPerBatch)
            for job in wire.jobs { receipts.append(try JobReceipt(job)) }
        }
    }
}

extension P4q_V1_JobReceipt {
    fileprivate init(_ receipt: JobReceipt) {
        id = receipt.id
        verdict = P4q_V1_Verdict(rawValue: Int(receipt.verdict.rawValue)) ?? .unspecified
        retryAfterMs = receipt.retryAfter.wholeMicroseconds / 1000
        code = receipt.code
        message = receipt.message.prefix(utf8Bytes: MessageLimits.failureTextBytes)
        state = P4q_V1_JobState(rawValue: Int(receipt.state.rawValue)) ?? .unspecified
        sequence = receipt.sequence
        if let result = receipt.result { self.result = P4q_V1_Result(result, batchWorker: "") }
    }
}

extension JobReceipt {
    fileprivate init(_ wire: P4q_V1_UnreadJobReceipt) throws(MessageError) {
        let id = try FieldChecks(item: "a receipt").required(wire.id, "id")
        let checks = FieldChecks("the receipt of", id: id)
        guard let verdict = Verdict(rawValue: wire.verdict) else { throw checks.invalid("verdict", "\(wire.verdict) is not known here") }
        guard let state = State(rawValue: wire.state) else { throw checks.invalid("state", "\(wire.state) is not known here") }
        var result: JobResult?
        if !wire.result.isEmpty {
            result = try JobResult(try checks.message(wire.result) as P4q_V1_Result, batchWorker: "", checks: checks)
        }
        self.init(
            id: id, verdict: verdict, retryAfter: try checks.duration(milliseconds: wire.retryAfterMs, "retry_after_ms"),
            code: try checks.bounded(wire.code, "code"),
            message: try checks.bounded(wire.message, "message", limit: MessageLimits.failureTextBytes), state: state,
            sequence: wire.sequence, result: result)
    }
}

extension JobQuery {
    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_JobQuery()
        wire.service = jobService
        wire.ids = ids
        wire.withOutcomes = withOutcomes
        wire.cancel = cancels
        return try FieldChecks(item: "the query").bytes(of: wire)
    }

    package init(envelope: [UInt8]) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: envelope.count)
        let checks = FieldChecks(item: "the query")
        let wire: P4q_V1_JobQuery = try checks.message(envelope)
        try MessageError.checkBatch(items: wire.ids.count)
        for id in wire.ids { _ = try checks.required(id, "ids") }
        self.init(
            jobService: try checks.required(wire.service, "service", limit: MessageLimits.labelBytes), ids: wire.ids,
            withOutcomes: wire.withOutcomes, cancels: wire.cancel)
    }
}
