internal import Dispatch
internal import Foundation
internal import Synchronization

/// Runs a partition's machine on its store: events go in, the journal is committed, actions come out.
///
/// How a dispatcher drives the queue:
/// 1. `PartitionRunner.open` takes the partition over and restores the machine. Then bind the sockets, and let `run` run.
/// 2. For each message: check it, and `post` the event that it is. Before `.submit`, ask `tombstones(of:)`, and note the time (`now`)
///    before that. `post` decides at once, on the caller's thread, in microseconds; it never waits for the disk. What it returns promises
///    nothing (busy, DISCONNECT) and may be sent at once.
/// 3. `run` commits whatever has been decided since the last commit (group commit, no fixed wait) and then calls `deliver` with the
///    actions, so that nothing leaves that isn't durable. Leases and deliveries come with their bytes, one after the other.
/// 4. Sessions: post `.ready` or `.sinkReady` at READY, `.heartbeat` for every sign of life, `.answer` or `.acknowledge` at FINAL, `.ended`
///    when the connection is known to be broken or the peer says DISCONNECT. `Action.dismiss` ends one from this side.
/// 5. At SIGTERM post `.stop`, wait until `figures` shows nothing in flight (20 s at most), then `finish`: `run` commits what is left and
///    returns. When `run` throws, nothing was said about what was not committed: exit with the error's `exitCode`.
package final class PartitionRunner: Sendable {
    /// What is to be sent.
    package enum Outgoing: Sendable {
        /// Neither `.lease` nor `.deliver`.
        case action(Action)
        /// Intact jobs, with their grants in the same order.
        case jobs(LeasedBatch, [JobContent])
        case outcomes(Delivery, [StoredOutcome])
    }

    /// Bounds of what may wait for the journal; beyond them producers are told to wait.
    package struct Bounds: Hashable, Sendable {
        package var jobs = 65_536
        package var bytes = 128 << 20
        package init() {}
    }

    struct State: Sendable {
        var machine: QueueMachine
        /// What is being committed.
        var committingJobs = 0
        var committingBytes = 0
        var waiter: CheckedContinuation<Void, Never>?
        var isFinished = false
        /// What ended a part of `run`; then `run` ends with it.
        var failure: (any Error)?
        /// Who waits until this output is durable, or `run` has ended.
        var barriers: [(output: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
        /// The last output whose batch is durable and whose actions were sent.
        var committed: UInt64 = 0
        var hasEnded = false
        var timerAt = Uptime.never
        /// What may still be written to the journal's disk before it is low.
        var room = Int.max
        /// When the oldest ids were forgotten that still count; nil: there are none.
        var rememberedSince: WallTime?
    }

    let state: Mutex<State>
    let store: any JobStore
    let partition: PartitionID
    private let bounds: Bounds
    let clock: @Sendable () -> Moment
    let deliver: @Sendable ([Outgoing]) -> Void
    // Safe: a dispatch source may be used from any thread; it is made once and never replaced.
    private nonisolated(unsafe) let timer: any DispatchSourceTimer

    /// Takes the partition over. `deliver` is called by `run`, one call after the other for actions and one after the other for contents.
    package static func open(
        _ partition: PartitionID = PartitionID(), store: any JobStore, configuration: QueueConfiguration, bounds: Bounds = Bounds(),
        clock: @escaping @Sendable () -> Moment = PartitionRunner.systemClock(), deliver: @escaping @Sendable ([Outgoing]) -> Void
    ) async throws -> PartitionRunner {
        let recovered = try await store.open(partition)
        var machine = QueueMachine(recovered, configuration: configuration, seed: .random(in: 0 ... .max), now: clock())
        var last = JobNumber(0)
        while true {
            let page = try await store.recoveredJobs(after: last, limit: 16_384, in: partition)
            guard let end = page.last else { break }
            try machine.restore(page, now: clock())
            last = end.number
        }
        machine.start(now: clock())
        return PartitionRunner(partition, machine, store, bounds, clock, deliver)
    }

    private init(
        _ partition: PartitionID, _ machine: QueueMachine, _ store: any JobStore, _ bounds: Bounds,
        _ clock: @escaping @Sendable () -> Moment,
        _ deliver: @escaping @Sendable ([Outgoing]) -> Void
    ) {
        self.partition = partition
        self.store = store
        self.bounds = bounds
        self.clock = clock
        self.deliver = deliver
        state = Mutex(State(machine: machine))
        timer = DispatchSource.makeTimerSource()
        timer.setEventHandler { [weak self] in self?.timerFired() }
        timer.activate()
    }

    deinit { timer.cancel() }

    /// The continuous clock of this process and the wall clock.
    package static func systemClock() -> @Sendable () -> Moment {
        let start = ContinuousClock.now
        return {
            Moment(
                uptime: Uptime(milliseconds: (ContinuousClock.now - start).milliseconds),
                wall: WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)))
        }
    }

    /// The time that events happen at.
    package var now: Moment { clock() }

    /// Takes in an event. The result is to be carried out by the caller, at once.
    @discardableResult
    package func post(_ event: Event) -> [Action] { post([event]) }

    /// Takes in events that happened together, in their order.
    @discardableResult
    package func post(_ events: [Event]) -> [Action] {
        let (immediate, waiter) = state.withLock { state -> ([Action], CheckedContinuation<Void, Never>?) in
            let now = clock()
            for event in events {
                state.machine.isJournalBehind =
                    state.committingJobs + state.machine.output.batch.accepted.count >= bounds.jobs
                    || state.committingBytes + state.machine.output.bytes >= bounds.bytes
                // Twice: what is accepted goes through the log.
                state.machine.isRoomShort = state.room <= 2 * (state.committingBytes + state.machine.output.bytes)
                state.machine.handle(event, now: now)
            }
            let immediate = state.machine.output.immediate
            if !immediate.isEmpty { state.machine.output.immediate = [] }
            setTimer(&state, now)
            defer { if state.machine.hasOutput { state.waiter = nil } }
            return (immediate, state.machine.hasOutput ? state.waiter : nil)
        }
        waiter?.resume()
        return immediate
    }

    /// Asks the machine: `status(of:)`, `peek`, `figures`.
    package func read<Result: Sendable>(_ body: (borrowing QueueMachine) throws -> Result) rethrows -> Result {
        try state.withLock { try body($0.machine) }
    }

    /// What the store knows of forgotten jobs.
    package func tombstones(of keys: [JobKey]) async throws -> [Tombstone?] { try await store.tombstones(of: keys, in: partition) }

    /// The present length of the deduplication window: how long ago the oldest forgotten jobs whose ids still count were forgotten.
    package var deduplicationWindow: Duration {
        guard let since = state.withLock({ $0.rememberedSince }) else { return .zero }
        return .milliseconds(max(0, now.wall.milliseconds - since.milliseconds))
    }

    /// Returns when everything that was decided before is durable: what `read` told may be said then.
    ///
    /// - Returns: false if `run` ended before; then nothing may be said.
    package func barrier() async -> Bool {
        await withCheckedContinuation { continuation in
            let answer = state.withLock { state -> Bool? in
                // The output that is being collected, or the last one, which may be under way.
                let last = state.machine.hasOutput ? state.machine.output.number : state.machine.output.number - 1
                if state.committed >= last { return true }
                if state.hasEnded { return false }
                state.barriers.append((last, continuation))
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// Lets `run` return after it has committed what is left.
    package func finish() {
        let waiter = state.withLock { state in
            state.isFinished = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    private func timerFired() {
        state.withLock { $0.timerAt = .never }
        let immediate = post(.tick)
        if !immediate.isEmpty { deliver(immediate.map { .action($0) }) }
    }

    /// Sets the timer to the machine's next tick, if that is earlier than it is set to.
    private func setTimer(_ state: inout State, _ now: Moment) {
        let next = state.machine.nextTick
        guard next < state.timerAt else { return }
        state.timerAt = next
        let wait = min(max(next.milliseconds.subtractingSaturating(now.uptime.milliseconds), 1), 60_000)
        timer.schedule(deadline: .now() + .milliseconds(Int(wait)), leeway: .milliseconds(1))
    }
}
