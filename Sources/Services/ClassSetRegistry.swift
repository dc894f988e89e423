package import CLIP
internal import Foundation
package import Messages
internal import Synchronization
package import Tensors

/// The class sets that are live in a worker, each with its text features.
///
/// Named sets are put in and replaced while the worker runs; sets that jobs bring inline are kept while they are in use.
package final class ClassSetRegistry: Sendable {
    /// Sets brought by jobs that are kept ready: enough for the few producers that share a worker, each with a set of its own.
    package static let inlineCapacity = 64

    private struct State {
        var named: [String: ZeroShotClassifier] = [:]
        var defaultName: String?
        var inline: [ClassSelection: ZeroShotClassifier] = [:]
        var inlineOrder: [ClassSelection] = []
    }

    private let model: CLIPModel
    private let pool: ThreadPool
    private let cache: TextFeatureCache?
    private let truncating: Bool
    private let state = Mutex(State())

    /// - Parameters:
    ///   - cache: where text features are kept between runs; nil keeps them in memory only.
    ///   - truncating: cut prompts that are too long instead of refusing the set.
    package init(model: CLIPModel, pool: ThreadPool, cache: TextFeatureCache?, truncating: Bool = false) {
        self.model = model
        self.pool = pool
        self.cache = cache
        self.truncating = truncating
    }

    /// Puts a set in place of the one of its name. The first one put is what jobs that name none are scored by.
    package func put(_ classSet: ClassSet) throws(CLIPError) {
        put(try makeClassifier(classSet))
    }

    /// Puts a set whose text features, [classes, width] of unit norm, are known already.
    package func put(_ classSet: ClassSet, textFeatures: FloatTensor) {
        put(ZeroShotClassifier(classSet: classSet, textFeatures: textFeatures, scale: model.scale))
    }

    private func put(_ classifier: ZeroShotClassifier) {
        state.withLock { state in
            state.named[classifier.classSet.name] = classifier
            if state.defaultName == nil { state.defaultName = classifier.classSet.name }
        }
    }

    /// The names of the sets in place, sorted.
    package var names: [String] { state.withLock { $0.named.keys.sorted() } }

    /// The set in place under `name`.
    package func classSet(named name: String) -> ClassSet? { state.withLock { $0.named[name]?.classSet } }

    /// The classifier that a job asks for.
    package func classifier(for selection: ClassSelection?) throws(Failure) -> ZeroShotClassifier {
        switch selection {
        case nil:
            guard let classifier = state.withLock({ state in state.defaultName.flatMap { state.named[$0] } }) else {
                throw Self.failure("class_set.missing", "the job names no class set and this worker has no default", retryable: false)
            }
            return classifier
        case .named(let name, let sha256)?: return try named(name, sha256?.description)
        case .inline(let labels, let templates)?: return try inline(.inline(labels: labels, templates: templates), labels, templates)
        }
    }

    private func named(_ name: String, _ sha256: String?) throws(Failure) -> ZeroShotClassifier {
        guard let classifier = state.withLock({ $0.named[name] }) else {
            throw Self.failure(
                "class_set.unknown", "this worker has no class set \"\(name)\"; it has: \(names.joined(separator: ", "))", retryable: true)
        }
        if let sha256, sha256 != classifier.classSet.sha256 {
            throw Self.failure(
                "class_set.version",
                "the job asks for \"\(name)\" \(sha256.prefix(12)), this worker has \(classifier.classSet.sha256.prefix(12))",
                retryable: true)
        }
        return classifier
    }

    private func inline(_ key: ClassSelection, _ labels: [String], _ templates: [String]) throws(Failure) -> ZeroShotClassifier {
        if let known = state.withLock({ $0.inline[key] }) { return known }
        let classifier: ZeroShotClassifier
        do {
            classifier = try makeClassifier(ClassSet(labels: labels, templates: templates))
        } catch {
            throw Self.failure(error.code, String(describing: error), retryable: false)
        }
        state.withLock { state in
            if state.inline.updateValue(classifier, forKey: key) == nil { state.inlineOrder.append(key) }
            if state.inlineOrder.count > Self.inlineCapacity { state.inline[state.inlineOrder.removeFirst()] = nil }
        }
        return classifier
    }

    private func makeClassifier(_ classSet: ClassSet) throws(CLIPError) -> ZeroShotClassifier {
        guard let text = model.text else {
            throw .classSet(name: classSet.name, reason: "the model \(model.name) has no text tower to describe its classes with")
        }
        let features: FloatTensor
        if let cached = cache?.features(for: classSet, text: text, truncating: truncating) {
            features = cached
        } else {
            features = try text.compute(for: classSet, pool: pool, truncating: truncating)
            cache?.store(features, for: classSet, text: text, truncating: truncating)
        }
        return ZeroShotClassifier(classSet: classSet, textFeatures: features, scale: model.scale)
    }

    private static func failure(_ code: String, _ message: String, retryable: Bool) -> Failure {
        Failure(code: code, stage: .classSet, message: message, retryable: retryable)
    }
}
