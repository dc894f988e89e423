internal import FoundationEssentials

extension P4q_V1_Job {
    init(_ job: Job) {
        id = job.id
        switch job.payload {
        case .attached:
            attached = P4q_V1_AttachedPayload()
        case .reference(let uri, let sha256):
            reference.uri = uri
            reference.sha256 = Data(sha256.bytes)
        }
        switch job.classes {
        case nil:
            break
        case .named(let name, let sha256):
            classSet.name = name
            if let sha256 { classSet.sha256 = Data(sha256.bytes) }
        case .inline(let labels, let templates):
            inlineClasses.labels = labels
            inlineClasses.templates = templates
        }
        // A number below 0 becomes one that the checks refuse.
        topK = job.topK.map { $0 == 0 ? .max : UInt32(exactly: $0) ?? .max } ?? 0
        switch job.deadline {
        case nil: break
        case .at(let unixMilliseconds): deadlineUnixMs = unixMilliseconds
        case .within(let duration): deadlineInMs = duration.wholeMicroseconds / 1000
        }
        metadata = job.metadata
        traceparent = job.traceparent
        if let label = job.label { self.label = label }
        if let training = job.training {
            trainingTask = P4q_V1_TrainingTask(training.task)
            if let example = training.exampleID { exampleID = example }
            if let labelled = training.labelled { labelledUnixMs = labelled }
        }
        attempt = UInt32(exactly: job.attempt) ?? .max
        leaseID = Data(job.lease)
        if let priority = job.priority { self.priority = UInt32(exactly: priority) ?? .max }
        if let notBefore = job.notBefore { notBeforeInMs = notBefore.wholeMicroseconds / 1000 }
    }
}

extension Job {
    /// Reads a job as `ReceivedJobBatch.jobBytes` has it.
    package init(stored bytes: [UInt8]) throws(MessageError) {
        let checks = FieldChecks(item: "the stored job")
        try self.init(try checks.message(bytes) as P4q_V1_Job, checks: checks)
    }

    /// Checks everything that a program behind this door may rely on.
    init(_ wire: P4q_V1_Job, checks: FieldChecks) throws(MessageError) {
        let id = try checks.required(wire.id, "id")
        let checks = FieldChecks("job", id: id)
        guard wire.topK <= MessageLimits.predictions else {
            throw checks.invalid("top_k", "\(wire.topK) is not between 1 and \(MessageLimits.predictions)")
        }
        guard wire.leaseID.isEmpty || wire.leaseID.count <= MessageLimits.leaseBytes else {
            throw checks.invalid("lease_id", "it has \(wire.leaseID.count) bytes, the limit is \(MessageLimits.leaseBytes)")
        }
        guard wire.attempt < UInt32(Int32.max) else { throw checks.invalid("attempt", "\(wire.attempt) is out of range") }
        self.init(
            id: id,
            payload: try Payload(wire.payload, checks: checks),
            classes: try wire.classes.map { (classes) throws(MessageError) in try ClassSelection(classes, checks: checks) },
            topK: wire.topK == 0 ? nil : Int(wire.topK),
            deadline: try Deadline(wire, checks: checks),
            metadata: try checks.metadata(wire.metadata),
            // Producers that can't set the field put it where they can put anything.
            traceparent: try checks.bounded(
                wire.traceparent.isEmpty ? wire.metadata["traceparent"] ?? "" : wire.traceparent, "traceparent",
                limit: MessageLimits.traceparentBytes),
            label: wire.hasLabel ? try checks.required(wire.label, "label", limit: MessageLimits.labelBytes) : nil,
            training: try TrainingRequest(wire, checks: checks),
            attempt: max(1, Int(wire.attempt)),
            lease: Array(wire.leaseID),
            priority: try Self.priority(wire, checks),
            notBefore: wire.hasNotBeforeInMs ? try checks.duration(milliseconds: wire.notBeforeInMs, "not_before_in_ms") : nil)
    }

    private static func priority(_ wire: P4q_V1_Job, _ checks: FieldChecks) throws(MessageError) -> Int? {
        guard wire.hasPriority else { return nil }
        guard wire.priority <= 9 else { throw checks.invalid("priority", "\(wire.priority) is not between 0 and 9") }
        return Int(wire.priority)
    }
}

extension P4q_V1_TrainingTask {
    fileprivate init(_ task: TrainingRequest.Task) {
        switch task {
        case .learn: self = .learn
        case .forget: self = .forget
        case .retrain: self = .retrain
        }
    }
}

extension TrainingRequest {
    /// Nil where the job says nothing of training.
    fileprivate init?(_ wire: P4q_V1_Job, checks: FieldChecks) throws(MessageError) {
        guard wire.hasTrainingTask || wire.hasExampleID || wire.hasLabelledUnixMs else { return nil }
        let task: Task
        switch wire.hasTrainingTask ? wire.trainingTask : .learn {
        case .unspecified: throw .missingField("training_task", item: checks.item)
        case .learn: task = .learn
        case .forget: task = .forget
        case .retrain: task = .retrain
        case .UNRECOGNIZED(let value): throw checks.invalid("training_task", "\(value) is not a task that is known here")
        }
        self.init(
            task, exampleID: wire.hasExampleID ? try checks.required(wire.exampleID, "example_id") : nil,
            labelled: wire.hasLabelledUnixMs ? wire.labelledUnixMs : nil)
    }
}

extension Job.Payload {
    fileprivate init(_ wire: P4q_V1_Job.OneOf_Payload?, checks: FieldChecks) throws(MessageError) {
        switch wire {
        case nil, .attached:
            self = .attached
        case .reference(let reference):
            self = .reference(
                uri: try checks.required(reference.uri, "reference.uri", limit: MessageLimits.uriBytes),
                sha256: try checks.digest(reference.sha256, "reference.sha256"))
        }
    }
}

extension ClassSelection {
    fileprivate init(_ wire: P4q_V1_Job.OneOf_Classes, checks: FieldChecks) throws(MessageError) {
        switch wire {
        case .classSet(let set):
            self = .named(
                try checks.required(set.name, "class_set.name"),
                sha256: set.hasSha256 ? try checks.digest(set.sha256, "class_set.sha256") : nil)
        case .inlineClasses(let classes):
            try Self.check(classes, checks)
            self = .inline(labels: classes.labels, templates: classes.templates)
        }
    }

    private static func check(_ classes: P4q_V1_InlineClasses, _ checks: FieldChecks) throws(MessageError) {
        let field = "inline_classes.labels"
        guard !classes.labels.isEmpty else { throw .missingField(field, item: checks.item) }
        try checks.count(classes.labels.count, field, limit: MessageLimits.inlineLabels)
        for label in classes.labels {
            _ = try checks.required(label, field, limit: MessageLimits.labelBytes)
        }
        guard Set(classes.labels).count == classes.labels.count else { throw checks.invalid(field, "the labels are not all different") }

        let templates = "inline_classes.templates"
        try checks.count(classes.templates.count, templates, limit: MessageLimits.inlineTemplates)
        for template in classes.templates {
            _ = try checks.required(template, templates, limit: MessageLimits.labelBytes)
            guard template.contains("{}") else { throw checks.invalid(templates, "\"\(template)\" has no {} for the label") }
        }
    }
}

extension Deadline {
    fileprivate init?(_ wire: P4q_V1_Job, checks: FieldChecks) throws(MessageError) {
        if wire.hasDeadlineInMs {
            self = .within(try checks.duration(milliseconds: wire.deadlineInMs, "deadline_in_ms"))
        } else if wire.hasDeadlineUnixMs {
            self = .at(unixMilliseconds: wire.deadlineUnixMs)
        } else {
            return nil
        }
    }
}
