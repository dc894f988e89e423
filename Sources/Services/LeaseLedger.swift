internal import Messages
internal import Synchronization
internal import Transport

/// The leases a worker holds, and its answers until the dispatcher has them.
final class LeaseLedger: Sendable {
    /// A leased batch on its way through the worker.
    struct Batch: Sendable {
        let name: String
        /// Echoed in the answer.
        let client: Frame
        /// In the order of the request.
        let leases: [[UInt8]]
        var results: [[UInt8]: JobResult?] = [:]
        /// Progress of the pipeline when each job was begun.
        var begun: [[UInt8]: UInt64] = [:]

        var isComplete: Bool { results.count == leases.count }
    }

    /// A complete answer; it is kept until the dispatcher says that it has it.
    struct Answer: Sendable {
        let client: Frame
        let batch: AnswerBatch
        let leases: Set<[UInt8]>
    }

    private struct State {
        var batches: [Int: [Batch]] = [:]
        var lanes: [[UInt8]: Int] = [:]
    }

    private let state = Mutex(State())
    private let worker: String

    init(worker: String) { self.worker = worker }

    /// Whether nothing is held.
    var isEmpty: Bool { state.withLock { $0.lanes.isEmpty } }

    func open(_ batch: Batch, lane: Int) {
        state.withLock { state in
            state.batches[lane, default: []].append(batch)
            for lease in batch.leases { state.lanes[lease] = lane }
        }
    }

    /// The work on a job begins.
    func begin(_ lease: [UInt8], progress: UInt64) {
        state.withLock { state in
            guard let lane = state.lanes[lease], let place = Self.place(of: lease, in: state.batches[lane]) else { return }
            state.batches[lane]?[place].begun[lease] = progress
        }
    }

    /// A job's result, or nil to hand it back. The lane and its answer if that completes a batch.
    func finish(_ lease: [UInt8], _ result: JobResult?) -> (lane: Int, answer: Answer)? {
        state.withLock { state in
            guard let lane = state.lanes[lease], let place = Self.place(of: lease, in: state.batches[lane]) else { return nil }
            state.batches[lane]?[place].results.updateValue(result, forKey: lease)
            guard let batch = state.batches[lane]?[place], batch.isComplete else { return nil }
            state.batches[lane]?.remove(at: place)
            for lease in batch.leases { state.lanes[lease] = nil }
            let answers = batch.leases.map { (lease: $0, result: batch.results[$0] ?? nil) }
            let answer = Answer(
                client: batch.client, batch: AnswerBatch(id: batch.name, worker: worker, answers: answers), leases: Set(batch.leases))
            return (lane, answer)
        }
    }

    /// What a heartbeat of `lane` says. A job that has begun has a counter above 0, which grows with the pipeline's progress.
    func progress(lane: Int, now: UInt64) -> [HeartbeatInfo.Progress] {
        state.withLock { state in
            (state.batches[lane] ?? []).flatMap { batch in
                batch.leases.filter { batch.results[$0] == nil }.map { lease in
                    HeartbeatInfo.Progress(lease: lease, counter: batch.begun[lease].map { now &- $0 &+ 1 } ?? 0)
                }
            }
        }
    }

    private static func place(of lease: [UInt8], in batches: [Batch]?) -> Int? { batches?.firstIndex { $0.leases.contains(lease) } }
}
