import CLIP
import Foundation
import Quantization
import Tensors
import Tuning

/// One model of the comparison, with the data sets as its image tower sees them.
struct PaperModel {
    let model: CLIPModel
    let sizeMiB: Double
    let operations: Int
    let tests: [PaperTest]
    let data: [LabelledFeatures]
    let pool: ThreadPool

    /// The cell of this model as it is.
    func cell(_ key: String, pictures: Bool = false) throws -> PaperCell {
        try cell(key, text: model.text, adapter: nil, extraBytes: 0, seconds: nil, pictures: pictures)
    }

    /// The cell of this model with what was learned for it.
    func cell(_ key: String, tuning: TuningFile, bytes: Int, seconds: Double, pictures: Bool = false) throws -> PaperCell {
        let tuned = try tuning.applied(to: model, name: key)
        return try cell(key, text: tuned.text, adapter: tuning.adapter, extraBytes: bytes, seconds: seconds, pictures: pictures)
    }

    /// The cell of a linear probe on this model's image features. Only the first test set has its classes.
    func cell(_ key: String, probe: LinearProbe, weightBits: Int, seconds: Double) throws -> PaperCell {
        let figures = data.prefix(1).map { PaperCell.Figures($0.evaluate(probe), isFirst: true) }
        // A probe takes the text tower's place, but a worker that serves other class sets keeps that: it is counted as the paper counts it.
        let bytes = probe.weight.count * weightBits / 8 + 4 * (probe.bias.count + 2 * probe.mean.count)
        return PaperCell(
            key: key, tests: Array(figures), size_mib: rounded(sizeMiB + Double(bytes) / 1_048_576),
            operations: operations + 2 * probe.weight.count, seconds: seconds, pictures: nil)
    }

    private func cell(
        _ key: String, text: TextFeatures?, adapter: QuantizedAdapter?, extraBytes: Int, seconds: Double?, pictures: Bool
    ) throws -> PaperCell {
        guard let text else { throw TuningError.noTextTower(model: model.name) }
        var figures: [PaperCell.Figures] = []
        var shown: PaperCell.Pictures?
        for (index, (test, features)) in zip(tests, data).enumerated() {
            let classifier = ZeroShotClassifier(
                classSet: test.classSet, textFeatures: try text.compute(for: test.classSet, pool: pool), scale: model.scale)
            let adapted = features.adapted(by: adapter)
            figures.append(PaperCell.Figures(adapted.evaluate(classifier), isFirst: index == 0))
            if pictures && index == 0 { shown = PaperCell.Pictures(adapted, classifier) }
        }
        return PaperCell(
            key: key, tests: figures, size_mib: rounded(sizeMiB + Double(extraBytes) / 1_048_576),
            operations: operations + (adapter.map { 4 * $0.width * $0.inner } ?? 0), seconds: seconds, pictures: shown)
    }
}

/// A test set: where its images are, and into what they are classified.
struct PaperTest {
    let data: String
    let classSet: ClassSet
}

extension PaperCell.Pictures {
    /// Elements of unit-norm features lie in here but for a few.
    private static let range: Float = 0.4

    init(_ features: LabelledFeatures, _ classifier: ZeroShotClassifier) {
        similarities = classifier.classSet.classes.count <= PaperCell.mostClasses ? features.similarities(classifier) : nil
        let width = features.width
        let norms = features.labels.indices.map { row in
            features.features[row * width..<(row + 1) * width].reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
        }
        let units = features.features.indices.lazy.map { features.features[$0] / max(norms[$0 / width], .leastNormalMagnitude) }
        images = Histogram(units, low: -Self.range, high: Self.range, bins: 80)
        texts = Histogram(
            classifier.textFeatures.withUnsafeBufferPointer(Array.init), low: -Self.range, high: Self.range, bins: 80)
    }
}
