internal import Messages

/// What a worker has answered, by class set and release.
struct ScoringTally {
    /// Class sets and releases that are counted at a time: those that score now, and room for what was swapped lately.
    private static let limit = 32

    private(set) var counts: [ScoringCounts] = []

    /// The counts of a class set by a release, made if there are none.
    private mutating func place(_ classSet: Provenance, _ release: UInt64, classes: Int) -> Int {
        if let place = counts.lastIndex(where: { $0.release == release && $0.classSet == classSet }) { return place }
        if counts.count >= Self.limit { counts.removeFirst() }
        counts.append(ScoringCounts(classSet: classSet, release: release, classes: classes))
        return counts.count - 1
    }

    /// Takes a batch's answers.
    mutating func add(
        _ classSet: Provenance, release: UInt64, classes: Int, answers: [(best: Int, confidence: Float, isUnknown: Bool)],
        shadow: ScoringCounts.Shadow?
    ) {
        let place = place(classSet, release, classes: classes)
        for answer in answers {
            counts[place].add(answer: answer.best, confidence: Double(answer.confidence), isUnknown: answer.isUnknown)
        }
        guard let shadow else { return }
        var sum = counts[place].shadow.flatMap { $0.version == shadow.version ? $0 : nil } ?? ScoringCounts.Shadow(version: shadow.version)
        sum.scored += shadow.scored
        sum.agreed += shadow.agreed
        counts[place].shadow = sum
    }
}
