/// What a message may hold; one place, so that the sender's and the reader's rules are the same.
///
/// The envelope's two numbers are part of the wire format. The others keep a single job or result well below one envelope.
package enum MessageLimits {
    /// Bytes of an envelope frame.
    package static let envelopeBytes = 1 << 20
    /// Jobs of a `JobBatch`, results of a `ResultBatch`.
    package static let itemsPerBatch = 256
    /// UTF-8 bytes of ids, batch ids, codes, workers and names of class sets.
    package static let idBytes = 128
    /// UTF-8 bytes of a label or a template.
    package static let labelBytes = 512
    /// Labels that come with a job: a few times ImageNet's 1,000.
    package static let inlineLabels = 4096
    /// Templates that come with a job: CLIP's own list for ImageNet has 80.
    package static let inlineTemplates = 128
    /// Predictions of a result.
    package static let predictions = 1000
    /// Entries of a job's metadata.
    package static let metadataEntries = 64
    /// UTF-8 bytes of a job's metadata, keys and values together.
    package static let metadataBytes = 16 << 10
    /// UTF-8 bytes of a trace context; W3C's version 00 has 55.
    package static let traceparentBytes = 256
    /// UTF-8 bytes of a reference's URI.
    package static let uriBytes = 2048
    /// UTF-8 bytes of the text of a failure; longer ones are cut when they are sent.
    package static let failureTextBytes = 4096
    /// Bytes of a lease id; ours have 30.
    package static let leaseBytes = 64
    /// Bytes of one job in an envelope from a producer: what a dispatcher adds when it leases the job must fit in as well.
    package static let jobBytes = envelopeBytes - 1024
    /// Levels of nested messages. Ours have three; the rest is room for newer senders.
    static let depth = 8
}
