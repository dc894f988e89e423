package import CLIP
internal import Crypto
internal import Foundation
internal import Quantization
package import Tensors

/// What tuning leaves behind: a learned prompt and a QAdapter for one model.
package struct TuningFile: Sendable {
    /// What it was learned for and with.
    package struct Origin: Sendable, Equatable, Codable {
        /// The quantized model's name, the SHA-256 of its weights, hex, and its bit widths, as "4-4-8"; "32" is float.
        package var model: String
        package var modelSHA256: String
        package var bits: String
        package var teacherSHA256: String
        package var classSet: String
        package var classSetSHA256: String
        package var images: Int
        package var imagesSHA256: String

        package init(
            model: CLIPModel, teacher: String, classSet: ClassSet, images: Int, imagesSHA256: String
        ) {
            self.model = model.name
            modelSHA256 = model.sha256
            bits = model.bits
            teacherSHA256 = teacher
            self.classSet = classSet.name
            classSetSHA256 = classSet.sha256
            self.images = images
            self.imagesSHA256 = imagesSHA256
        }
    }

    /// How training ended.
    package struct Metrics: Sendable, Equatable, Codable {
        package var epochs: Int
        package var classificationLoss: Double
        package var distillationLoss: Double
        package var heldOutAccuracy: Double?

        package init(
            epochs: Int, classificationLoss: Double, distillationLoss: Double, heldOutAccuracy: Double?
        ) {
            self.epochs = epochs
            self.classificationLoss = classificationLoss
            self.distillationLoss = distillationLoss
            self.heldOutAccuracy = heldOutAccuracy
        }
    }

    package let origin: Origin
    package let settings: TuningSettings
    package let metrics: Metrics
    /// [settings.contextLength, width of the text tower]; nil where no prompt was learned.
    package let context: FloatTensor?
    /// Nil where no adapter was learned.
    package let adapter: QuantizedAdapter?

    package init(origin: Origin, settings: TuningSettings, metrics: Metrics, context: FloatTensor?, adapter: QuantizedAdapter?) {
        self.origin = origin
        self.settings = settings
        self.metrics = metrics
        self.context = context
        self.adapter = adapter
    }

    /// Quantizes what was trained.
    package init(_ trainer: Trainer, origin: Origin, metrics: Metrics) throws(TuningError) {
        let (parameters, ranges) = trainer.result
        var adapter: QuantizedAdapter?
        if let trained = parameters.adapter, let ranges {
            do throws(TensorsError) {
                adapter = try QuantizedAdapter(trained, ratio: trainer.settings.adaptRatio, ranges: ranges)
            } catch {
                throw .unpackable(error)
            }
        }
        let length = trainer.settings.contextLength
        let context = parameters.context
        self.init(
            origin: origin, settings: trainer.settings, metrics: metrics,
            context: context.isEmpty
                ? nil : FloatTensor(shape: [length, context.count / length]) { _ = $0.update(fromContentsOf: context) },
            adapter: adapter)
    }

    /// `model` with this prompt and this adapter in it: what classifies with it needs to know nothing of tuning. Class sets are described by
    /// their display names alone, any class set's.
    ///
    /// - Parameter name: what errors call this tuning.
    /// - Throws: `wrongBits`, `wrongModel` for a model that it was not learned for.
    package func applied(to model: CLIPModel, name: String, instructionSet: InstructionSet = .best) throws(TuningError) -> CLIPModel {
        guard model.bits == origin.bits else { throw .wrongBits(tuning: name, expected: origin.bits, found: model.bits) }
        guard model.sha256 == origin.modelSHA256 else {
            throw .wrongModel(tuning: name, expected: origin.modelSHA256, found: model.sha256)
        }
        var text = model.text
        if let context {
            guard let base = model.text, let tower = PromptTower(base.encoder) else { throw .noTextTower(model: model.name) }
            guard context.shape[1] == tower.configuration.text.width else {
                throw .invalid(file: name, reason: "its context vectors are \(context.shape[1]) wide")
            }
            text = TextFeatures(
                tokenizer: base.tokenizer,
                encoder: LearnedPromptEncoder(
                    tower: tower, context: context.withUnsafeBufferPointer(Array.init), position: settings.classPosition,
                    fullStop: ClassTokens.fullStop(base.tokenizer)),
                identity: TextFeatures.identity("\(base.identity) \(contextSHA256)", files: []), wording: .displayName,
                files: base.files, kernels: FloatKernels(instructionSet))
        }
        var image = model.imageEncoder
        if let adapter {
            guard adapter.width == image.featureWidth else {
                throw .invalid(file: name, reason: "its adapter is for features of \(adapter.width)")
            }
            image = AdaptedImageEncoder(image, adapter, instructionSet: instructionSet)
        }
        return CLIPModel(
            name: "\(model.name)+\(name)", sha256: model.sha256, preprocessor: model.preprocessor, imageEncoder: image, text: text,
            scale: model.scale)
    }

    private var contextSHA256: String {
        var hash = SHA256()
        context?.withUnsafeBufferPointer { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        hash.update(data: Data(settings.classPosition.rawValue.utf8))
        return hash.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}

extension CLIPModel {
    /// Bit widths as "4-4-8"; "32" for a float model.
    package var bits: String { text.flatMap { PromptTower($0.encoder) }?.bits ?? "32" }
}
