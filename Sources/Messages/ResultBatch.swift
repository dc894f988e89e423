/// Results to send together: one envelope frame.
package struct ResultBatch: Hashable, Sendable {
    /// The batch id of the jobs that are answered.
    package var id: String
    /// Who sends it.
    package var worker: String
    package var results: [JobResult]

    package init(id: String, worker: String, results: [JobResult]) {
        self.id = id
        self.worker = worker
        self.results = results
    }

    /// The envelope frames that together hold all results, in order: one, or more if one would be too large or have too many items.
    ///
    /// A result that can't be sent (above all: scores that are not finite) is sent as a failure of the same job that says so.
    ///
    /// Throws: for a bad batch id or worker, which no result can be blamed for.
    package func encode() throws(MessageError) -> [[UInt8]] {
        let checks = FieldChecks(item: "the envelope")
        var head = P4q_V1_ResultBatch()
        head.batchID = try checks.bounded(id, "batch_id")
        head.worker = try checks.bounded(worker, "worker")

        var envelopes: [[UInt8]] = []
        var batch = head
        // Ids and what protobuf puts around them: 2 bytes of tag and length for the fields of the envelope, at most 5 for each result.
        let emptyBytes = try checks.bytes(of: head).count
        var bytes = emptyBytes
        for (index, result) in results.enumerated() {
            let (item, encoded) = try sendable(result, index: index)
            let size = encoded.count
            let isFull = batch.results.count == MessageLimits.itemsPerBatch || bytes &+ size &+ 5 > MessageLimits.envelopeBytes
            if isFull, !batch.results.isEmpty {
                envelopes.append(try checks.bytes(of: batch))
                batch = head
                bytes = emptyBytes
            }
            batch.results.append(item)
            bytes &+= size &+ 5
        }
        if !batch.results.isEmpty { envelopes.append(try checks.bytes(of: batch)) }
        return envelopes
    }

    /// Each result by itself, with everything in it.
    func encodeItems() throws(MessageError) -> [[UInt8]] {
        var items: [[UInt8]] = []
        for (index, result) in results.enumerated() {
            items.append(try sendable(result, index: index).1)
        }
        return items
    }

    /// `result` on the wire and its bytes, or the failure that takes its place.
    private func sendable(_ result: JobResult, index: Int) throws(MessageError) -> (P4q_V1_Result, [UInt8]) {
        let checks = FieldChecks("result", at: index)
        do throws(MessageError) {
            let wire = P4q_V1_Result(result, batchWorker: worker)
            _ = try JobResult(wire, batchWorker: worker, checks: checks)
            let bytes = try checks.bytes(of: wire)
            guard bytes.count <= MessageLimits.envelopeBytes - 1024 else {
                throw .envelopeTooLarge(bytes: bytes.count, limit: MessageLimits.envelopeBytes)
            }
            return (wire, bytes)
        } catch {
            var failure = error.failure
            failure.stage = .infer
            let id = result.id.isEmpty ? "#\(index)" : result.id.prefix(utf8Bytes: MessageLimits.idBytes)
            let wire = P4q_V1_Result(
                JobResult(id: id, outcome: .failed(failure), worker: worker, attempt: result.attempt), batchWorker: worker)
            return (wire, try checks.bytes(of: wire))
        }
    }
}

/// A batch of results as it arrived.
package struct ReceivedResultBatch: Sendable {
    package let id: String
    package let worker: String
    /// The results that can be used, in order.
    package let results: [JobResult]
    /// Why others can't be.
    package let rejected: [MessageError]
    /// From a dispatcher: the generation of an exclusive group's active member; 0 elsewhere.
    package let generation: UInt64
    /// From a dispatcher: the sink's group.
    package let group: String

    /// Reads an envelope frame. Throws only if the envelope as a whole can't be used.
    package init(envelope: [UInt8]) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: envelope.count)
        let checks = FieldChecks(item: "the envelope")
        let wire: P4q_V1_UnreadResultBatch = try checks.message(envelope)
        id = try checks.bounded(wire.batchID, "batch_id")
        worker = try checks.bounded(wire.worker, "worker")
        generation = wire.generation
        group = try checks.bounded(wire.group, "group")
        try MessageError.checkBatch(items: wire.results.count)

        var results: [JobResult] = []
        var rejected: [MessageError] = []
        for (index, bytes) in wire.results.enumerated() {
            let checks = FieldChecks("result", at: index)
            do throws(MessageError) {
                results.append(try JobResult(try checks.message(bytes) as P4q_V1_Result, batchWorker: worker, checks: checks))
            } catch {
                rejected.append(error)
            }
        }
        self.results = results
        self.rejected = rejected
    }
}
