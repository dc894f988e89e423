import Messages
import TextTable

/// Results for people: an image a line, its best classes with their probabilities.
enum ResultTable {
    private struct Row {
        let image: String
        let label: String
        let probability: String
        let others: String
    }

    private static func makeTable() -> TextTable<Row> {
        TextTable<Row> { row in
            [
                Column(title: "image", value: row.image), Column(title: "label", value: row.label),
                Column(title: "probability", value: row.probability, align: .right), Column(title: "then", value: row.others),
            ]
        }
    }

    static func print(_ results: [JobResult]) throws {
        guard !results.isEmpty, let text = makeTable().string(for: results.map(row), style: Style.plain) else { return }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) { try StandardOutput.line(String(line)) }
    }

    /// A producer's path says more than the id that was made of it.
    private static func row(_ result: JobResult) -> Row {
        let image = result.metadata["path"] ?? result.id
        switch result.outcome {
        case .scored(let predictions, let unknown):
            let first = predictions.first
            let others = predictions.dropFirst().map { "\($0.label) \(percent($0.probability))" }.joined(separator: ", ")
            let label = first.map { unknown ? "unknown (\($0.label)?)" : $0.label } ?? "unknown"
            return Row(image: image, label: label, probability: first.map { percent($0.probability) } ?? "", others: others)
        case .failed(let failure):
            return Row(image: image, label: failure.code, probability: "", others: message(failure, result))
        case .learned(let example, let effect):
            return Row(image: image, label: effect.rawValue, probability: "", others: example)
        }
    }

    /// Without the id in front, which has its own column.
    private static func message(_ failure: Failure, _ result: JobResult) -> String {
        let prefix = "\(result.id): "
        return failure.message.hasPrefix(prefix) ? String(failure.message.dropFirst(prefix.count)) : failure.message
    }

    private static func percent(_ probability: Float) -> String {
        let tenths = Int((Double(probability) * 1000).rounded(.toNearestOrEven))
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
