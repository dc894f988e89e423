/// The figures that a gate let a release through on; counts are of held-out examples.
package struct GateEvidence: Hashable, Sendable {
    /// The trainer's number of the run.
    package var run: UInt64
    package var examples: Int
    /// Right answers of the release in service, of the new one, and of the model without a tuning.
    package var before: Int
    package var after: Int
    package var untuned: Int
    /// Right by the new one alone, and by the one before alone.
    package var gained: Int
    package var lost: Int
    /// Of McNemar's exact test, and what it had to stay below.
    package var p: Double
    package var level: Double
    /// The test's number in its family.
    package var test: Int
    package var calibrationErrorBefore: Double
    package var calibrationErrorAfter: Double

    package init(
        run: UInt64, examples: Int, before: Int, after: Int, untuned: Int, gained: Int, lost: Int, p: Double, level: Double, test: Int,
        calibrationErrorBefore: Double, calibrationErrorAfter: Double
    ) {
        self.run = run
        self.examples = examples
        self.before = before
        self.after = after
        self.untuned = untuned
        self.gained = gained
        self.lost = lost
        self.p = p
        self.level = level
        self.test = test
        self.calibrationErrorBefore = calibrationErrorBefore
        self.calibrationErrorAfter = calibrationErrorAfter
    }

    init(_ wire: P4q_V1_GateEvidence, _ checks: FieldChecks) throws(MessageError) {
        guard [wire.before, wire.after, wire.untuned].allSatisfy({ $0 <= wire.examples }) else {
            throw checks.invalid("gate", "more are right than there are")
        }
        for value in [wire.p, wire.level, wire.calibrationErrorBefore, wire.calibrationErrorAfter] where !(0...1).contains(value) {
            throw checks.invalid("gate", "\(value) is not between 0 and 1")
        }
        self.init(
            run: wire.run, examples: Int(wire.examples), before: Int(wire.before), after: Int(wire.after), untuned: Int(wire.untuned),
            gained: Int(wire.gained), lost: Int(wire.lost), p: wire.p, level: wire.level, test: Int(wire.test),
            calibrationErrorBefore: wire.calibrationErrorBefore, calibrationErrorAfter: wire.calibrationErrorAfter)
    }

    var wire: P4q_V1_GateEvidence {
        var wire = P4q_V1_GateEvidence()
        wire.run = run
        wire.examples = UInt32(clamping: examples)
        wire.before = UInt32(clamping: before)
        wire.after = UInt32(clamping: after)
        wire.untuned = UInt32(clamping: untuned)
        wire.gained = UInt32(clamping: gained)
        wire.lost = UInt32(clamping: lost)
        wire.p = p
        wire.level = level
        wire.test = UInt32(clamping: test)
        wire.calibrationErrorBefore = calibrationErrorBefore
        wire.calibrationErrorAfter = calibrationErrorAfter
        return wire
    }
}
