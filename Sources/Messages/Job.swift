/// One image to work on. The image itself stays in its payload frame, at the job's place in the batch.
package struct Job: Hashable, Sendable {
    /// Where the image is.
    package enum Payload: Hashable, Sendable {
        /// The payload frame at the job's place in the batch.
        case attached
        /// Elsewhere; the payload frame is empty. The digest is checked before the bytes are used.
        case reference(uri: String, sha256: Digest)
    }

    /// The producer's name for it: 1 to 128 bytes, unique in its batch.
    package var id: String
    package var payload: Payload
    /// Nil: the worker's default class set.
    package var classes: ClassSelection?
    /// 1 to 1000 predictions; nil: what the class set says.
    package var topK: Int?
    package var deadline: Deadline?
    /// Echoed in the result.
    package var metadata: [String: String]
    /// W3C trace context, echoed in the result; empty if there is none.
    package var traceparent: String
    /// The true label of a labelled image.
    package var label: String?
    /// For the service `train`; nil elsewhere.
    package var training: TrainingRequest?
    /// From 1.
    package var attempt: Int
    /// The right to answer it; empty unless a dispatcher sent it.
    package var lease: [UInt8]
    /// 0 to 9; nil: 4.
    package var priority: Int?
    /// Not to be started before so long after its receipt.
    package var notBefore: Duration?

    package init(
        id: String, payload: Payload = .attached, classes: ClassSelection? = nil, topK: Int? = nil, deadline: Deadline? = nil,
        metadata: [String: String] = [:], traceparent: String = "", label: String? = nil, training: TrainingRequest? = nil,
        attempt: Int = 1,
        lease: [UInt8] = [], priority: Int? = nil, notBefore: Duration? = nil
    ) {
        self.id = id
        self.payload = payload
        self.classes = classes
        self.topK = topK
        self.deadline = deadline
        self.metadata = metadata
        self.traceparent = traceparent
        self.label = label
        self.training = training
        self.attempt = attempt
        self.lease = lease
        self.priority = priority
        self.notBefore = notBefore
    }
}

/// What a job of the service `train` asks for, besides its label and its image.
package struct TrainingRequest: Hashable, Sendable {
    package enum Task: Hashable, Sendable {
        /// Keep the labelled image as an example.
        case learn
        /// Forget the example for good.
        case forget
        /// Retrain now.
        case retrain
    }

    package var task: Task
    /// The example's name, 1 to 128 bytes; nil: the job's id.
    package var exampleID: String?
    /// When the label was given, milliseconds since 1970-01-01 UTC; of several jobs for one example the last counts. Nil: when it arrives.
    package var labelled: Int64?

    package init(_ task: Task = .learn, exampleID: String? = nil, labelled: Int64? = nil) {
        self.task = task
        self.exampleID = exampleID
        self.labelled = labelled
    }
}

/// The classes a job wants to choose from.
package enum ClassSelection: Hashable, Sendable {
    /// A class set the worker knows; with a digest, only that version of it.
    case named(String, sha256: Digest?)
    /// Labels that came with the job, and the templates to put them into (none: the worker's default).
    case inline(labels: [String], templates: [String])
}

/// The moment after which a job is worth nothing.
package enum Deadline: Hashable, Sendable {
    /// Milliseconds since 1970-01-01 UTC.
    case at(unixMilliseconds: Int64)
    /// Counted from the moment the job is received.
    case within(Duration)

    /// The moment on the receiver's own clock, for a job received at `received` when the wall clock said `unixMilliseconds`.
    package func instant(received: ContinuousClock.Instant, unixMilliseconds now: Int64) -> ContinuousClock.Instant {
        received + remaining(unixMilliseconds: now)
    }

    /// What is left of it for a job received when the wall clock said `now`; negative if it is over.
    ///
    /// What lies more than a year away is brought to a year, so that no sum overflows.
    package func remaining(unixMilliseconds now: Int64) -> Duration {
        let year = Duration.seconds(366 * 86_400)
        let distance: Duration
        switch self {
        case .within(let duration): distance = duration
        case .at(let moment):
            let (difference, overflow) = moment.subtractingReportingOverflow(now)
            distance = overflow ? (moment < now ? .zero - year : year) : .milliseconds(difference)
        }
        return min(max(distance, .zero - year), year)
    }
}
