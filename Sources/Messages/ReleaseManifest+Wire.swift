internal import FoundationEssentials

extension ReleaseManifest {
    /// Bytes of a note.
    package static let noteBytes = 4096
    /// Golden scores of a manifest.
    package static let maximumGoldens = 16
    /// Bytes of an encoded manifest: so many class sets' worth of them fit into one envelope.
    package static let maximumBytes = 7 << 10
    /// Bytes of a content.
    package static let maximumContentBytes = 64 << 20

    package func encode() throws(MessageError) -> [UInt8] {
        var wire = P4q_V1_ReleaseManifest()
        wire.version = version
        wire.parent = parent
        wire.mode = P4q_V1_ReleaseMode(rawValue: mode.rawValue) ?? .unspecified
        wire.contentFrom = contentFrom
        wire.classSet = P4q_V1_ClassSetReference(classSet)
        wire.learnedOn = P4q_V1_ClassSetReference(learnedOn)
        wire.model = P4q_V1_ModelReference(model)
        wire.bits = bits
        wire.contentSha256 = Data(contentSHA256.bytes)
        wire.contentBytes = UInt64(clamping: contentBytes)
        wire.goldens = goldens.map { golden in
            var item = P4q_V1_GoldenScore()
            item.input = UInt32(clamping: golden.input)
            item.best = UInt32(clamping: golden.best)
            item.probability = golden.probability
            item.scoresSha256 = Data(golden.scoresSHA256.bytes)
            return item
        }
        wire.maker = maker
        wire.createdUnixMs = createdUnixMilliseconds
        wire.note = note.prefix(utf8Bytes: Self.noteBytes)
        if let gate { wire.gate = gate.wire }
        return try FieldChecks(item: "the manifest").bytes(of: wire)
    }

    /// Reads a manifest, and checks everything that a program may rely on.
    package init(bytes: [UInt8]) throws(MessageError) {
        let checks = FieldChecks(item: "the manifest")
        guard bytes.count <= Self.maximumBytes else {
            throw checks.invalid("length", "it has \(bytes.count) bytes, the limit is \(Self.maximumBytes)")
        }
        let wire: P4q_V1_ReleaseManifest = try checks.message(bytes)
        guard wire.version > 0, wire.version < UInt64(Int64.max) else {
            throw checks.invalid("version", "\(wire.version) is out of range")
        }
        guard wire.parent < wire.version, wire.contentFrom < wire.version else {
            throw checks.invalid("parent", "it follows a later version than its own, \(wire.version)")
        }
        guard let mode = ReleaseMode(rawValue: wire.mode.rawValue) else { throw .missingField("mode", item: checks.item) }
        guard wire.hasClassSet, wire.hasLearnedOn, wire.hasModel else { throw .missingField("class_set or model", item: checks.item) }
        guard (1...UInt64(Self.maximumContentBytes)).contains(wire.contentBytes) else {
            throw checks.invalid("content_bytes", "\(wire.contentBytes) is out of range")
        }
        try checks.count(wire.goldens.count, "goldens", limit: Self.maximumGoldens)
        var goldens: [GoldenScore] = []
        for item in wire.goldens {
            guard item.input < UInt32(Int32.max), item.best < UInt32(Int32.max) else {
                throw checks.invalid("goldens", "a number is out of range")
            }
            goldens.append(
                GoldenScore(
                    input: Int(item.input), best: Int(item.best), probability: try checks.finite(item.probability, "goldens.probability"),
                    scoresSHA256: try checks.digest(item.scoresSha256, "goldens.scores_sha256")))
        }
        let classSet = try Provenance(wire.classSet.name, wire.classSet.sha256, "class_set", checks)
        _ = try checks.required(classSet.name, "class_set.name")
        self.init(
            version: wire.version, parent: wire.parent, mode: mode, classSet: classSet,
            learnedOn: try Provenance(wire.learnedOn.name, wire.learnedOn.sha256, "learned_on", checks),
            model: try Provenance(wire.model.name, wire.model.sha256, "model", checks),
            bits: try checks.required(wire.bits, "bits"), contentSHA256: try checks.digest(wire.contentSha256, "content_sha256"),
            contentBytes: Int(wire.contentBytes), maker: try checks.bounded(wire.maker, "maker"),
            createdUnixMilliseconds: wire.createdUnixMs, goldens: goldens,
            note: try checks.bounded(wire.note, "note", limit: Self.noteBytes), contentFrom: wire.contentFrom,
            gate: wire.hasGate ? try GateEvidence(wire.gate, checks) : nil)
    }
}

/// A manifest's bytes with its maker's signature. Nothing of it may be believed before the signature was verified.
package struct SignedRelease: Hashable, Sendable {
    package let manifestBytes: [UInt8]
    /// 32 bytes.
    package let publicKey: [UInt8]
    /// 64 bytes.
    package let signature: [UInt8]

    package init(manifestBytes: [UInt8], publicKey: [UInt8], signature: [UInt8]) {
        self.manifestBytes = manifestBytes
        self.publicKey = publicKey
        self.signature = signature
    }

    /// What is signed: the purpose, so that no signature can be taken for another's, and the manifest.
    package static func signedText(_ manifest: [UInt8]) -> [UInt8] { Array("p4q release 1\n".utf8) + manifest }

    /// The manifest as it says of itself, whoever wrote it.
    package func unverifiedManifest() throws(MessageError) -> ReleaseManifest { try ReleaseManifest(bytes: manifestBytes) }

    package func encode() throws(MessageError) -> [UInt8] {
        try FieldChecks(item: "the release").bytes(of: P4q_V1_SignedRelease(self))
    }

    package init(bytes: [UInt8]) throws(MessageError) {
        let checks = FieldChecks(item: "the release")
        let wire: P4q_V1_SignedRelease = try checks.message(bytes)
        try self.init(wire, checks)
    }

    init(_ wire: P4q_V1_SignedRelease, _ checks: FieldChecks) throws(MessageError) {
        guard wire.publicKey.count == 32, wire.signature.count == 64 else {
            throw checks.invalid("signature", "its key has \(wire.publicKey.count) bytes and its signature \(wire.signature.count)")
        }
        guard (1...ReleaseManifest.maximumBytes).contains(wire.manifest.count) else {
            throw checks.invalid("manifest", "it has \(wire.manifest.count) bytes")
        }
        self.init(manifestBytes: Array(wire.manifest), publicKey: Array(wire.publicKey), signature: Array(wire.signature))
    }
}

extension P4q_V1_SignedRelease {
    init(_ release: SignedRelease) {
        manifest = Data(release.manifestBytes)
        publicKey = Data(release.publicKey)
        signature = Data(release.signature)
    }
}
