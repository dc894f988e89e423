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

    /// There is nothing to calibrate on.
    struct Missing: Error, CustomStringConvertible {
        let places: [String]
        /// Whether there were images, of which none could be used.
        let hadSome: Bool
        /// How many seconds a queue was waited for.
        let timeout: Double?

        var description: String {
            let place = places.joined(separator: ", ")
            if hadSome { return "none of the calibration images in \(place) can be used; the lines above say why" }
            if let timeout { return "no image came at \(place) within \(timeout) seconds; start a producer there, or wait longer" }
            return "there is no image that can be used in \(place); name files, folders or archives of PNG and JPEG images"
        }
    }

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
    ///
    /// - Throws: what makes an input unusable; single images that are too large or unreadable are left out and named.
    static func draw(_ inputs: [String], samples: Int, seed: UInt64, maxBytes: Int, _ notices: Notices) throws -> (
        images: CalibrationImages, total: Int
    ) {
        // Standard input can be read once.
        let inputs = inputs.flatMap { $0 == "-" ? Array(AnyIterator { readLine() }) : [$0] }
        if let missing = inputs.first(where: { !FileManager.default.fileExists(atPath: $0) }) {
            throw DatasetError.unreadable(path: missing, reason: "there is no such file or folder")
        }
        var count = 0
        try forEachItem(inputs, maxBytes, notices) { _ in count += 1 }
        let places = CalibrationDraw.places(count: count, samples: samples, seed: seed)
        let wanted = Dictionary(uniqueKeysWithValues: places.enumerated().map { ($1, $0) })
        var drawn = [ClassificationJob?](repeating: nil, count: places.count)
        var index = 0
        // What is left out was named before.
        try forEachItem(inputs, maxBytes, nil) { item in
            defer { index += 1 }
            guard let place = wanted[index] else { return }
            do throws(DatasetError) {
                drawn[place] = ClassificationJob(Job(id: item.id), payload: .data(Data(try item.load())))
            } catch {
                notices.warn("left out: \(error.subject): \(error.code): \(error)")
            }
        }
        let jobs = drawn.compactMap(\.self)
        return (.drawn(jobs[...]), jobs.count)
    }

    /// Calls `body` with each item; what can't be one is left out, and told to `notices`.
    private static func forEachItem(_ inputs: [String], _ maxBytes: Int, _ notices: Notices?, _ body: (DatasetItem) -> Void) throws {
        let source = ImageSource(inputs, limit: maxBytes)
        while true {
            do throws(DatasetError) {
                guard let item = try source.next() else { return }
                body(item)
            } catch .tooLarge(let item, let bytes, let limit) {
                notices?.warn("left out: \(DatasetError.tooLarge(item: item, bytes: bytes, limit: limit))")
            }
        }
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
