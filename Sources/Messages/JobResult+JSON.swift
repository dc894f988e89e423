extension JobResult {
    /// The result as one line of JSON, without the line's end: the form that `--json`, sinks and files share.
    ///
    /// A scored result has every key, null where nothing is known. A failed one leaves out what is not known.
    package func jsonLine() -> String {
        var writer = JSONWriter()
        writer.object { json in
            json.member("id", string: id)
            if let place {
                json.member("seq", integer: place.sequence)
                if place.generation > 0 { json.member("generation", integer: place.generation) }
                json.member("service", string: place.service)
                json.member("producer", string: place.producer)
            }
            switch outcome {
            case .scored(let predictions, let unknown): Self.write(predictions, unknown: unknown, to: &json)
            case .failed(let failure): Self.write(failure, to: &json)
            case .learned(let example, let effect):
                json.member("status", string: "learned")
                json.member("example", string: example)
                json.member("effect", string: effect.rawValue)
            }
            writeOrigin(to: &json)
            json.member("timing_us") { $0.object(timings.write) }
            json.member("worker", string: worker)
            json.member("attempt", integer: attempt)
            json.member("metadata") { member in
                member.object { json in
                    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { json.member(key, string: value) }
                }
            }
            if !traceparent.isEmpty { json.member("traceparent", string: traceparent) }
        }
        return writer.text
    }

    private static func write(_ predictions: [Prediction], unknown: Bool, to json: inout JSONWriter) {
        json.member("status", string: "ok")
        json.member("predictions") { member in
            member.array { array in
                for prediction in predictions {
                    array.element { $0.object(prediction.write) }
                }
            }
        }
        json.member("unknown", bool: unknown)
    }

    private static func write(_ failure: Failure, to json: inout JSONWriter) {
        json.member("status", string: "error")
        json.member("error") { member in
            member.object { json in
                json.member("code", string: failure.code)
                json.member("stage", string: failure.stage.rawValue)
                json.member("message", string: failure.message)
                json.member("retryable", bool: failure.retryable)
            }
        }
    }

    private func writeOrigin(to json: inout JSONWriter) {
        let isScored = if case .scored = outcome { true } else { false }
        for (key, value) in [("model", model), ("class_set", classSet)] {
            if let value {
                json.member(key) { $0.object(value.write) }
            } else if isScored {
                json.member(key, null: ())
            }
        }
        if let release {
            json.member("release", integer: release.version)
            if release.isOtherClasses { json.member("release_other_classes", bool: true) }
        } else if isScored {
            json.member("release", null: ())
        }
        if let image {
            json.member("image") { $0.object(image.write) }
        } else if isScored {
            json.member("image", null: ())
        }
    }
}

extension Prediction {
    fileprivate func write(to json: inout JSONWriter) {
        json.member("label", string: label)
        json.member("index", integer: index)
        json.member("probability", float: probability)
        json.member("cosine", float: cosine)
    }
}

extension Provenance {
    fileprivate func write(to json: inout JSONWriter) {
        json.member("name", string: name)
        json.member("sha256", string: sha256.hex)
    }
}

extension ImageFacts {
    fileprivate func write(to json: inout JSONWriter) {
        json.member("sha256", string: sha256.hex)
        guard let header else { return }
        json.member("width", integer: header.width)
        json.member("height", integer: header.height)
        json.member("format", string: header.format.rawValue)
    }
}

extension Timings {
    fileprivate func write(to json: inout JSONWriter) {
        json.member("queue", integer: queue.wholeMicroseconds)
        json.member("decode", integer: decode.wholeMicroseconds)
        json.member("preprocess", integer: preprocess.wholeMicroseconds)
        json.member("infer", integer: infer.wholeMicroseconds)
        json.member("total", integer: total.wholeMicroseconds)
    }
}
