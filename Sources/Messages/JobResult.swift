/// The outcome of one job.
package struct JobResult: Hashable, Sendable {
    /// The job's id, or what stands for it if it had no usable one.
    package var id: String
    package var outcome: Outcome
    /// Nil if the image was never read.
    package var image: ImageFacts?
    /// Nil if no model was asked.
    package var model: Provenance?
    /// Nil if no class set was used.
    package var classSet: Provenance?
    /// What the score is wholly by; nil if it is the model's own.
    package var release: ReleaseMark?
    package var timings: Timings
    /// The worker that made it.
    package var worker: String
    /// From 1.
    package var attempt: Int
    /// The job's.
    package var metadata: [String: String]
    /// The job's.
    package var traceparent: String
    /// Where a dispatcher put it; nil on the way from a worker.
    package var place: OutcomePlace?

    package init(
        id: String, outcome: Outcome, image: ImageFacts? = nil, model: Provenance? = nil, classSet: Provenance? = nil,
        release: ReleaseMark? = nil, timings: Timings = Timings(), worker: String, attempt: Int = 1, metadata: [String: String] = [:],
        traceparent: String = "",
        place: OutcomePlace? = nil
    ) {
        self.id = id
        self.outcome = outcome
        self.image = image
        self.model = model
        self.classSet = classSet
        self.release = release
        self.timings = timings
        self.worker = worker
        self.attempt = attempt
        self.metadata = metadata
        self.traceparent = traceparent
        self.place = place
    }

    /// The result of `job`, with what is echoed taken from it.
    package init(
        answering job: Job, outcome: Outcome, image: ImageFacts? = nil, model: Provenance? = nil, classSet: Provenance? = nil,
        release: ReleaseMark? = nil, timings: Timings = Timings(), worker: String
    ) {
        self.init(
            id: job.id, outcome: outcome, image: image, model: model, classSet: classSet, release: release, timings: timings,
            worker: worker, attempt: job.attempt, metadata: job.metadata, traceparent: job.traceparent)
    }
}

/// The release that a result was made with.
package struct ReleaseMark: Hashable, Sendable {
    /// Of the result's class set; from 1.
    package var version: UInt64
    /// The class set has gained, lost or changed classes since this release was learned.
    package var isOtherClasses: Bool

    package init(version: UInt64, isOtherClasses: Bool = false) {
        self.version = version
        self.isOtherClasses = isOtherClasses
    }
}

/// An outcome's place among all outcomes of a dispatcher.
package struct OutcomePlace: Hashable, Sendable {
    /// From 1, one for each outcome; a repeat has the same.
    package var sequence: UInt64
    /// The outcome before it in the sink's group, 0 at its start.
    package var previous: UInt64
    /// What the job was sent to.
    package var service: String
    /// Who sent it.
    package var producer: String
    /// Of the exclusive group's active member that it was delivered to; 0 in shared groups. It travels with the batch.
    package var generation: UInt64 = 0

    package init(sequence: UInt64, previous: UInt64, service: String, producer: String) {
        self.sequence = sequence
        self.previous = previous
        self.service = service
        self.producer = producer
    }
}

/// What became of a job.
package enum Outcome: Hashable, Sendable {
    /// Best class first. `unknown`: the class set's threshold was not reached.
    case scored([Prediction], unknown: Bool)
    case failed(Failure)
    /// A job of the service `train` was done. `example`: the example's name, empty where the job was about none.
    case learned(example: String, LearningEffect)
}

/// What became of an example; the raw value is what people and JSON see.
package enum LearningEffect: String, Hashable, Sendable, CaseIterable {
    /// It is kept.
    case kept
    /// It is kept with another label than before.
    case corrected
    /// It was there already, with this label or one that was given later.
    case unchanged
    /// Its class has as many examples as are kept, and the draw left this one out.
    case notDrawn = "not_drawn"
    /// It is forgotten, and stays so.
    case forgotten
    /// Retraining was asked for.
    case retraining
}

/// One class and how well it fits.
package struct Prediction: Hashable, Sendable {
    package var label: String
    /// The class's place in its set, from 0.
    package var index: Int
    /// Softmax over the whole class set, 0 to 1.
    package var probability: Float
    /// -1 to 1.
    package var cosine: Float

    package init(label: String, index: Int, probability: Float, cosine: Float) {
        self.label = label
        self.index = index
        self.probability = probability
        self.cosine = cosine
    }
}

/// Why there is no score.
package struct Failure: Error, Hashable, Sendable {
    /// Stable and for programs, such as `decode.truncated`.
    package var code: String
    package var stage: Stage
    /// What failed, why, and what to do; cut to 4096 bytes when it is sent.
    package var message: String
    /// True if the same job may succeed when it is sent again.
    package var retryable: Bool

    package init(code: String, stage: Stage, message: String, retryable: Bool) {
        self.code = code
        self.stage = stage
        self.message = message
        self.retryable = retryable
    }
}

/// The steps a job goes through; the raw value is what people and JSON see.
package enum Stage: String, Hashable, Sendable, CaseIterable {
    case message, queue, fetch, decode, preprocess
    case classSet = "class_set"
    case infer
}

/// What was learned about an image.
package struct ImageFacts: Hashable, Sendable {
    /// What its header says.
    package struct Header: Hashable, Sendable {
        /// Pixels, as displayed.
        package var width: Int
        package var height: Int
        package var format: ImageFormat

        package init(width: Int, height: Int, format: ImageFormat) {
            self.width = width
            self.height = height
            self.format = format
        }
    }

    /// Of the bytes as they came.
    package var sha256: Digest
    /// Nil if the header could not be read.
    package var header: Header?

    package init(sha256: Digest, header: Header?) {
        self.sha256 = sha256
        self.header = header
    }
}

/// File formats; the raw value is what people and JSON see.
package enum ImageFormat: String, Hashable, Sendable, CaseIterable {
    case png, jpeg
}

/// What made a result: the name and content hash of a model or a class set.
package struct Provenance: Hashable, Sendable {
    package var name: String
    package var sha256: Digest

    package init(name: String, sha256: Digest) {
        self.name = name
        self.sha256 = sha256
    }
}

/// Where a job's time went; whole microseconds on the wire.
package struct Timings: Hashable, Sendable {
    package var queue: Duration
    package var decode: Duration
    package var preprocess: Duration
    package var infer: Duration
    package var total: Duration

    package init(
        queue: Duration = .zero, decode: Duration = .zero, preprocess: Duration = .zero, infer: Duration = .zero, total: Duration = .zero
    ) {
        self.queue = queue
        self.decode = decode
        self.preprocess = preprocess
        self.infer = infer
        self.total = total
    }
}

extension Duration {
    /// Whole microseconds, rounded down; 0 for a negative duration, the largest number for one that doesn't fit.
    var wholeMicroseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000)
        return overflow ? .max : whole &+ UInt64(attoseconds / 1_000_000_000_000)
    }
}
