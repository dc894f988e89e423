package import CLIP
internal import Foundation
internal import Messages
internal import Synchronization
package import Tensors
internal import Tuning

/// The class sets that are live in a worker, each with its text features and, where there is one, its release.
///
/// Named sets and releases are put in and replaced while the worker runs; sets that jobs bring inline are kept while they are in use. A set
/// that the worker was given itself goes before the dispatcher's of the same name, and that before a release's own.
package final class ClassSetRegistry: Sendable {
    /// Sets brought by jobs that are kept ready: enough for the few producers that share a worker, each with a set of its own.
    package static let inlineCapacity = 64

    private struct State {
        var named: [String: LiveClassifier] = [:]
        var defaultName: String?
        var inline: [ClassSelection: LiveClassifier] = [:]
        var inlineOrder: [ClassSelection] = []
        var wanted: Set<String> = []
        var shadowed: [String: ShadowCount] = [:]
        var tally = ScoringTally()
    }

    /// What the classifiers are made of.
    private struct Sources {
        var own: [String: ClassSet] = [:]
        /// Text features that somebody knew already.
        var known: [String: FloatTensor] = [:]
        var shared: [String: ClassSet] = [:]
        var live: [String: LiveRelease] = [:]
        var previous: [String: LiveRelease] = [:]
        var shadow: [String: LiveRelease] = [:]
    }

    private let model: CLIPModel
    private let pool: ThreadPool
    private let cache: TextFeatureCache?
    private let truncating: Bool
    private let state = Mutex(State())
    /// Held while a classifier is made; scoring never waits for it.
    private let sources = Mutex(Sources())

    /// - Parameters:
    ///   - cache: where text features are kept between runs; nil keeps them in memory only.
    ///   - truncating: cut prompts that are too long instead of refusing the set.
    package init(model: CLIPModel, pool: ThreadPool, cache: TextFeatureCache?, truncating: Bool = false) {
        self.model = model
        self.pool = pool
        self.cache = cache
        self.truncating = truncating
    }

    // MARK: Changes

    /// Puts a set in place of the one of its name. The first one put is what jobs that name none are scored by.
    package func put(_ classSet: ClassSet) throws(CLIPError) {
        try change(classSet.name) { sources in
            sources.own[classSet.name] = classSet
            sources.known[classSet.name] = nil
        }
    }

    /// Puts a set whose text features, [classes, width] of unit norm, are known already.
    package func put(_ classSet: ClassSet, textFeatures: FloatTensor) throws(CLIPError) {
        try change(classSet.name) { sources in
            sources.own[classSet.name] = classSet
            sources.known[classSet.name] = textFeatures
        }
    }

    /// Puts a dispatcher's set.
    package func share(_ classSet: ClassSet) throws(CLIPError) {
        try change(classSet.name) { $0.shared[classSet.name] = classSet }
    }

    /// Puts a release in place of its class set's one, which is kept for a while; a shadow ends with the live release it was tried beside.
    package func install(_ release: LiveRelease) throws(CLIPError) {
        let name = release.content.classSet.name
        try change(name) { sources in
            switch release.manifest.mode {
            case .live:
                sources.previous[name] = sources.live[name]
                sources.live[name] = release
                sources.shadow[name] = nil
            case .shadow: sources.shadow[name] = release
            }
        }
        if release.manifest.mode == .shadow { state.withLock { $0.shadowed[name] = ShadowCount(version: release.manifest.version) } }
    }

    /// Ends the shadow of a class set.
    package func dropShadow(_ name: String) throws(CLIPError) {
        guard sources.withLock({ $0.shadow[name] }) != nil else { return }
        try change(name) { $0.shadow[name] = nil }
    }

    /// Makes the classifier of `name` anew; nothing has changed if that fails.
    private func change(_ name: String, _ body: (inout Sources) -> Void) throws(CLIPError) {
        try sources.withLock { (sources) throws(CLIPError) in
            var new = sources
            body(&new)
            let classifier = try makeClassifier(name, new)
            sources = new
            state.withLock { state in
                state.named[name] = classifier
                if state.defaultName == nil { state.defaultName = name }
                state.wanted.remove(name)
            }
        }
    }

    private func makeClassifier(_ name: String, _ sources: Sources) throws(CLIPError) -> LiveClassifier? {
        let live = sources.live[name]
        guard let classSet = sources.own[name] ?? sources.shared[name] ?? live?.content.classSet else { return nil }
        var shadow: LiveClassifier?
        if let release = sources.shadow[name] { shadow = release.classifier(classSet, features: try features(classSet, release)) }
        if let live { return live.classifier(classSet, features: try features(classSet, live), shadow: shadow) }
        let known = if let known = sources.known[name] { known } else { try features(classSet, nil) }
        return LiveClassifier(ZeroShotClassifier(classSet: classSet, textFeatures: known, scale: model.scale), shadow: shadow)
    }

    /// A release's own features where the set is its own; otherwise computed, or taken from the cache.
    private func features(_ classSet: ClassSet, _ release: LiveRelease?) throws(CLIPError) -> FloatTensor {
        if let release, release.content.classSet.sha256 == classSet.sha256 { return release.content.textFeatures }
        guard let text = release?.text ?? model.text else {
            throw .classSet(name: classSet.name, reason: "the model \(model.name) has no text tower to describe its classes with")
        }
        if let cached = cache?.features(for: classSet, text: text, truncating: truncating) { return cached }
        let features = try text.compute(for: classSet, pool: pool, truncating: truncating)
        cache?.store(features, for: classSet, text: text, truncating: truncating)
        return features
    }

    // MARK: What is in place

    /// The names of the sets in place, sorted.
    package var names: [String] { state.withLock { $0.named.keys.sorted() } }

    /// The set in place under `name`.
    package func classSet(named name: String) -> ClassSet? { state.withLock { $0.named[name]?.classifier.classSet } }

    /// Whether the dispatcher says what is in the set of this name.
    func isShared(_ name: String) -> Bool { sources.withLock { $0.own[name] == nil } }

    /// The release in place of a class set, and the one before it.
    package func releases(of name: String) -> (live: LiveRelease?, previous: LiveRelease?, shadow: LiveRelease?) {
        sources.withLock { ($0.live[name], $0.previous[name], $0.shadow[name]) }
    }

    /// Versions of the releases that score now, by class set.
    package var versions: [String: UInt64] { state.withLock { $0.named.compactMapValues { $0.mark?.version } } }

    /// Everything in place at this moment; what is swapped later doesn't change it.
    func snapshot() -> LiveClassSets {
        state.withLock { LiveClassSets(named: $0.named, defaultName: $0.defaultName) }
    }

    /// Sets that jobs have named and that are not here.
    package var wanted: Set<String> { state.withLock { $0.wanted } }

    func want(_ name: String) {
        // Enough for what a fleet's producers may name; the rest asks again.
        state.withLock { if $0.wanted.count < 64 { $0.wanted.insert(name) } }
    }

    /// Nobody has it.
    package func stopWanting(_ name: String) { _ = state.withLock { $0.wanted.remove(name) } }

    // MARK: Counts

    /// Counts a batch's answers for a named class set.
    func count(_ live: LiveClassifier, _ answers: [Classification], shadow: ScoringCounts.Shadow?) {
        let set = live.classifier.classSet
        let found = answers.compactMap { answer in
            answer.predictions.first.map { (best: $0.index, confidence: $0.probability, isUnknown: answer.isUnknown) }
        }
        state.withLock {
            $0.tally.add(
                Provenance(set.name, hex: set.sha256), release: live.mark?.version ?? 0, classes: set.classes.count, answers: found,
                shadow: shadow)
        }
    }

    /// What was answered so far, by class set and release.
    var scoring: [ScoringCounts] { state.withLock { $0.tally.counts } }

    /// Counts answers for which a shadow was asked as well.
    func count(_ name: String, version: UInt64, scored: Int, agreed: Int) {
        state.withLock { state in
            guard state.shadowed[name]?.version == version else { return }
            state.shadowed[name]?.scored += scored
            state.shadowed[name]?.agreed += agreed
        }
    }

    /// How often shadows agreed, by class set.
    package var shadows: [String: ShadowCount] { state.withLock { $0.shadowed } }

    // MARK: Inline sets

    /// The classifier of a set that a job brings, by the model's own features.
    func inline(_ labels: [String], _ templates: [String]) throws(Failure) -> LiveClassifier {
        let key = ClassSelection.inline(labels: labels, templates: templates)
        if let known = state.withLock({ $0.inline[key] }) { return known }
        let classifier: LiveClassifier
        do {
            let classSet = try ClassSet(labels: labels, templates: templates)
            classifier = LiveClassifier(
                ZeroShotClassifier(classSet: classSet, textFeatures: try features(classSet, nil), scale: model.scale))
        } catch {
            throw LiveClassSets.failure(error.code, String(describing: error), retryable: false)
        }
        state.withLock { state in
            if state.inline.updateValue(classifier, forKey: key) == nil { state.inlineOrder.append(key) }
            if state.inlineOrder.count > Self.inlineCapacity { state.inline[state.inlineOrder.removeFirst()] = nil }
        }
        return classifier
    }
}

/// How often a shadow release gave the live one's answer.
package struct ShadowCount: Sendable, Equatable {
    package let version: UInt64
    package var scored = 0
    package var agreed = 0

    init(version: UInt64) { self.version = version }
}

/// The named class sets as they were in place at one moment.
struct LiveClassSets: Sendable {
    let named: [String: LiveClassifier]
    let defaultName: String?

    /// What a job without a set of its own asks for.
    func classifier(_ name: String?, sha256: String?) throws(Failure) -> LiveClassifier {
        guard let name else {
            guard let classifier = defaultName.flatMap({ named[$0] }) else {
                throw Self.failure("class_set.missing", "the job names no class set and this worker has no default", retryable: false)
            }
            return classifier
        }
        guard let classifier = named[name] else {
            throw Self.failure(
                "class_set.unknown",
                "this worker has no class set \"\(name)\"; it has: \(named.keys.sorted().joined(separator: ", "))", retryable: true)
        }
        let found = classifier.classifier.classSet.sha256
        if let sha256, sha256 != found {
            throw Self.failure(
                "class_set.version", "the job asks for \"\(name)\" \(sha256.prefix(12)), this worker has \(found.prefix(12))",
                retryable: true)
        }
        return classifier
    }

    static func failure(_ code: String, _ message: String, retryable: Bool) -> Failure {
        Failure(code: code, stage: .classSet, message: message, retryable: retryable)
    }
}
