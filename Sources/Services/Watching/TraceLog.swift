internal import Logging
internal import Messages

extension Logger {
    /// A line for a job that came with a trace context: at info if its caller records the trace, at debug otherwise. Jobs without one are
    /// counted, not logged.
    func done(_ result: JobResult) {
        guard !result.traceparent.isEmpty, let trace = TraceContext(result.traceparent) else { return }
        let level = trace.isSampled ? Logger.Level.info : .debug
        guard level >= logLevel else { return }
        var facts: Logger.Metadata = [
            "trace.id": "\(trace.traceID)", "span.parent_id": "\(trace.parentID)", "job.id": "\(result.id)",
            "job.attempt": "\(result.attempt)",
            "job.microseconds":
                "\(result.timings.total.components.seconds * 1_000_000 + result.timings.total.components.attoseconds / 1_000_000_000_000)",
        ]
        switch result.outcome {
        case .scored(let predictions, _): facts["job.outcome"] = "scored \(predictions.first?.label ?? "")"
        case .learned(_, let effect): facts["job.outcome"] = "\(effect.rawValue)"
        case .failed(let failure): facts["job.outcome"] = "\(failure.code)"
        }
        log(level: level, "job done", metadata: facts)
    }
}
