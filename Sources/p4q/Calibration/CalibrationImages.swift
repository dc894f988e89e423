import ArgumentParser
import Datasets
import Foundation
import Messages
import Quantization
import Services
import Transport

/// The images to calibrate on, batch by batch: drawn from files, or the first that a queue delivers.
enum CalibrationImages {
    case drawn(ArraySlice<ClassificationJob>)
    case queue(QueueImages)

    /// At most `count` of them; none at the end.
    mutating func next(_ count: Int) -> [ClassificationJob] {
        switch self {
        case .drawn(let rest):
            let batch = rest.prefix(count)
            self = .drawn(rest.dropFirst(batch.count))
            return Array(batch)
        case .queue(let queue): return queue.next(count)
        }
    }

    /// `samples` of the images in files, folders and archives, each as likely as any other, in an order that `seed` alone decides.
    ///
    /// Reads the inputs twice, once to count, so that no more is held than what is drawn.
    static func draw(_ inputs: [String], samples: Int, seed: UInt64, maxBytes: Int) throws -> (images: CalibrationImages, total: Int) {
        // Standard input can be read once.
        let inputs = inputs.flatMap { $0 == "-" ? Array(AnyIterator { readLine() }) : [$0] }
        var count = 0
        let counted = ImageSource(inputs, limit: maxBytes)
        while try counted.next() != nil { count += 1 }
        let places = CalibrationDraw.places(count: count, samples: samples, seed: seed)
        let wanted = Dictionary(uniqueKeysWithValues: places.enumerated().map { ($1, $0) })
        var drawn = [ClassificationJob?](repeating: nil, count: places.count)
        let source = ImageSource(inputs, limit: maxBytes)
        for index in 0..<count {
            guard let item = try source.next() else { break }
            guard let place = wanted[index] else { continue }
            drawn[place] = ClassificationJob(Job(id: item.id), payload: .data(Data(try item.load())))
        }
        let jobs = drawn.compactMap(\.self)
        return (.drawn(jobs[...]), jobs.count)
    }
}

/// The images of jobs that arrive at an endpoint, in their order. Nobody is answered.
final class QueueImages {
    private let receiver: Receiver
    private let context: ZeroMQContext
    private let timeout: Duration?
    private let notices = Notices(isQuiet: false)
    private var waiting: ArraySlice<ClassificationJob> = []

    /// - Parameter timeout: without a message for so long, there are no more.
    init(_ endpoints: [Endpoint], maxBytes: Int, timeout: Duration?) throws {
        var options = SocketOptions.sideDoor
        options.maxFrameBytes = maxBytes + 64 << 10
        context = try ZeroMQContext()
        receiver = try Receiver(at: endpoints, in: context, options: options) { error in
            Notices(isQuiet: false).warn("a message was refused: \(error)")
        }
        self.timeout = timeout
    }

    /// The address it can be reached at, with its real port.
    var endpoint: String { receiver.endpoint }

    func next(_ count: Int) -> [ClassificationJob] {
        var batch: [ClassificationJob] = []
        while batch.count < count {
            if let job = waiting.popFirst() {
                batch.append(job)
            } else {
                guard let message = receiver.queue.waitTake(timeout: timeout) else { break }
                waiting = jobs(message)[...]
            }
        }
        return batch
    }

    /// Stops listening; what has come beyond the images that were taken is lost.
    func close() {
        receiver.stop(draining: .zero)
        receiver.join()
    }

    private func jobs(_ message: Incoming) -> [ClassificationJob] {
        guard let envelope = message.frames.first else { return [] }
        do throws(MessageError) {
            let batch = try ReceivedJobBatch(envelope: envelope.bytes, payloadSizes: message.frames.dropFirst().map(\.count))
            return batch.entries.enumerated().compactMap { index, entry in
                switch entry {
                case .success(let job):
                    let payload: ImagePayload = job.payload == .attached ? .frame(message.frames[index + 1]) : .reference
                    return ClassificationJob(Job(id: job.id, payload: job.payload), payload: payload)
                case .failure(let rejected):
                    notices.warn("left out: \(rejected.id): \(rejected.reason)")
                    return nil
                }
            }
        } catch {
            notices.warn("a message is not a batch of jobs: \(error)")
            return []
        }
    }
}
