import Foundation
import Tuning

/// One measured entry of the comparison: a model of some kind on every test set.
struct PaperCell: Codable {
    /// Figures on one test set. Shares are 0 to 1.
    struct Figures: Codable {
        struct Bin: Codable {
            let images: Int
            let accuracy: Double?
            let confidence: Double?
        }
        let images: Int
        let top1: Double
        let top5: Double
        let expected_calibration_error: Double
        let bins: [Bin]
        /// [label][answer], of the first test set only, and only of up to `PaperCell.mostClasses` classes.
        let confusion: [[Int]]?

        init(_ evaluation: Evaluation, isFirst: Bool) {
            images = evaluation.images
            top1 = evaluation.top1 ?? 0
            top5 = evaluation.top5 ?? 0
            expected_calibration_error = evaluation.reliability.expectedCalibrationError ?? 0
            bins = evaluation.reliability.bins.map { Bin(images: $0.images, accuracy: $0.accuracy, confidence: $0.confidence) }
            let classes = evaluation.confusion.classes
            confusion =
                isFirst && classes <= PaperCell.mostClasses
                ? (0..<classes).map { label in (0..<classes).map { evaluation.confusion[label, $0] } } : nil
        }
    }

    /// What the figures of the paper show of features.
    struct Pictures: Codable {
        /// Cosines of a class's mean image feature with each text feature, [class][text]; of up to `PaperCell.mostClasses` classes.
        let similarities: [[Float]]?
        /// Of the elements of unit-norm features.
        let images: Histogram
        let texts: Histogram
    }

    /// The most classes that matrices are kept for.
    static let mostClasses = 128

    /// As "4-4-8/p4q/seed 0".
    let key: String
    /// By test set, in the order of the command line.
    let tests: [Figures]
    /// Of the weights, with what was learned.
    let size_mib: Double
    /// Of one image, image tower and adapter.
    let operations: Int
    /// What learning took; nil where nothing was learned.
    let seconds: Double?
    /// Nil where it was not asked for.
    let pictures: Pictures?

    var top1: Double { tests.first?.top1 ?? 0 }
}

/// The cells that are done, each a file, so that an interrupted comparison goes on.
struct PaperStore {
    /// What the cells belong to; a folder of other inputs is refused.
    struct Identity: Codable, Equatable {
        let model: String
        let model_sha256: String
        let class_set_sha256: String
        let train: [String]
        let train_sha256: String
        let tests: [String]
        let tests_sha256: [String]
        let epochs: Int
        let context: Int
    }

    struct OtherInputs: Error, CustomStringConvertible {
        let folder: String
        var description: String {
            "\(folder) holds the report of another model, other data, other epochs or another prompt length; choose another --out, or remove it"
        }
    }

    let folder: URL
    private var cells: URL { folder.appendingPathComponent("cells") }

    /// Opens the folder, or makes it.
    init(_ folder: URL, _ identity: Identity) throws {
        self.folder = folder
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("cells"), withIntermediateDirectories: true)
        let file = folder.appendingPathComponent("inputs.json")
        if let data = try? Data(contentsOf: file) {
            guard try JSONDecoder().decode(Identity.self, from: data) == identity else { throw OtherInputs(folder: folder.path) }
        } else {
            try Self.encoder.encode(identity).write(to: file, options: .atomic)
        }
    }

    static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return encoder
    }

    /// The cell of a key: what lies there, or what `make` gives, which is kept. A file that can't be read is made again.
    func cell(_ key: String, _ make: () throws -> PaperCell) throws -> PaperCell {
        let file = cells.appendingPathComponent(Self.fileName(key) + ".json")
        if let data = try? Data(contentsOf: file), let cell = try? JSONDecoder().decode(PaperCell.self, from: data), cell.key == key {
            return cell
        }
        let cell = try make()
        try Self.encoder.encode(cell).write(to: file, options: .atomic)
        return cell
    }

    /// A key as a file's name.
    static func fileName(_ key: String) -> String {
        String(key.map { $0.isLetter || $0.isNumber || "-.+".contains($0) ? $0 : "_" })
    }
}
