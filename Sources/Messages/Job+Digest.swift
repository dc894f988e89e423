extension Job {
    /// What makes this job the same job when it is sent again, apart from its payload's bytes: the class set, the options, the label, and
    /// the reference if its image lies elsewhere. Metadata, trace context, deadlines and priority are not part of the work.
    /// Each part has its length before it, in 8 bytes, little-endian.
    package var digestParts: [UInt8] {
        var parts: [UInt8] = []
        parts.reserveCapacity(64)
        func put(bytes: some Collection<UInt8>) {
            withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { parts.append(contentsOf: $0) }
            parts.append(contentsOf: bytes)
        }
        func put(_ text: String) { put(bytes: text.utf8) }
        switch payload {
        case .attached: put("attached")
        case .reference(_, let sha256):
            put("reference")
            put(bytes: sha256.bytes)
        }
        switch classes {
        case nil: put("default")
        case .named(let name, let sha256)?:
            put("named")
            put(name)
            put(bytes: sha256?.bytes ?? [])
        case .inline(let labels, let templates)?:
            put("inline \(labels.count) \(templates.count)")
            for text in labels + templates { put(text) }
        }
        put(topK.map { "\($0)" } ?? "")
        put(label.map { "=\($0)" } ?? "")
        // When the label was given is no part: a job that is sent again is the same job.
        if let training {
            switch training.task {
            case .learn: put("learn")
            case .forget: put("forget")
            case .retrain: put("retrain")
            }
            put(training.exampleID ?? "")
        }
        return parts
    }
}
