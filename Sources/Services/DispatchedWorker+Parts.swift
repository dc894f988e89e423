internal import Foundation
internal import Logging
internal import Messages
internal import Synchronization
internal import Transport

extension DispatchedWorker {
    /// What the threads share.
    final class Parts: Sendable {
        private struct State {
            var pipeline: (any JobPipeline)?
            var lanes: [WorkerLane] = []
            var isStopping = false
            var echo: UInt64 = 0
            /// Of jobs that came without a lease.
            var count: UInt64 = 0
            var lastDone = ContinuousClock.now
        }

        let ledger: LeaseLedger
        /// At most one batch a lane.
        let waiting = BoundedQueue<(lane: Int, request: WorkerLane.Request)>(limit: 64)
        private let state = Mutex(State())
        private let worker: String
        private let broker: WorkerBroker
        let canary: Canary?
        private let logger: Logger

        init(worker: String, broker: WorkerBroker, canary: Canary?, logger: Logger) {
            self.worker = worker
            self.broker = broker
            self.canary = canary
            self.logger = logger
            ledger = LeaseLedger(worker: worker)
        }

        var pipeline: (any JobPipeline)? {
            get { state.withLock { $0.pipeline } }
            set { state.withLock { $0.pipeline = newValue } }
        }

        var lanes: [WorkerLane] {
            get { state.withLock { $0.lanes } }
            set { state.withLock { $0.lanes = newValue } }
        }

        var counters: PipelineCounters.Values { pipeline?.counters.values ?? PipelineCounters.Values() }

        /// Grows with every image that is done.
        var progress: UInt64 { UInt64(counters.scored + counters.failed + counters.images) }

        /// How long no image has been done.
        var idleTime: Duration { state.withLock { .now - $0.lastDone } }

        private var isStopping: Bool { state.withLock { $0.isStopping } }

        func stop() { state.withLock { $0.isStopping = true } }

        func finish() {
            waiting.close()
            pipeline?.finish()
        }

        /// Results of the pipeline; each one's batch id is its lease.
        func deliver(_ batches: [ResultBatch]) {
            for batch in batches {
                if batch.id == Canary.batchID {
                    canary?.receive(batch.results)
                    continue
                }
                state.withLock { $0.lastDone = .now }
                guard let lease = [UInt8](hexadecimal: batch.id) else { continue }
                for result in batch.results {
                    logger.done(result)
                    finish(lease, result)
                }
            }
        }

        /// What names a job here that has no lease.
        private func makeLease() -> [UInt8] {
            let number = state.withLock { state in
                state.count += 1
                return state.count
            }
            return withUnsafeBytes(of: number.bigEndian, Array.init)
        }

        private func finish(_ lease: [UInt8], _ result: JobResult?) {
            guard let (lane, answer) = ledger.finish(lease, result) else { return }
            lanes[lane].send(answer)
        }

        /// Hands batches to the pipeline, one after the other.
        func feed(_ logger: Logger) {
            while let (lane, request) = waiting.waitTake(timeout: nil) {
                do throws(MessageError) {
                    guard let envelope = request.body.first else { throw .emptyBatch }
                    let batch = try ReceivedJobBatch(
                        envelope: envelope.bytes, payloadSizes: request.body.dropFirst().map(\.count), isLeased: broker.isDispatcher)
                    feed(batch, request, lane)
                } catch {
                    logger.error("a batch can't be read", metadata: ["error": "\(error)"])
                    if !broker.isDispatcher { refuse(request, lane, error) }
                }
            }
        }

        /// Another maker's broker waits for an answer, whatever it has sent.
        private func refuse(_ request: WorkerLane.Request, _ lane: Int, _ reason: MessageError) {
            let result = JobResult(id: "batch", outcome: .failed(reason.failure), worker: worker)
            let answers = AnswerBatch(id: "", worker: worker, answers: [(lease: [], result: result)])
            lanes[lane].send(LeaseLedger.Answer(client: request.client, batch: answers, leases: []))
        }

        private func feed(_ batch: ReceivedJobBatch, _ request: WorkerLane.Request, _ lane: Int) {
            let leases = batch.entries.map { entry in
                guard broker.isDispatcher else { return makeLease() }
                switch entry {
                case .success(let job): return job.lease
                case .failure(let rejected): return rejected.lease
                }
            }
            ledger.open(LeaseLedger.Batch(name: batch.id, client: request.client, leases: leases), lane: lane)
            if batch.isAlone { announce(leases, lane) }
            for (index, entry) in batch.entries.enumerated() {
                if isStopping, broker.isDispatcher {
                    finish(leases[index], nil)
                    continue
                }
                ledger.begin(leases[index], progress: progress)
                switch entry {
                case .success(let job):
                    let payload: ImagePayload = job.payload == .attached ? .frame(request.body[index + 1]) : .reference
                    let item = ClassificationJob(job, payload: payload, batchID: leases[index].hexadecimal, received: request.received)
                    if pipeline?.submit(item) != true { finish(leases[index], nil) }
                case .failure(let rejected): finish(leases[index], rejected.result(worker: worker))
                }
            }
        }

        /// A worker died with this job before: the dispatcher must know that it is begun before it is.
        private func announce(_ leases: [[UInt8]], _ lane: Int) {
            let echo = state.withLock { state in
                state.echo += 1
                return state.echo
            }
            let heard = DispatchSemaphore(value: 0)
            let progress = leases.map { HeartbeatInfo.Progress(lease: $0, counter: 1) }
            lanes[lane].send(HeartbeatInfo(leases: progress, echo: echo)) { heard.signal() }
            _ = heard.wait(timeout: .now() + 3)
        }
    }
}

extension [UInt8] {
    /// Two lower-case digits a byte.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Nil unless `text` is pairs of hexadecimal digits.
    init?(hexadecimal text: String) {
        let digits = text.utf8.map { UInt8($0) }
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        self = bytes
    }
}
