internal import FoundationEssentials

extension JobBatch {
    /// The envelope frame; one payload frame for each job follows it.
    ///
    /// Throws: what a reader of these bytes would throw.
    package func encode() throws(MessageError) -> [UInt8] {
        let checks = FieldChecks(item: "the envelope")
        _ = try checks.bounded(id, "batch_id")
        try MessageError.checkBatch(items: jobs.count)
        var wire = P4q_V1_JobBatch()
        wire.batchID = id
        wire.wait = wantsOutcomes
        var ids: Set<String> = []
        for (index, job) in jobs.enumerated() {
            let item = P4q_V1_Job(job)
            _ = try Job(item, checks: FieldChecks("job", at: index))
            guard ids.insert(job.id).inserted else { throw .duplicateID(job.id) }
            wire.jobs.append(item)
        }
        let bytes = try checks.bytes(of: wire)
        try MessageError.checkEnvelope(bytes: bytes.count)
        return bytes
    }
}

extension ReceivedJobBatch {
    /// Reads an envelope frame that came with payload frames of `payloadSizes` bytes.
    ///
    /// Throws only if the envelope as a whole can't be used. A job that is wrong becomes an entry that says why; if the number of payload
    /// frames is wrong, that is every job, since none can be told its payload.
    ///
    /// - Parameter isLeased: it came from a dispatcher, which gives jobs of several producers, whose ids may be the same.
    package init(envelope: [UInt8], payloadSizes: [Int], isLeased: Bool = false) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: envelope.count)
        let checks = FieldChecks(item: "the envelope")
        let wire: P4q_V1_UnreadJobBatch = try checks.message(envelope)
        let id = try checks.bounded(wire.batchID, "batch_id")
        try MessageError.checkBatch(items: wire.jobs.count)

        self.id = id
        wantsOutcomes = wire.wait
        isAlone = wire.alone
        jobBytes = wire.jobs.map { Array($0) }
        var ids: Set<String> = []
        entries = wire.jobs.enumerated().map { index, bytes in
            let unread = UnreadJob(bytes: bytes, batch: id, index: index)
            return unread.read { (job) throws(MessageError) in
                guard payloadSizes.count == wire.jobs.count else {
                    throw .frameCount(jobs: wire.jobs.count, frames: payloadSizes.count)
                }
                guard isLeased || ids.insert(job.id).inserted else { throw .duplicateID(job.id) }
                if case .reference = job.payload, payloadSizes[index] > 0 {
                    throw .unexpectedPayload(item: "job \(job.id)", bytes: payloadSizes[index])
                }
            }
        }
    }
}

/// The bytes of one job, and what to call it as long as its own id is not known.
private struct UnreadJob {
    let bytes: Data
    let batch: String
    let index: Int

    private var checks: FieldChecks { FieldChecks("job", at: index) }

    /// What stands for an id: as much of the batch's as fits, `#` and the place.
    private var placeholder: String {
        let suffix = "#\(index)"
        return batch.prefix(utf8Bytes: MessageLimits.idBytes - suffix.utf8.count) + suffix
    }

    func read(_ accept: (Job) throws(MessageError) -> Void) -> Result<Job, RejectedJob> {
        let wire: P4q_V1_Job
        do throws(MessageError) {
            wire = try checks.message(bytes)
        } catch {
            let identity = try? checks.message(bytes) as P4q_V1_JobIdentity
            let lease = Array(identity?.leaseID ?? Data())
            return .failure(rejection(error, id: identity?.id ?? "", metadata: [:], traceparent: "", lease: lease))
        }
        do throws(MessageError) {
            let job = try Job(wire, checks: checks)
            try accept(job)
            return .success(job)
        } catch {
            return .failure(
                rejection(error, id: wire.id, metadata: wire.metadata, traceparent: wire.traceparent, lease: Array(wire.leaseID)))
        }
    }

    private func rejection(_ reason: MessageError, id: String, metadata: [String: String], traceparent: String, lease: [UInt8])
        -> RejectedJob
    {
        RejectedJob(
            id: (try? checks.required(id, "id")) ?? placeholder,
            reason: reason,
            metadata: (try? checks.metadata(metadata)) ?? [:],
            traceparent: (try? checks.bounded(traceparent, "traceparent", limit: MessageLimits.traceparentBytes)) ?? "",
            lease: lease.count <= MessageLimits.leaseBytes ? lease : [])
    }
}

extension String {
    /// The longest beginning of whole characters that has at most `limit` UTF-8 bytes.
    func prefix(utf8Bytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var kept = 0
        var end = startIndex
        while end < endIndex {
            let next = index(after: end)
            kept &+= utf8.distance(from: end, to: next)
            guard kept <= limit else { break }
            end = next
        }
        return String(self[..<end])
    }
}
