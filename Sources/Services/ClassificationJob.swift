package import Foundation
package import Messages
package import Transport

/// Where an image's bytes are held until they are decoded.
package enum ImagePayload: Sendable {
    case frame(Frame)
    case data(Data)
    /// To be fetched; the job says from where.
    case reference

    /// Lends the bytes; a reference has none.
    package func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        switch self {
        case .frame(let frame): try frame.withUnsafeBytes(body)
        case .data(let data): try data.withUnsafeBytes(body)
        case .reference: try body(UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }
}

/// A job on its way through a worker.
package struct ClassificationJob: Sendable {
    package let job: Job
    package private(set) var payload: ImagePayload
    /// The batch that its result is answered under.
    package let batchID: String
    package let received: ContinuousClock.Instant
    /// After this moment its result is worth nothing.
    package let deadline: ContinuousClock.Instant?

    package init(_ job: Job, payload: ImagePayload, batchID: String = "", received: ContinuousClock.Instant = .now) {
        self.job = job
        self.payload = payload
        self.batchID = batchID
        self.received = received
        deadline = job.deadline?.instant(received: received, unixMilliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }

    /// The same without its bytes, for what is done after decoding.
    func releasingPayload() -> ClassificationJob {
        var job = self
        job.payload = .reference
        return job
    }
}

/// A picture that is ready for the tower.
struct PreparedImage: Sendable {
    let item: ClassificationJob
    let facts: ImageFacts
    /// [side, side, 3] 8-bit RGB
    let crop: [UInt8]
    var timings: Timings
}
