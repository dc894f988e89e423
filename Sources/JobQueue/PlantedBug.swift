/// Faults that tests plant, one at a time, to see that the tests would notice them. Nothing but a test can hand one in: no option, file
/// or variable leads here.
package enum PlantedBug: String, Sendable, CaseIterable {
    /// ACCEPTED leaves before the commit.
    case acceptBeforeCommit
    /// The journal is written with `synchronous=NORMAL`.
    case synchronousNormal
    /// The journal is written with `synchronous=OFF`.
    case synchronousOff
    /// A second answer to a job becomes a second outcome.
    case secondOutcome
    /// A worker's receipt leaves before the commit.
    case receiptBeforeCommit
    /// Outcomes get their numbers when they are sent, so that a restart gives others.
    case sequenceAtSend
    /// A refusal counts whatever lease it comes with.
    case unfencedRefusal
    /// Leases run on the wall clock.
    case wallClockLease
    /// A restart costs open jobs an attempt.
    case restartCostsAttempt
    /// All jobs of a batch whose worker died count as its cause.
    case batchMatesBlamed
}
