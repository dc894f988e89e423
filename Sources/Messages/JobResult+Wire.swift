internal import FoundationEssentials

extension P4q_V1_Result {
    init(_ result: JobResult, batchWorker: String) {
        id = result.id
        switch result.outcome {
        case .scored(let predictions, let unknown):
            scored.unknown = unknown
            scored.predictions = predictions.map(P4q_V1_Prediction.init)
        case .failed(let failure):
            error = P4q_V1_Failure(failure)
        case .learned(let example, let effect):
            learned.exampleID = example
            learned.effect = P4q_V1_LearningEffect(effect)
        }
        if let image = result.image { self.image = P4q_V1_ImageFacts(image) }
        if let model = result.model {
            self.model.name = model.name
            self.model.sha256 = Data(model.sha256.bytes)
        }
        if let classSet = result.classSet {
            self.classSet.name = classSet.name
            self.classSet.sha256 = Data(classSet.sha256.bytes)
        }
        if let release = result.release {
            self.release.version = release.version
            self.release.otherClasses = release.isOtherClasses
        }
        timings.queueUs = result.timings.queue.wholeMicroseconds
        timings.decodeUs = result.timings.decode.wholeMicroseconds
        timings.preprocessUs = result.timings.preprocess.wholeMicroseconds
        timings.inferUs = result.timings.infer.wholeMicroseconds
        timings.totalUs = result.timings.total.wholeMicroseconds
        if result.worker != batchWorker { worker = result.worker }
        attempt = UInt32(exactly: result.attempt) ?? .max
        metadata = result.metadata
        traceparent = result.traceparent
        if let place = result.place {
            sequence = place.sequence
            previous = place.previous
            service = place.service
            producer = place.producer
        }
    }
}

extension P4q_V1_Failure {
    init(_ failure: Failure) {
        code = failure.code
        stage = P4q_V1_Stage(failure.stage)
        message = failure.message.prefix(utf8Bytes: MessageLimits.failureTextBytes)
        retryable = failure.retryable
    }
}

extension P4q_V1_Prediction {
    fileprivate init(_ prediction: Prediction) {
        label = prediction.label
        index = UInt32(exactly: prediction.index) ?? .max
        probability = prediction.probability
        cosine = prediction.cosine
    }
}

extension P4q_V1_ImageFacts {
    fileprivate init(_ facts: ImageFacts) {
        sha256 = Data(facts.sha256.bytes)
        guard let header = facts.header else { return }
        self.header.width = UInt32(exactly: header.width) ?? .max
        self.header.height = UInt32(exactly: header.height) ?? .max
        switch header.format {
        case .png: self.header.format = .png
        case .jpeg: self.header.format = .jpeg
        }
    }
}

extension P4q_V1_Stage {
    fileprivate init(_ stage: Stage) {
        switch stage {
        case .message: self = .message
        case .queue: self = .queue
        case .fetch: self = .fetch
        case .decode: self = .decode
        case .preprocess: self = .preprocess
        case .classSet: self = .classSet
        case .infer: self = .infer
        }
    }
}

extension JobResult {
    /// Checks everything that a program behind this door may rely on.
    init(_ wire: P4q_V1_Result, batchWorker: String, checks: FieldChecks) throws(MessageError) {
        let id = try checks.required(wire.id, "id")
        let checks = FieldChecks("result", id: id)
        guard wire.attempt < UInt32(Int32.max) else { throw checks.invalid("attempt", "\(wire.attempt) is out of range") }
        self.init(
            id: id,
            outcome: try Outcome(wire.outcome, checks: checks),
            image: wire.hasImage ? try ImageFacts(wire.image, checks: checks) : nil,
            model: wire.hasModel ? try Provenance(wire.model.name, wire.model.sha256, "model", checks) : nil,
            classSet: wire.hasClassSet ? try Provenance(wire.classSet.name, wire.classSet.sha256, "class_set", checks) : nil,
            release: wire.hasRelease ? ReleaseMark(version: wire.release.version, isOtherClasses: wire.release.otherClasses) : nil,
            timings: try Timings(wire.timings, checks: checks),
            worker: wire.worker.isEmpty ? batchWorker : try checks.bounded(wire.worker, "worker"),
            attempt: max(1, Int(wire.attempt)),
            metadata: try checks.metadata(wire.metadata),
            traceparent: try checks.bounded(wire.traceparent, "traceparent", limit: MessageLimits.traceparentBytes),
            place: wire.sequence == 0
                ? nil
                : OutcomePlace(
                    sequence: wire.sequence, previous: wire.previous,
                    service: try checks.bounded(wire.service, "service", limit: MessageLimits.labelBytes),
                    producer: try checks.bounded(wire.producer, "producer", limit: MessageLimits.labelBytes)))
    }
}

extension Outcome {
    fileprivate init(_ wire: P4q_V1_Result.OneOf_Outcome?, checks: FieldChecks) throws(MessageError) {
        switch wire {
        case nil:
            throw .missingField("outcome", item: checks.item)
        case .scored(let scored):
            try checks.count(scored.predictions.count, "predictions", limit: MessageLimits.predictions)
            var predictions: [Prediction] = []
            predictions.reserveCapacity(scored.predictions.count)
            for prediction in scored.predictions {
                predictions.append(try Prediction(prediction, checks: checks))
            }
            self = .scored(predictions, unknown: scored.unknown)
        case .error(let failure):
            self = .failed(try Failure(failure, checks: checks))
        case .learned(let learned):
            self = .learned(
                example: try checks.bounded(learned.exampleID, "learned.example_id"), try LearningEffect(learned.effect, checks: checks))
        }
    }
}

extension P4q_V1_LearningEffect {
    fileprivate init(_ effect: LearningEffect) {
        switch effect {
        case .kept: self = .kept
        case .corrected: self = .corrected
        case .unchanged: self = .unchanged
        case .notDrawn: self = .notDrawn
        case .forgotten: self = .forgotten
        case .retraining: self = .retraining
        }
    }
}

extension LearningEffect {
    fileprivate init(_ wire: P4q_V1_LearningEffect, checks: FieldChecks) throws(MessageError) {
        switch wire {
        case .unspecified: throw .missingField("learned.effect", item: checks.item)
        case .kept: self = .kept
        case .corrected: self = .corrected
        case .unchanged: self = .unchanged
        case .notDrawn: self = .notDrawn
        case .forgotten: self = .forgotten
        case .retraining: self = .retraining
        case .UNRECOGNIZED(let value): throw checks.invalid("learned.effect", "\(value) is not an effect that is known here")
        }
    }
}

extension Failure {
    init(_ wire: P4q_V1_Failure, checks: FieldChecks) throws(MessageError) {
        self.init(
            code: try checks.required(wire.code, "error.code"),
            stage: try Stage(wire.stage, checks: checks),
            message: try checks.bounded(wire.message, "error.message", limit: MessageLimits.failureTextBytes),
            retryable: wire.retryable)
    }
}

extension Prediction {
    fileprivate init(_ wire: P4q_V1_Prediction, checks: FieldChecks) throws(MessageError) {
        guard wire.index < UInt32(Int32.max) else { throw checks.invalid("prediction.index", "\(wire.index) is out of range") }
        self.init(
            label: try checks.bounded(wire.label, "prediction.label", limit: MessageLimits.labelBytes),
            index: Int(wire.index),
            probability: try checks.finite(wire.probability, "prediction.probability"),
            cosine: try checks.finite(wire.cosine, "prediction.cosine"))
    }
}

extension Stage {
    fileprivate init(_ wire: P4q_V1_Stage, checks: FieldChecks) throws(MessageError) {
        switch wire {
        case .unspecified: throw .missingField("error.stage", item: checks.item)
        case .message: self = .message
        case .queue: self = .queue
        case .fetch: self = .fetch
        case .decode: self = .decode
        case .preprocess: self = .preprocess
        case .classSet: self = .classSet
        case .infer: self = .infer
        case .UNRECOGNIZED(let value): throw checks.invalid("error.stage", "\(value) is not a stage that is known here")
        }
    }
}

extension ImageFacts {
    fileprivate init(_ wire: P4q_V1_ImageFacts, checks: FieldChecks) throws(MessageError) {
        let sha256 = try checks.digest(wire.sha256, "image.sha256")
        self.init(sha256: sha256, header: wire.hasHeader ? try Header(wire.header, checks: checks) : nil)
    }
}

extension ImageFacts.Header {
    fileprivate init(_ wire: P4q_V1_ImageHeader, checks: FieldChecks) throws(MessageError) {
        let range: ClosedRange<UInt32> = 1...UInt32(Int32.max)
        guard range.contains(wire.width), range.contains(wire.height) else {
            throw checks.invalid("image.header", "\(wire.width)x\(wire.height) is not the size of an image")
        }
        let format: ImageFormat
        switch wire.format {
        case .unspecified: throw .missingField("image.header.format", item: checks.item)
        case .png: format = .png
        case .jpeg: format = .jpeg
        case .UNRECOGNIZED(let value): throw checks.invalid("image.header.format", "\(value) is not a format that is known here")
        }
        self.init(width: Int(wire.width), height: Int(wire.height), format: format)
    }
}

extension Provenance {
    init(_ name: String, _ sha256: Data, _ field: String, _ checks: FieldChecks) throws(MessageError) {
        self.init(
            name: try checks.bounded(name, "\(field).name", limit: MessageLimits.labelBytes),
            sha256: try checks.digest(sha256, "\(field).sha256"))
    }
}

extension Timings {
    fileprivate init(_ wire: P4q_V1_Timings, checks: FieldChecks) throws(MessageError) {
        self.init(
            queue: try checks.duration(microseconds: wire.queueUs, "timings.queue_us"),
            decode: try checks.duration(microseconds: wire.decodeUs, "timings.decode_us"),
            preprocess: try checks.duration(microseconds: wire.preprocessUs, "timings.preprocess_us"),
            infer: try checks.duration(microseconds: wire.inferUs, "timings.infer_us"),
            total: try checks.duration(microseconds: wire.totalUs, "timings.total_us"))
    }
}
