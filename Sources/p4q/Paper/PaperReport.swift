import CLIP
import Foundation
import Quantization

/// What the cells come to: rows with the mean and the spread over their seeds.
struct PaperReport: Encodable {
    /// A row of a table.
    struct Row: Encodable {
        /// As "4-4-8/p4q".
        let key: String
        /// By seed; one where nothing depends on it.
        let top1: [Double]
        let top5: [Double]
        let expected_calibration_error: Double
        let operations: Int
        let size_mib: Double
        /// Mean top-1 on the other test sets.
        let elsewhere: [Double]
        let seconds: Double?

        var mean: Double { top1.reduce(0, +) / Double(max(top1.count, 1)) }

        /// The sample's standard deviation; nil of less than two seeds.
        var spread: Double? {
            guard top1.count > 1 else { return nil }
            return (top1.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(top1.count - 1)).squareRoot()
        }
    }

    let model: String
    let class_set: String
    let tests: [String]
    let training_images: Int
    let epochs: Int
    /// Context vectors of the prompt.
    let context: Int
    let seeds: Int
    let bits: [String]
    /// Of one prompt as long as the text tower takes it.
    let operations_per_prompt: Int
    let rows: [Row]
    let classes: [String]
    private let cells: [PaperCell]
    private let isThePapers: Bool

    enum CodingKeys: String, CodingKey {
        case model, class_set, tests, training_images, epochs, context, seeds, bits, operations_per_prompt, rows, classes
    }

    init(
        model: String, classSet: ClassSet, tests: [String], images: Int, epochs: Int, context: Int, seeds: Int, bits: [String],
        promptOperations: Int,
        cells: [PaperCell]
    ) {
        self.model = model
        class_set = classSet.name
        classes = classSet.classes.map(\.name)
        self.tests = tests
        training_images = images
        self.epochs = epochs
        self.context = context
        self.seeds = seeds
        self.bits = bits
        operations_per_prompt = promptOperations
        self.cells = cells
        var order: [String] = []
        var groups: [String: [PaperCell]] = [:]
        for cell in cells {
            let key = cell.key.split(separator: "/").filter { !$0.hasPrefix("seed ") }.joined(separator: "/")
            if groups[key] == nil { order.append(key) }
            groups[key, default: []].append(cell)
        }
        rows = order.compactMap { key in groups[key].map { Row(key, $0) } }
        // ViT-B/32's image tower takes 8.82 GOP; the paper's table is on CIFAR-100.
        let isShape = cells.first.map { (8.8e9...8.85e9).contains(Double($0.operations)) } ?? false
        isThePapers = isShape && classes.count == 100 && classSet.name.lowercased().filter(\.isLetter).hasPrefix("cifar")
    }

    func row(_ key: String) -> Row? { rows.first { $0.key == key } }
    func cell(_ key: String) -> PaperCell? { cells.first { $0.key == key } }

    /// The share of what lies between the best observer and full precision with prompt and adapter that a row wins back; nil where nothing
    /// lies between them.
    func wonBack(_ row: Row, bits: String) -> Double? {
        let best = Observer.allCases.compactMap { self.row("\(bits)/\($0.rawValue)")?.mean }.max()
        guard let best, let top = self.row("float/both")?.mean, top > best else { return nil }
        return (row.mean - best) / (top - best)
    }

    /// The paper's figure for a row, where model and data are the paper's; per cent.
    func paper(_ key: String) -> Double? { isThePapers ? Self.published[key] : nil }

    /// CLIP ViT-B/32, CIFAR-100, top-1. Source: the paper's table 1.
    private static let published: [String: Double] = [
        "float/zero-shot": 65.34, "float/prompt": 76.51, "float/probe": 80.50,
        "8-8-8/minmax": 64.70, "8-8-8/ema": 54.45, "8-8-8/percentile": 59.51, "8-8-8/omse": 64.48, "8-8-8/probe": 79.03,
        "8-8-8/p4q": 79.42,
        "4-4-8/minmax": 45.57, "4-4-8/ema": 35.65, "4-4-8/percentile": 43.28, "4-4-8/omse": 46.05, "4-4-8/probe": 66.11,
        "4-4-8/p4q": 69.20,
        "3-3-8/minmax": 16.16, "3-3-8/ema": 8.79, "3-3-8/percentile": 28.23, "3-3-8/omse": 16.79, "3-3-8/probe": 30.53,
        "3-3-8/p4q": 47.83,
        "2-2-8/minmax": 4.83, "2-2-8/ema": 2.96, "2-2-8/percentile": 11.62, "2-2-8/omse": 5.89, "2-2-8/probe": 9.20, "2-2-8/p4q": 31.09,
    ]
}

extension PaperReport.Row {
    fileprivate init(_ key: String, _ cells: [PaperCell]) {
        func mean(_ value: (PaperCell) -> Double) -> Double { cells.map(value).reduce(0, +) / Double(max(cells.count, 1)) }
        self.key = key
        top1 = cells.map(\.top1)
        top5 = cells.map { $0.tests.first?.top5 ?? 0 }
        expected_calibration_error = mean { $0.tests.first?.expected_calibration_error ?? 0 }
        operations = cells.first?.operations ?? 0
        size_mib = cells.first?.size_mib ?? 0
        let others = (cells.map(\.tests.count).min() ?? 1) - 1
        elsewhere = (0..<max(others, 0)).map { index in mean { $0.tests[index + 1].top1 } }
        seconds = cells.compactMap(\.seconds).isEmpty ? nil : mean { $0.seconds ?? 0 }
    }
}
