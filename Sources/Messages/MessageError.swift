/// Why a message, or one item of it, can't be read or can't be sent. None of these gets better by sending the same bytes again.
package enum MessageError: Error, Hashable, Sendable {
    /// An envelope frame above `MessageLimits.envelopeBytes`.
    case envelopeTooLarge(bytes: Int, limit: Int)
    /// Bytes that are not the protobuf message they should be. `item` is `the envelope` or one job or result of it.
    case malformed(item: String, reason: String)
    /// More items in one batch than `MessageLimits.itemsPerBatch`.
    case tooManyItems(count: Int, limit: Int)
    /// A batch of nothing.
    case emptyBatch
    /// The number of payload frames is not the number of jobs.
    case frameCount(jobs: Int, frames: Int)
    /// A required field is not there, or a choice that must be made (a oneof, an enum) was not.
    case missingField(String, item: String)
    /// A field's value is outside of what the protocol allows.
    case invalidField(String, item: String, reason: String)
    /// Two jobs of one batch have the same id.
    case duplicateID(String)
    /// A job by reference that has bytes in its payload frame too.
    case unexpectedPayload(item: String, bytes: Int)

    /// Every code that there is.
    package static let codes = [
        "too_large", "malformed", "too_many_items", "empty_batch", "frame_count", "missing_field", "invalid_field", "duplicate_id",
        "unexpected_payload",
    ].map { "message.\($0)" }

    /// Stable and for programs.
    package var code: String {
        switch self {
        case .envelopeTooLarge: "message.too_large"
        case .malformed: "message.malformed"
        case .tooManyItems: "message.too_many_items"
        case .emptyBatch: "message.empty_batch"
        case .frameCount: "message.frame_count"
        case .missingField: "message.missing_field"
        case .invalidField: "message.invalid_field"
        case .duplicateID: "message.duplicate_id"
        case .unexpectedPayload: "message.unexpected_payload"
        }
    }
}

extension MessageError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .envelopeTooLarge(let bytes, let limit):
            "the envelope has \(bytes) bytes, the limit is \(limit): send fewer jobs a batch, or less metadata"
        case .malformed(let item, let reason):
            "\(item) can't be read as the protobuf message it should be (\(reason)): check that the first frame is the envelope"
        case .tooManyItems(let count, let limit):
            "the batch has \(count) items, the limit is \(limit): split it"
        case .emptyBatch:
            "the batch is empty: send at least one item"
        case .frameCount(let jobs, let frames):
            "the envelope has \(jobs) jobs but \(frames) payload frames follow it: send exactly one a job, an empty one for a reference"
        case .missingField(let field, let item):
            "\(item) has no \(field), which is required"
        case .invalidField(let field, let item, let reason):
            "\(item) has a bad \(field): \(reason)"
        case .duplicateID(let id):
            "the id \(id) occurs twice in the batch: ids must differ"
        case .unexpectedPayload(let item, let bytes):
            "\(item) is a reference but its payload frame has \(bytes) bytes: send an empty frame, or no reference"
        }
    }

    /// The same as the outcome of the job it struck.
    package var failure: Failure { Failure(code: code, stage: .message, message: description, retryable: false) }
}
