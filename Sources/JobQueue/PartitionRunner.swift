/// Runs a partition's machine on its store: events go in, the journal is committed, actions come out.
///
/// How a dispatcher drives the queue:
/// 1. `PartitionRunner.open` takes the partition over and restores the machine. Then bind the sockets.
/// 2. For each message: check it, and `post` the event that it is. Before `.submit`, ask `tombstones(of:)` and note when (`now()`).
///    `post` decides at once, on the caller's thread, in microseconds; it never waits for the disk.
/// 3. `run` commits whatever has been decided since the last commit (group commit, no fixed wait) and then calls `deliver` with the
///    actions, in order, so that nothing leaves that isn't durable. Leases and deliveries come with their bytes.
/// 4. When `run` throws, nothing was said about what was not committed: stop, exit with the error's `exitCode`.
package final class PartitionRunner: Sendable {
    /// What is to be sent.
    package enum Outgoing: Sendable {
        /// Neither `.lease` nor `.deliver`.
        case action(Action)
        /// Intact jobs of the batch, with the grants in the same order.
        case jobs(LeasedBatch, [JobContent])
        case outcomes(Delivery, [StoredOutcome])
    }
}
