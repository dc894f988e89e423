import CLIP
import Foundation
import Quantization
import Tuning

/// A model's figures on a data set, as `evaluate --json` prints them. Shares are 0 to 1.
struct EvaluationReport: Encodable {
    struct ClassSetName: Encodable {
        let name: String
        let sha256: String
    }
    struct ClassFigures: Encodable {
        let label: String
        let images: Int
        let accuracy: Double?
        /// Answers and how often they were given: the row of the confusion matrix, without its zeros.
        let answers: [String: Int]
    }
    struct Bin: Encodable {
        let images: Int
        let accuracy: Double?
        let confidence: Double?
    }

    let model: String
    let sha256: String
    /// "float" or W-A-T.
    let bits: String
    let observer: String?
    let recipe: String?
    let class_set: ClassSetName
    let images: Int
    let failed: Int
    let failures: [String: Int]
    let top1: Double?
    let top5: Double?
    let expected_calibration_error: Double?
    /// Of equal width, from confidence 0 to 1.
    let calibration_bins: [Bin]
    let classes: [ClassFigures]
    /// Tower and scoring; decoding is left out.
    let images_per_second: Double?
    let batch: Int
    let threads: Int
    /// Of the weights: `model.safetensors`, or whatever files a float model has.
    let size_mib: Double
    /// Of the process, so of all models that are compared.
    let peak_rss_mib: Double

    init(
        _ model: EvaluatedModel, _ evaluation: Evaluation, classSet: ClassSet, failures: [String: Int], imagesPerSecond: Double?,
        batch: Int,
        threads: Int
    ) {
        self.model = model.path
        sha256 = model.model.sha256
        bits = model.description?.bits ?? "float"
        observer = model.description?.observer
        recipe = model.description?.recipe
        class_set = ClassSetName(name: classSet.name, sha256: classSet.sha256)
        images = evaluation.images
        failed = failures.values.reduce(0, +)
        self.failures = failures
        top1 = evaluation.top1
        top5 = evaluation.top5
        expected_calibration_error = evaluation.reliability.expectedCalibrationError
        calibration_bins = evaluation.reliability.bins.map { Bin(images: $0.images, accuracy: $0.accuracy, confidence: $0.confidence) }
        let confusion = evaluation.confusion
        classes = classSet.classes.enumerated().map { index, entry in
            let answers = confusion.answers(to: index).map { (classSet.classes[$0.answer].name, $0.images) }
            return ClassFigures(
                label: entry.name, images: confusion.images(of: index), accuracy: confusion.accuracy(of: index),
                answers: Dictionary(uniqueKeysWithValues: answers))
        }
        images_per_second = imagesPerSecond.map { rounded($0) }
        self.batch = batch
        self.threads = threads
        size_mib = model.sizeMiB
        peak_rss_mib = Self.peakResidentMiB()
    }

    private static func peakResidentMiB() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        // ru_maxrss is in KiB.
        return rounded(Double(usage.ru_maxrss) / 1024, 1)
    }
}

/// A model that is to be evaluated, with what the report says of it.
struct EvaluatedModel {
    let path: String
    let model: CLIPModel
    /// Nil for a float model.
    let description: QuantizationDescription?
    let sizeMiB: Double

    init(_ path: String, tokenizer: String? = nil, activation: Activation? = nil, tuning: String? = nil) throws {
        self.path = path
        let url = try ModelLocation.url(path)
        let loader = ModelLoader(
            tokenizer: tokenizer.map { URL(fileURLWithPath: $0) }, activation: activation,
            instructionSet: try ProcessorOptions.instructionSet())
        model = try loader.load(path, tuning: tuning)
        let folder = CLIPModel.folder(of: url)
        description = try QuantizationDescription.read(configuration: folder.appendingPathComponent("config.json"))
        let files =
            description == nil
            ? try Checkpoint.load(url, activation: activation).files : [folder.appendingPathComponent("model.safetensors")]
        sizeMiB = Self.sizeMiB(of: files)
    }

    /// What files take on disk.
    static func sizeMiB(of files: [URL]) -> Double {
        let bytes = files.reduce(0) { sum, file in
            sum + ((try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int) ?? 0)
        }
        return rounded(Double(bytes) / 1_048_576)
    }
}
