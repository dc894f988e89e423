/// The rules of the durable queue: state + event + now -> changes to the journal and actions. No clock, socket or file inside.
///
/// Everything the machine decides it puts into its output: a batch for the journal, and actions. Whoever drives it takes the output
/// whenever the journal is free (`takeOutput`), commits its batch, and only then carries out its actions; outputs are committed in order.
/// Leases themselves are not journalled: a job that was leased when the process ended is ready again, at no cost.
package struct QueueMachine: Sendable {
    /// What was decided since the last output.
    package struct Output: Sendable {
        /// Counts from 1.
        package var number: UInt64
        package var batch: JournalBatch
        /// To be carried out in this order after the batch and all before it are committed.
        package var actions: [Action]
    }

    // package init(_ recovered: RecoveredPartition, configuration: QueueConfiguration, seed: UInt64, now: Moment)
    // package mutating func restore(_ jobs: [RecoveredJob], now: Moment)
    // package mutating func start(now: Moment)                            after the last page
    // package mutating func handle(_ event: Event, now: Moment)
    // package mutating func takeOutput() -> Output?                       nil: nothing to do
    // package mutating func committed(_ number: UInt64, now: Moment)
    // package var nextTick: Uptime                                        post .tick at this moment
    // package func status(of key: JobKey) -> JobStatus?                   nil: ask the store for a tombstone
    // package func peek(service: String, limit: Int) -> [JobNumber]
    // package func figures(now: Moment) -> QueueFigures
}
