internal import FoundationEssentials

/// What a worker or a sink says of itself behind the service's name in READY.
package struct PeerInfo: Hashable, Sendable {
    /// The program's own name; all connections of one process have the same.
    package var worker: String
    /// 0: as the dispatcher likes.
    package var batchItems: Int
    /// 0: as the dispatcher likes.
    package var batchBytes: Int
    package var models: [Provenance]
    package var classSets: [Provenance]

    package init(worker: String, batchItems: Int = 0, batchBytes: Int = 0, models: [Provenance] = [], classSets: [Provenance] = []) {
        self.worker = worker
        self.batchItems = batchItems
        self.batchBytes = batchBytes
        self.models = models
        self.classSets = classSets
    }

    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_PeerInfo()
        wire.worker = worker
        wire.batchItems = UInt32(clamping: batchItems)
        wire.batchBytes = UInt64(clamping: batchBytes)
        wire.models = models.map { P4q_V1_ModelReference($0) }
        wire.classSets = classSets.map { P4q_V1_ClassSetReference($0) }
        return try FieldChecks(item: "the worker's description").bytes(of: wire)
    }

    package init(frame: [UInt8]) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: frame.count)
        let checks = FieldChecks(item: "the worker's description")
        let wire: P4q_V1_PeerInfo = try checks.message(frame)
        try checks.count(wire.models.count, "models", limit: MessageLimits.itemsPerBatch)
        try checks.count(wire.classSets.count, "class_sets", limit: MessageLimits.inlineLabels)
        var (models, classSets): ([Provenance], [Provenance]) = ([], [])
        for model in wire.models { models.append(try Provenance(model.name, model.sha256, "models", checks)) }
        for set in wire.classSets { classSets.append(try Provenance(set.name, set.sha256, "class_sets", checks)) }
        self.init(
            worker: try checks.required(wire.worker, "worker"), batchItems: Int(wire.batchItems),
            batchBytes: Int(clamping: wire.batchBytes), models: models, classSets: classSets)
    }
}

/// The last frame of a HEARTBEAT, in both directions.
package struct HeartbeatInfo: Hashable, Sendable {
    /// A lease and a counter that grows as the worker gets on with it; 0 until it has started.
    package struct Progress: Hashable, Sendable {
        package var lease: [UInt8]
        package var counter: UInt64

        package init(lease: [UInt8], counter: UInt64) { (self.lease, self.counter) = (lease, counter) }
    }

    /// What became of an answer.
    package struct Receipt: Hashable, Sendable {
        package var lease: [UInt8]
        /// False if another answer counts, or the lease was none.
        package var isStored: Bool

        package init(lease: [UInt8], isStored: Bool) { (self.lease, self.isStored) = (lease, isStored) }
    }

    package var leases: [Progress]
    /// A worker's wish for an answer, and the answer to it; 0: none.
    package var echo: UInt64
    package var receipts: [Receipt]

    package init(leases: [Progress] = [], echo: UInt64 = 0, receipts: [Receipt] = []) {
        self.leases = leases
        self.echo = echo
        self.receipts = receipts
    }

    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_Heartbeat()
        wire.leases = leases.map { progress in
            var item = P4q_V1_LeaseProgress()
            item.leaseID = Data(progress.lease)
            item.counter = progress.counter
            return item
        }
        wire.echo = echo
        wire.receipts = receipts.map { receipt in
            var item = P4q_V1_AnswerReceipt()
            item.leaseID = Data(receipt.lease)
            item.stored = receipt.isStored
            return item
        }
        return try FieldChecks(item: "the heartbeat").bytes(of: wire)
    }

    package init(frame: [UInt8]) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: frame.count)
        let checks = FieldChecks(item: "the heartbeat")
        let wire: P4q_V1_Heartbeat = try checks.message(frame)
        try checks.count(wire.leases.count, "leases", limit: 4 * MessageLimits.itemsPerBatch)
        try checks.count(wire.receipts.count, "receipts", limit: 4 * MessageLimits.itemsPerBatch)
        self.init(
            leases: wire.leases.map { Progress(lease: Array($0.leaseID), counter: $0.counter) }, echo: wire.echo,
            receipts: wire.receipts.map { Receipt(lease: Array($0.leaseID), isStored: $0.stored) })
    }
}

/// What a sink has stored durably: the body of its FINAL.
package struct SinkAcknowledgement: Hashable, Sendable {
    package enum Extent: Hashable, Sendable {
        /// Everything up to here; exclusive groups.
        case through(UInt64)
        /// These; shared groups.
        case sequences([UInt64])
        /// Nothing could be stored: deliver it again.
        case failed
    }

    package var generation: UInt64
    package var extent: Extent

    package init(generation: UInt64, extent: Extent) { (self.generation, self.extent) = (generation, extent) }

    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_Acknowledgement()
        wire.generation = generation
        switch extent {
        case .through(let sequence): wire.through = sequence
        case .sequences(let sequences): wire.sequences = sequences
        case .failed: wire.failed = true
        }
        return try FieldChecks(item: "the acknowledgement").bytes(of: wire)
    }

    package init(envelope: [UInt8]) throws(MessageError) {
        try MessageError.checkEnvelope(bytes: envelope.count)
        let checks = FieldChecks(item: "the acknowledgement")
        let wire: P4q_V1_Acknowledgement = try checks.message(envelope)
        try checks.count(wire.sequences.count, "sequences", limit: 64 * MessageLimits.itemsPerBatch)
        let extent: Extent =
            if wire.failed { .failed } else if wire.through > 0 { .through(wire.through) } else { .sequences(wire.sequences) }
        self.init(generation: wire.generation, extent: extent)
    }
}

extension P4q_V1_ModelReference {
    init(_ origin: Provenance) {
        name = origin.name
        sha256 = Data(origin.sha256.bytes)
    }
}

extension P4q_V1_ClassSetReference {
    init(_ origin: Provenance) {
        name = origin.name
        sha256 = Data(origin.sha256.bytes)
    }
}
