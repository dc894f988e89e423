internal import Foundation
package import Logging
internal import Messages
internal import ServiceLifecycle
internal import Synchronization
package import Transport

/// A worker without a dispatcher: PULLs job batches, PUSHes result batches. Nothing is acknowledged: what a killed worker holds is lost.
///
/// On graceful shutdown it stops listening, takes what has already reached this process, answers it, and ends.
package struct QueueWorker: Service {
    /// Where it works, and how long a stop may take.
    package struct Settings: Sendable {
        package var jobs: [Endpoint]
        package var results: [Endpoint]
        package var socketOptions = SocketOptions.sideDoor
        /// What waits in this process before it is decoded. 4 MB: a batch of photographs; more would only cost memory.
        package var waiting = Receiver.Limits(messages: 64, bytes: 4 << 20)
        /// Messages that wait in the socket for each sender, of up to 4 MB each.
        package var waitingInSocket = 2
        /// How long a stopping worker still reads what its peers have already sent.
        package var drainLimit: Duration = .seconds(2)
        /// How long a stopping worker tries to hand its results over when no sink takes them.
        package var flushLimit: Duration = .seconds(10)

        package init(jobs: [Endpoint], results: [Endpoint]) {
            self.jobs = jobs
            self.results = results
        }
    }

    private let receiver: Receiver
    private let outbox: ResultOutbox
    private let makePipeline: @Sendable (@escaping ClassificationPipeline.Delivery) throws -> ClassificationPipeline
    private let settings: Settings
    private let logger: Logger

    /// Binds or connects both sockets.
    package init(
        settings: Settings, context: ZeroMQContext, logger: Logger,
        pipeline: @escaping @Sendable (@escaping ClassificationPipeline.Delivery) throws -> ClassificationPipeline
    ) throws(TransportError) {
        self.settings = settings
        self.logger = logger
        makePipeline = pipeline
        let sender = try Sender(at: settings.results, in: context, options: settings.socketOptions)
        outbox = ResultOutbox(sender: sender, flushLimit: settings.flushLimit, logger: logger)
        var options = settings.socketOptions
        options.receiveHighWater = settings.waitingInSocket
        receiver = try Receiver(at: settings.jobs, in: context, options: options, limits: settings.waiting) { error in
            logger.warning("a message was refused", metadata: ["error": "\(error)"])
        }
    }

    /// The addresses it can be reached at, with their real ports.
    package var endpoints: (jobs: String, results: String) { (receiver.endpoint, outbox.endpoint) }

    /// Thrown at the end of a run that could not hand over all of its results.
    package struct UnsentResults: Error, CustomStringConvertible {
        package let messages: Int
        package var description: String {
            "\(messages) messages of results found no sink to take them and were dropped; keep a sink connected while workers stop"
        }
    }

    package func run() async throws {
        let pipeline = try makePipeline { [outbox] in outbox.send($0) }
        logger.info(
            "worker ready", metadata: ["jobs.endpoint": "\(receiver.endpoint)", "results.endpoint": "\(outbox.endpoint)"])
        let unsent = await withGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                let thread = Thread { [self] in
                    feed(pipeline)
                    pipeline.finish()
                    continuation.resume(returning: outbox.close())
                }
                thread.name = "p4q-feed"
                thread.start()
            }
        } onGracefulShutdown: {
            logger.info("stopping: finishing what is held")
            outbox.beginStop()
            receiver.stop(draining: settings.drainLimit)
        }
        let done = pipeline.counters.values
        logger.info("worker stopped", metadata: ["jobs.scored": "\(done.scored)", "jobs.failed": "\(done.failed)"])
        if unsent > 0 { throw UnsentResults(messages: unsent) }
    }

    /// Takes messages until the receiver has ended and is empty.
    private func feed(_ pipeline: ClassificationPipeline) {
        while let message = receiver.queue.waitTake(timeout: nil) {
            guard let envelope = message.frames.first else { continue }
            let payloads = message.frames.dropFirst()
            let batch: ReceivedJobBatch
            do throws(MessageError) {
                batch = try ReceivedJobBatch(envelope: envelope.bytes, payloadSizes: payloads.map(\.count))
            } catch {
                logger.warning("a message is not a batch of jobs", metadata: ["error.code": "\(error.code)", "error": "\(error)"])
                continue
            }
            for (index, entry) in batch.entries.enumerated() {
                switch entry {
                case .success(let job):
                    let payload: ImagePayload = job.payload == .attached ? .frame(message.frames[index + 1]) : .reference
                    _ = pipeline.submit(ClassificationJob(job, payload: payload, batchID: batch.id, received: message.received))
                case .failure(let rejected): pipeline.reject(rejected, batchID: batch.id)
                }
            }
        }
    }
}

/// Result batches on their way to the sinks.
private final class ResultOutbox: Sendable {
    private struct State {
        var end: ContinuousClock.Instant?
        var dropped = 0
    }

    private let sender: Sender
    private let flushLimit: Duration
    private let logger: Logger
    private let state = Mutex(State())

    init(sender: Sender, flushLimit: Duration, logger: Logger) {
        self.sender = sender
        self.flushLimit = flushLimit
        self.logger = logger
    }

    var endpoint: String { sender.endpoint }

    /// From now on waiting for a sink has an end.
    func beginStop() { state.withLock { $0.end = $0.end ?? .now + flushLimit } }

    /// Hands the batches over, waiting as long as no sink takes them.
    func send(_ batches: [ResultBatch]) {
        for batch in batches {
            for result in batch.results { logger.done(result) }
            do throws(MessageError) {
                for envelope in try batch.encode() { send(envelope) }
            } catch {
                drop("results could not be encoded", "\(error)")
            }
        }
    }

    private func send(_ envelope: [UInt8]) {
        do throws(TransportError) {
            let frame = try Frame(envelope)
            while true {
                do throws(TransportError) {
                    return try sender.send([frame], timeout: .milliseconds(200))
                } catch {
                    guard case .timedOut = error, !isOver else { throw error }
                }
            }
        } catch {
            drop("results could not be sent", "\(error)")
        }
    }

    private func drop(_ what: String, _ why: String) {
        state.withLock { $0.dropped += 1 }
        logger.error("\(what)", metadata: ["error": "\(why)"])
    }

    private var isOver: Bool { state.withLock { state in state.end.map { $0 <= .now } ?? false } }

    /// Flushes and closes; the number of messages that were not handed over.
    func close() -> Int {
        let remaining = state.withLock { $0.end }.map { ContinuousClock.now.duration(to: $0) } ?? flushLimit
        let unsent = sender.closeAndWait(flushing: max(remaining, .zero))
        return state.withLock { $0.dropped } + unsent.count
    }
}
