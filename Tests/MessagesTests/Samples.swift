import Messages

/// Values that use every field.
enum Samples {
    static func none() -> Digest { preconditionFailure("32 bytes are a digest") }

    static func digest(_ byte: UInt8) -> Digest { Digest(bytes: [UInt8](repeating: byte, count: 32)) ?? Samples.none() }

    static let jobs = [
        Job(id: "plain"),
        Job(
            id: "named", payload: .reference(uri: "file:///images/a.jpg", sha256: digest(7)),
            classes: .named("animals", sha256: digest(9)), topK: 5, deadline: .at(unixMilliseconds: 1_700_000_000_123),
            metadata: ["path": "a/ä.jpg", "": "empty key"], traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            label: "cat", attempt: 3),
        Job(
            id: "inline", classes: .inline(labels: ["cat", "dog"], templates: ["a photo of a {}."]), topK: 1000,
            deadline: .within(.milliseconds(1500))),
        Job(id: String(repeating: "x", count: 128), classes: .named("any", sha256: nil)),
    ]

    static let results = [
        JobResult(
            id: "images/1.jpg",
            outcome: .scored(
                [
                    Prediction(label: "tabby \"cat\"", index: 1, probability: 0.1 + 0.2, cosine: -0.25),
                    Prediction(label: "dog", index: 0, probability: 1e-20, cosine: 1),
                ], unknown: true),
            image: ImageFacts(sha256: digest(1), header: .init(width: 640, height: 480, format: .jpeg)),
            model: Provenance(name: "clip", sha256: digest(2)), classSet: Provenance(name: "animals", sha256: digest(3)),
            release: ReleaseMark(version: 7, isOtherClasses: true),
            timings: Timings(
                queue: .microseconds(1), decode: .microseconds(20), preprocess: .microseconds(300), infer: .milliseconds(4),
                total: .seconds(5)),
            worker: "w1", attempt: 2, metadata: ["b": "2", "a": "line\nbreak"], traceparent: "00-aa-bb-01"),
        JobResult(
            id: "bad.png", outcome: .failed(Failure(code: "decode.truncated", stage: .decode, message: "it ends early", retryable: false)),
            image: ImageFacts(sha256: digest(4), header: nil), worker: "w2"),
        JobResult(
            id: "late", outcome: .failed(Failure(code: "queue.expired", stage: .queue, message: "", retryable: true)), worker: "w1"),
    ]
}
