internal import FoundationEssentials

/// Answers for one class set by one release; counts only grow.
package struct ScoringCounts: Hashable, Sendable {
    /// How often a shadow release was asked too, and gave the same answer.
    package struct Shadow: Hashable, Sendable {
        package var version: UInt64
        package var scored: UInt64
        package var agreed: UInt64

        package init(version: UInt64, scored: UInt64 = 0, agreed: UInt64 = 0) {
            self.version = version
            self.scored = scored
            self.agreed = agreed
        }
    }

    /// Bins of equal width that confidences are counted in.
    package static let confidenceBins = 10
    /// Class sets with more classes are not counted class by class: a report fits into an envelope.
    package static let classes = 10_000

    package var classSet: Provenance
    /// 0: the model's own.
    package var release: UInt64
    /// First answers by class, in the order of the class set; none for a class set of too many classes.
    package var answers: [UInt64]
    package var confidences: [UInt64]
    /// Of them, those that were called unknown.
    package var unknown: UInt64 = 0
    package var shadow: Shadow?

    package init(classSet: Provenance, release: UInt64, classes: Int) {
        self.classSet = classSet
        self.release = release
        answers = [UInt64](repeating: 0, count: classes <= Self.classes ? classes : 0)
        confidences = [UInt64](repeating: 0, count: Self.confidenceBins)
    }

    /// All answers.
    package var total: UInt64 { confidences.reduce(0, &+) }

    /// Takes an answer.
    package mutating func add(answer: Int, confidence: Double, isUnknown: Bool) {
        if answers.indices.contains(answer) { answers[answer] += 1 }
        confidences[min(Self.confidenceBins - 1, max(0, Int(confidence * Double(Self.confidenceBins))))] += 1
        if isUnknown { unknown += 1 }
    }

    /// Adds what `later` has more than `earlier`; all of it where that is not the same count grown further.
    package mutating func add(_ later: ScoringCounts, since earlier: ScoringCounts?) {
        let known = earlier.flatMap { $0.isBegun(by: later) ? $0 : nil }
        func more(_ new: [UInt64], _ old: [UInt64]?) -> [UInt64] { old.map { zip(new, $0).map { $0 &- $1 } } ?? new }
        let (answered, sure) = (more(later.answers, known?.answers), more(later.confidences, known?.confidences))
        if answers.count == answered.count { answers = zip(answers, answered).map { $0 &+ $1 } }
        confidences = zip(confidences, sure).map { $0 &+ $1 }
        unknown &+= later.unknown &- (known?.unknown ?? 0)
        guard let other = later.shadow else { return }
        var sum = shadow.flatMap { $0.version == other.version ? $0 : nil } ?? Shadow(version: other.version)
        // A worker that has not heard of the newest shadow yet says nothing of it.
        guard sum.version >= shadow?.version ?? 0 else { return }
        let before = known?.shadow.flatMap { $0.version == other.version ? $0 : nil }
        sum.scored &+= other.scored &- (before?.scored ?? 0)
        sum.agreed &+= other.agreed &- (before?.agreed ?? 0)
        shadow = sum
    }

    /// Whether `later` can be this, grown further.
    private func isBegun(by later: ScoringCounts) -> Bool {
        guard classSet == later.classSet, release == later.release, answers.count == later.answers.count, unknown <= later.unknown,
            zip(answers, later.answers).allSatisfy({ $0 <= $1 }), zip(confidences, later.confidences).allSatisfy({ $0 <= $1 })
        else { return false }
        guard let shadow, let other = later.shadow, shadow.version == other.version else { return true }
        return shadow.scored <= other.scored && shadow.agreed <= other.agreed
    }

    init(_ wire: P4q_V1_ScoringCounts, _ checks: FieldChecks) throws(MessageError) {
        try checks.count(wire.answers.count, "answers", limit: Self.classes)
        guard wire.confidences.count == Self.confidenceBins else {
            throw checks.invalid("confidences", "there are \(wire.confidences.count) bins, not \(Self.confidenceBins)")
        }
        // Sums of them stay far from overflowing.
        guard (wire.answers + wire.confidences + [wire.unknown, wire.shadowScored]).allSatisfy({ $0 < 1 << 48 }),
            wire.shadowAgreed <= wire.shadowScored
        else { throw checks.invalid("answers", "a count is out of range") }
        classSet = try Provenance(wire.classSet.name, wire.classSet.sha256, "class_set", checks)
        release = wire.release
        answers = wire.answers
        confidences = wire.confidences
        unknown = wire.unknown
        shadow = wire.shadow == 0 ? nil : Shadow(version: wire.shadow, scored: wire.shadowScored, agreed: wire.shadowAgreed)
    }

    var wire: P4q_V1_ScoringCounts {
        var wire = P4q_V1_ScoringCounts()
        wire.classSet = P4q_V1_ClassSetReference(classSet)
        wire.release = release
        wire.answers = answers
        wire.confidences = confidences
        wire.unknown = unknown
        if let shadow {
            wire.shadow = shadow.version
            wire.shadowScored = shadow.scored
            wire.shadowAgreed = shadow.agreed
        }
        return wire
    }
}

/// What a worker has answered since it started.
package struct ScoringReport: Hashable, Sendable {
    /// Counts of a report.
    package static let limit = 64

    /// Another name at each start.
    package var worker: String
    package var counts: [ScoringCounts]

    package init(worker: String, counts: [ScoringCounts]) {
        self.worker = worker
        self.counts = counts
    }

    init(_ wire: P4q_V1_ScoringReport, _ checks: FieldChecks) throws(MessageError) {
        try checks.count(wire.counts.count, "counts", limit: Self.limit)
        worker = try checks.required(wire.worker, "worker")
        counts = []
        for item in wire.counts { counts.append(try ScoringCounts(item, checks)) }
    }

    var wire: P4q_V1_ScoringReport {
        var wire = P4q_V1_ScoringReport()
        wire.worker = worker
        wire.counts = counts.map(\.wire)
        return wire
    }
}
