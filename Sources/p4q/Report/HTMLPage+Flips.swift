import Datasets
import Imaging
import Training

extension HTMLPage {
    /// Pictures of fewer bytes are shown as they are, others as a model sees them, small.
    private static let pictureBytes = 12 << 10
    private static let pictureSide = 64

    /// Examples whose answers became wrong, then those whose answers became right, then other changes; the surest first.
    mutating func flips(_ answers: [DecidedAnswer], names: [String], limit: Int) {
        func name(_ index: Int) -> String { names.indices.contains(index) ? names[index] : "?" }
        let changed = answers.filter { $0.before != $0.after }
        func kind(_ answer: DecidedAnswer) -> Int { name(answer.before) == answer.label ? 0 : name(answer.after) == answer.label ? 1 : 2 }
        let order = changed.sorted { (kind($0), -$0.confidenceAfter, $0.id) < (kind($1), -$1.confidenceAfter, $1.id) }
        heading("Answers that changed")
        let counts = (0..<3).map { wanted in order.count { kind($0) == wanted } }
        paragraph("\(counts[0]) from right to wrong, \(counts[1]) from wrong to right, \(counts[2]) from one wrong answer to another.")
        // Harm first, and some of each.
        let bad = order.filter { kind($0) == 0 }.prefix(max(limit / 2, limit - counts[1] - counts[2]))
        let shown = Array(bad) + Array(order.filter { kind($0) > 0 }.prefix(limit - bad.count))
        guard !shown.isEmpty else { return }
        var maker = ThumbnailMaker(side: Self.pictureSide)
        cards(
            shown.map { answer in
                let mark = ["right → wrong", "wrong → right", "wrong → wrong"][kind(answer)]
                return Card(
                    picture: answer.image.flatMap { $0.count <= Self.pictureBytes ? $0 : maker.thumbnail($0) },
                    lines: [
                        "\(mark): \(answer.label)",
                        "\(name(answer.before)) \(TrainerPage.percent(answer.confidenceBefore)) → \(name(answer.after)) "
                            + TrainerPage.percent(answer.confidenceAfter), answer.id,
                    ])
            })
        if shown.count < order.count { paragraph("\(order.count - shown.count) more are not shown (--flips).") }
    }
}

/// Small PNG pictures of large ones.
private struct ThumbnailMaker {
    private let preprocessor: ImagePreprocessor?
    private let workspace = ImageWorkspace()

    init(side: Int) { preprocessor = try? ImagePreprocessor(PreprocessorConfiguration(side: side)) }

    /// The picture's middle, [side, side]; nil for what can't be decoded.
    mutating func thumbnail(_ bytes: [UInt8]) -> [UInt8]? {
        guard let preprocessor else { return nil }
        let image = try? bytes.withUnsafeBytes { try ImageDecoder().decode($0) }
        guard let image else { return nil }
        var crop = [UInt8](repeating: 0, count: preprocessor.sampleCount)
        crop.withUnsafeMutableBufferPointer { preprocessor.crop(image, into: $0, workspace: workspace) }
        return StoredPNG.encode(rgb: crop, width: preprocessor.side, height: preprocessor.side)
    }
}
