package import CLIP
package import Messages
package import Tensors
package import Tuning

/// A release that was checked against this worker's model, ready to score with.
package final class LiveRelease: Sendable {
    package let manifest: ReleaseManifest
    package let content: ReleaseContent
    /// What describes classes under it.
    let text: TextFeatures
    private let scale: Float

    /// Classes whose text features are computed again: 8, a hundredth of a second each.
    private static let sampledClasses = 8
    /// How far a float model's numbers may be off; a quantized one's are the same bits everywhere.
    private static let floatTolerance: Float = 1e-3

    /// Takes it unless the content is not the manifest's, is for another model, or does not give what its maker says that it gives.
    ///
    /// Throws `ReleaseError`.
    package init(_ manifest: ReleaseManifest, _ content: ReleaseContent, model: CLIPModel, pool: ThreadPool) throws(ReleaseError) {
        let name = manifest.displayName
        guard manifest.model.sha256.hex == model.sha256, manifest.bits == model.bits else {
            throw .wrongModel(
                name,
                reason: "it is for the model \(manifest.model.sha256.hex.prefix(12)) at \(manifest.bits) bits, this one is "
                    + "\(model.sha256.prefix(12)) at \(model.bits)")
        }
        guard content.classSet.name == manifest.classSet.name, content.classSet.sha256 == manifest.classSet.sha256.hex else {
            throw .wrongClassSet(name, reason: "its content is for the class set \(content.classSet.name)")
        }
        guard content.textFeatures.shape[1] == model.imageEncoder.featureWidth else {
            throw .invalid(name, reason: "its text features are \(content.textFeatures.shape[1]) wide")
        }
        self.manifest = manifest
        self.content = content
        scale = model.scale / content.temperature
        do throws(TuningError) {
            guard let text = try content.tuning.applied(to: model, name: name).text else { throw .noTextTower(model: model.name) }
            self.text = text
        } catch {
            switch error {
            case .wrongModel, .wrongBits: throw .wrongModel(name, reason: "\(error)")
            default: throw .invalid(name, reason: "\(error)")
            }
        }
        let isExact = model.bits != "32"
        try checkSample(isExact: isExact, pool: pool)
        try checkGoldens(model, isExact: isExact, pool: pool)
    }

    /// The same content under another manifest, which names it by the same hash.
    init(_ manifest: ReleaseManifest, sameAs other: LiveRelease) {
        self.manifest = manifest
        content = other.content
        text = other.text
        scale = other.scale
    }

    /// What scores `classSet` by this release; `features` are given where the set is not the release's own.
    func classifier(_ classSet: ClassSet, features: FloatTensor, shadow: LiveClassifier? = nil) -> LiveClassifier {
        LiveClassifier(
            ZeroShotClassifier(classSet: classSet, textFeatures: features, scale: scale, unknownThreshold: content.unknownThreshold),
            adapter: content.tuning.adapter,
            mark: ReleaseMark(version: manifest.version, isOtherClasses: classSet.sha256 != content.tuning.origin.classSetSHA256),
            shadow: shadow)
    }

    /// The text features of some classes again, spread over the set.
    private func checkSample(isExact: Bool, pool: ThreadPool) throws(ReleaseError) {
        let (set, name) = (content.classSet, manifest.displayName)
        let count = min(Self.sampledClasses, set.classes.count)
        let places = (0..<count).map { ($0 * set.classes.count + Int(manifest.version % UInt64(set.classes.count))) / count }
            .map { min($0, set.classes.count - 1) }
        let sample: FloatTensor
        do throws(CLIPError) {
            let part = try ClassSet(name: set.name, classes: Array(Set(places)).sorted().map { set.classes[$0] }, templates: set.templates)
            sample = try text.compute(for: part, pool: pool, truncating: true)
        } catch {
            throw .invalid(name, reason: "\(error)")
        }
        let width = sample.shape[1]
        for (index, place) in Array(Set(places)).sorted().enumerated() {
            let isEqual = sample.withUnsafeBufferPointer { sample in
                content.textFeatures.withUnsafeBufferPointer { features in
                    (0..<width).allSatisfy { column in
                        let (own, given) = (sample[index * width + column], features[place * width + column])
                        return isExact ? own.bitPattern == given.bitPattern : abs(own - given) < Self.floatTolerance
                    }
                }
            }
            if !isEqual { throw .goldens(name, reason: "this worker's text features of \"\(set.classes[place].name)\" are others") }
        }
    }

    private func checkGoldens(_ model: CLIPModel, isExact: Bool, pool: ThreadPool) throws(ReleaseError) {
        let own = GoldenPictures.scores(model, classifier(content.classSet, features: content.textFeatures), pool: pool)
        guard manifest.goldens.count == own.count else {
            throw .goldens(manifest.displayName, reason: "it has \(manifest.goldens.count) golden scores, \(own.count) are needed")
        }
        for (own, given) in zip(own, manifest.goldens) {
            let isEqual =
                isExact ? own == given : own.input == given.input && abs(own.probability - given.probability) < Self.floatTolerance
            guard isEqual else {
                throw .goldens(
                    manifest.displayName,
                    reason: "picture \(own.input) gives class \(own.best) with probability \(own.probability) here, not \(given.best) with "
                        + "\(given.probability)")
            }
        }
    }
}

extension ReleaseManifest {
    /// For messages.
    package var displayName: String { "release \(classSet.name) \(version)" }
}
