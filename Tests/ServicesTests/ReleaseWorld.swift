import CLIP
import Crypto
import Foundation
import Imaging
import JobQueue
import Logging
import Messages
import Quantization
import Services
import Tensors
import Transport
import Tuning

/// A small quantized CLIP and made-up tunings of it, with everything that a release needs.
final class ReleaseWorld: Sendable {
    static let configuration = CLIPConfiguration(
        vision: TowerConfiguration(width: 24, depth: 1, heads: 2, mlpWidth: 30, activation: .quickGELU), imageSide: 14, patchSize: 7,
        text: TowerConfiguration(width: 24, depth: 2, heads: 3, mlpWidth: 50, activation: .quickGELU), vocabularySize: 50,
        contextLength: 15, projectionWidth: 20)

    let folder: String
    let model: CLIPModel
    /// Made of the same weights at other bit widths.
    let otherModel: CLIPModel
    let key = PublisherKey(name: "ann")

    init() throws {
        folder = NSTemporaryDirectory() + "p4q-releases-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Self.writeTokenizer(to: folder)
        model = try Self.model(folder, "4-4-8", sha256: String(repeating: "a1", count: 32))
        otherModel = try Self.model(folder, "8-8-8", sha256: String(repeating: "b2", count: 32))
        try key.write(to: folder + "/ann")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    var trusted: String { folder + "/ann.key" }

    private static func model(_ folder: String, _ bits: String, sha256: String) throws -> CLIPModel {
        guard let plan = BitPlan(bits) else { throw CocoaError(.coderInvalidValue) }
        let checkpoint = Checkpoint.random(configuration, name: "small", seed: 3)
        let normalization = (0..<768).map { Float($0 % 256) / 60 - 2 }
        let calibrator = Calibrator(
            image: FloatImageEncoder(checkpoint, normalization: normalization), text: FloatTextEncoder(checkpoint),
            activationBits: [plan.activations.rawValue], attentionBits: [plan.attention.rawValue], pool: .serial)
        try calibrator.observe(crops: (0..<4 * 14 * 14 * 3).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) })
        try calibrator.observe(prompts: [[48, 3, 7, 47, 49], [48, 9, 47, 49], [48, 1, 2, 3, 47, 49]])
        let tensors = try QuantizedTensors(checkpoint, calibrator.finish(), observer: .omse, bits: plan)
        return CLIPModel(
            name: "small", sha256: sha256, preprocessor: PreprocessorConfiguration(side: 14),
            imageEncoder: QuantizedImageEncoder(tensors, configuration, normalization: normalization),
            text: TextFeatures(
                tokenizer: try Tokenizer.load(URL(fileURLWithPath: folder)), encoder: QuantizedTextEncoder(tensors, configuration),
                identity: "small \(bits)"), scale: 20)
    }

    /// A byte-level tokenizer without merges.
    private static func writeTokenizer(to folder: String) throws {
        var vocabulary: [String: Int] = ["<|startoftext|>": 48, "<|endoftext|>": 49]
        for (index, letter) in "abcdefghijklmnopqrstuvw.".enumerated() {
            vocabulary[String(letter)] = index
            vocabulary["\(letter)</w>"] = index + 24
        }
        try JSONSerialization.data(withJSONObject: vocabulary).write(to: URL(fileURLWithPath: folder + "/vocab.json"))
        try Data("#version: 0.2\n".utf8).write(to: URL(fileURLWithPath: folder + "/merges.txt"))
    }

    static func classSet(_ name: String = "pets", _ classes: [String] = ["cat", "dog", "bird", "ewe"]) throws -> ClassSet {
        try ClassSet(name: name, classes: classes.map { ClassSet.Entry(name: $0) }, topK: 4)
    }

    /// A tuning that `seed` makes, and its text features for a class set.
    func content(_ seed: UInt64, _ classSet: ClassSet? = nil, model: CLIPModel? = nil, temperature: Float = 1) throws -> ReleaseContent {
        let (set, model) = (try classSet ?? Self.classSet(), model ?? self.model)
        var settings = TuningSettings()
        settings.contextLength = 3
        settings.adaptRatio = 0.5
        let width = Self.configuration.projectionWidth
        let vectors = PhiloxRandom(seed: seed).uniforms(3 * Self.configuration.text.width, 1)
        let ranges = AdapterRanges(
            input: CodeScale(scale: 0.02, zeroPoint: 120, bits: .eight), inner: CodeScale(scale: 0.006, zeroPoint: 0, bits: .eight))
        let tuning = TuningFile(
            origin: .init(model: model, teacher: "t", classSet: set, images: 4, imagesSHA256: "i"), settings: settings,
            metrics: .init(epochs: 1, classificationLoss: 0.5, distillationLoss: 0.5, heldOutAccuracy: nil),
            context: FloatTensor(shape: [3, Self.configuration.text.width]) { _ = $0.update(fromContentsOf: vectors) },
            adapter: try QuantizedAdapter(
                AdapterParameters(width: width, random: PhiloxRandom(seed: seed &+ 1000)), ratio: settings.adaptRatio, ranges: ranges))
        guard let text = try tuning.applied(to: model, name: "t").text else { throw CocoaError(.coderInvalidValue) }
        return try ReleaseContent(
            tuning: tuning, classSet: set, textFeatures: try text.compute(for: set, pool: .serial), temperature: temperature)
    }

    /// A manifest for it with the goldens that its maker would compute.
    func manifest(_ content: ReleaseContent, _ version: UInt64, after parent: UInt64 = 0, mode: ReleaseMode = .live) throws
        -> ReleaseManifest
    {
        try DispatcherReleasePublisher.manifest(
            content, bytes: content.encoded(), version: version, parent: parent, mode: mode, maker: key.name, model: model, pool: .serial)
    }

    func release(_ seed: UInt64, version: UInt64, _ classSet: ClassSet? = nil, temperature: Float = 1) throws -> LiveRelease {
        let content = try content(seed, classSet, temperature: temperature)
        return try LiveRelease(try manifest(content, version), content, model: model, pool: .serial)
    }

    /// Puts a release into a store as it is, without a dispatcher's checks.
    func plant(
        _ store: any JobStore, _ epoch: Epoch, _ signed: SignedRelease, _ manifest: ReleaseManifest, content: [UInt8], set: ClassSet
    ) async throws {
        let row = StoredRelease(
            classSet: manifest.classSet.name, version: manifest.version, parent: manifest.parent, isShadow: manifest.mode == .shadow,
            contentSHA256: manifest.contentSHA256.bytes, signed: try signed.encode(), accepted: WallTime(milliseconds: 0))
        _ = try await store.commit(
            .publish(row, content: content, ClassSetRow(name: set.name, sha256: set.sha256, text: set.canonicalText)), epoch: epoch,
            in: PartitionID())
    }
}

/// A dispatcher in this process, with its store.
struct LocalDispatcher {
    let endpoint: Endpoint
    let events: Endpoint
    private let task: Task<Void, Never>

    init(_ store: any JobStore, _ context: ZeroMQContext, endpoints: (String, String) = ("@tcp://127.0.0.1:*", "@tcp://127.0.0.1:*"))
        async throws
    {
        var settings = DispatcherSettings(endpoints: [[try Endpoint(endpoints.0, default: .bind)]])
        settings.releaseEvents = [try Endpoint(endpoints.1, default: .bind)]
        let dispatcher = try await Dispatcher(
            settings: settings, store: store, context: context, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        endpoint = try Endpoint(dispatcher.endpoints[0], default: .connect)
        events = try Endpoint(dispatcher.releaseEndpoint, default: .connect)
        task = Task { try? await dispatcher.run() }
    }

    func stop() async {
        task.cancel()
        await task.value
    }
}

/// Waits until it is so, or for `limit`; gives how long it took, nil if it did not come.
func wait(_ limit: Duration = .seconds(5), until condition: () -> Bool) async -> Duration? {
    let start = ContinuousClock.now
    while ContinuousClock.now - start < limit {
        if condition() { return ContinuousClock.now - start }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return nil
}
