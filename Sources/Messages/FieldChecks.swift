internal import FoundationEssentials
internal import SwiftProtobuf

/// The rules for the fields of one item (a job, a result, an envelope), which its errors name.
struct FieldChecks {
    /// What tells the item from others of its kind. Put into words only for an error: most items have none.
    private enum Mark {
        case only
        case place(Int)
        case id(String)
    }

    private let kind: String
    private let mark: Mark

    /// - Parameter item: a whole name, as "the envelope".
    init(item: String) { (kind, mark) = (item, .only) }

    /// Of the item at a place in its batch.
    init(_ kind: String, at index: Int) { (self.kind, mark) = (kind, .place(index)) }

    init(_ kind: String, id: String) { (self.kind, mark) = (kind, .id(id)) }

    /// The item's name in errors.
    var item: String {
        switch mark {
        case .only: kind
        case .place(let index): "\(kind) #\(index)"
        case .id(let id): "\(kind) \(id)"
        }
    }

    /// `value` if it has 1 to `limit` bytes.
    func required(_ value: String, _ field: String, limit: Int = MessageLimits.idBytes) throws(MessageError) -> String {
        guard !value.isEmpty else { throw .missingField(field, item: item) }
        return try bounded(value, field, limit: limit)
    }

    /// `value` if it has at most `limit` bytes.
    func bounded(_ value: String, _ field: String, limit: Int = MessageLimits.idBytes) throws(MessageError) -> String {
        let bytes = value.utf8.count
        guard bytes <= limit else { throw invalid(field, "it has \(bytes) bytes, the limit is \(limit)") }
        return value
    }

    func digest(_ value: Data, _ field: String) throws(MessageError) -> Digest {
        guard !value.isEmpty else { throw .missingField(field, item: item) }
        guard let digest = Digest(bytes: value) else { throw invalid(field, "a SHA-256 has 32 bytes, this has \(value.count)") }
        return digest
    }

    func finite(_ value: Float, _ field: String) throws(MessageError) -> Float {
        guard value.isFinite else { throw invalid(field, "\(value) is not a finite number") }
        return value
    }

    func count(_ count: Int, _ field: String, limit: Int) throws(MessageError) {
        guard count <= limit else { throw invalid(field, "there are \(count), the limit is \(limit)") }
    }

    /// `value` as a duration, refused where a signed 64-bit number of microseconds would not hold it.
    func duration(microseconds value: UInt64, _ field: String) throws(MessageError) -> Duration {
        guard let microseconds = Int64(exactly: value) else { throw invalid(field, "\(value) is out of range") }
        return .microseconds(microseconds)
    }

    /// `value` as a duration, refused where a signed 64-bit number of microseconds would not hold it.
    func duration(milliseconds value: UInt64, _ field: String) throws(MessageError) -> Duration {
        guard let milliseconds = Int64(exactly: value), milliseconds <= Int64.max / 1000 else {
            throw invalid(field, "\(value) is out of range")
        }
        return .milliseconds(milliseconds)
    }

    func metadata(_ value: [String: String]) throws(MessageError) -> [String: String] {
        try count(value.count, "metadata", limit: MessageLimits.metadataEntries)
        let bytes = value.reduce(0) { $0 &+ $1.key.utf8.count &+ $1.value.utf8.count }
        guard bytes <= MessageLimits.metadataBytes else {
            throw invalid("metadata", "it has \(bytes) bytes, the limit is \(MessageLimits.metadataBytes)")
        }
        return value
    }

    func invalid(_ field: String, _ reason: String) -> MessageError { .invalidField(field, item: item, reason: reason) }

    /// Reads `bytes` as a message: bounded depth, unknown fields dropped.
    func message<Wire: Message>(_ bytes: some SwiftProtobufContiguousBytes) throws(MessageError) -> Wire {
        var options = BinaryDecodingOptions()
        options.messageDepthLimit = MessageLimits.depth
        options.discardUnknownFields = true
        do {
            return try Wire(serializedBytes: bytes, options: options)
        } catch {
            throw .malformed(item: item, reason: "\(error)")
        }
    }

    /// The bytes of `wire`.
    func bytes(of wire: some Message) throws(MessageError) -> [UInt8] {
        do {
            return try wire.serializedBytes()
        } catch {
            throw .malformed(item: item, reason: "\(error)")
        }
    }
}

extension MessageError {
    /// Refuses an envelope that is too large, before it is read.
    static func checkEnvelope(bytes: Int) throws(MessageError) {
        guard bytes <= MessageLimits.envelopeBytes else {
            throw .envelopeTooLarge(bytes: bytes, limit: MessageLimits.envelopeBytes)
        }
    }

    /// Refuses a batch of no items or too many.
    static func checkBatch(items: Int) throws(MessageError) {
        guard items > 0 else { throw .emptyBatch }
        guard items <= MessageLimits.itemsPerBatch else { throw .tooManyItems(count: items, limit: MessageLimits.itemsPerBatch) }
    }
}
