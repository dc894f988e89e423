extension JobResult {
    /// The columns of `csvRow()`.
    package static let csvHeader =
        "id,status,label,index,probability,cosine,unknown,error_code,error_message,model,class_set,format,width,height,sha256,total_us,worker,attempt,release,path,given_label"

    /// The result as one record of RFC 4180 without its line end: the best prediction, or the failure. Unknown fields are empty.
    ///
    /// `path` and `given_label` are the producer's, from the metadata: the id of a job that came through a dispatcher is a hash.
    package func csvRow() -> String {
        var fields = [id]
        switch outcome {
        case .scored(let predictions, let unknown):
            fields.append("ok")
            let best = predictions.first
            fields += [best?.label ?? "", best.map { "\($0.index)" } ?? ""]
            fields += [best.map { "\($0.probability)" } ?? "", best.map { "\($0.cosine)" } ?? ""]
            fields += ["\(unknown)", "", ""]
        case .failed(let failure):
            fields += ["error", "", "", "", "", "", failure.code, failure.message]
        case .learned(_, let effect):
            fields += [effect.rawValue, "", "", "", "", "", "", ""]
        }
        fields += [model?.name ?? "", classSet?.name ?? "", image?.header?.format.rawValue ?? ""]
        fields += [image?.header.map { "\($0.width)" } ?? "", image?.header.map { "\($0.height)" } ?? "", image?.sha256.hex ?? ""]
        fields += ["\(timings.total.wholeMicroseconds)", worker, "\(attempt)", release.map { "\($0.version)" } ?? ""]
        fields += [metadata["path"] ?? "", metadata["label"] ?? ""]
        return fields.map(Self.csvField).joined(separator: ",")
    }

    private static func csvField(_ field: String) -> String {
        let needsQuotes = field.unicodeScalars.contains { $0 == "," || $0 == "\"" || $0 == "\n" || $0 == "\r" }
        guard needsQuotes else { return field }
        return "\"" + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
