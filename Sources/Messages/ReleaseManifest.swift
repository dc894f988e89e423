/// Who and what a release is; these facts are what its maker signs.
package struct ReleaseManifest: Hashable, Sendable {
    /// Grows with each release of a class set; the same number never means two things.
    package var version: UInt64
    /// The version that was live when it was made; 0: none.
    package var parent: UInt64
    package var mode: ReleaseMode
    /// The class set that it serves.
    package var classSet: Provenance
    /// The class set that it was learned on, which may be an older list.
    package var learnedOn: Provenance
    /// The model that it is for, and its bit widths, as "4-4-8"; "32" is float.
    package var model: Provenance
    package var bits: String
    /// Of the content, one file.
    package var contentSHA256: Digest
    package var contentBytes: Int
    /// Who made it, as people call them.
    package var maker: String
    package var createdUnixMilliseconds: Int64
    /// What the release gives for a few pictures that every program has.
    package var goldens: [GoldenScore]
    /// Why, for people.
    package var note: String
    /// The version whose content this one brings back, or promotes from shadow; 0: the content is new.
    package var contentFrom: UInt64
    /// What a trainer's gate measured; nil where there was none.
    package var gate: GateEvidence?

    package init(
        version: UInt64, parent: UInt64, mode: ReleaseMode, classSet: Provenance, learnedOn: Provenance, model: Provenance, bits: String,
        contentSHA256: Digest, contentBytes: Int, maker: String, createdUnixMilliseconds: Int64, goldens: [GoldenScore], note: String,
        contentFrom: UInt64 = 0, gate: GateEvidence? = nil
    ) {
        self.version = version
        self.parent = parent
        self.mode = mode
        self.classSet = classSet
        self.learnedOn = learnedOn
        self.model = model
        self.bits = bits
        self.contentSHA256 = contentSHA256
        self.contentBytes = contentBytes
        self.maker = maker
        self.createdUnixMilliseconds = createdUnixMilliseconds
        self.goldens = goldens
        self.note = note
        self.contentFrom = contentFrom
        self.gate = gate
    }
}

/// What workers do with a release.
package enum ReleaseMode: Int, Hashable, Sendable, CaseIterable {
    /// They answer by it.
    case live = 1
    /// They score with it beside the live one and count where both agree.
    case shadow
}

/// The answer for one picture that every program has.
package struct GoldenScore: Hashable, Sendable {
    /// Which picture.
    package var input: Int
    /// The most probable class and its probability.
    package var best: Int
    package var probability: Float
    /// SHA-256 of all classes' indices, probabilities and cosines, best first, 4 bytes each, little-endian.
    package var scoresSHA256: Digest

    package init(input: Int, best: Int, probability: Float, scoresSHA256: Digest) {
        self.input = input
        self.best = best
        self.probability = probability
        self.scoresSHA256 = scoresSHA256
    }
}
