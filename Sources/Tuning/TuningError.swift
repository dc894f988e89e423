package import CLIP
package import Tensors

/// What can go wrong when a prompt and an adapter are learned, kept or used.
package enum TuningError: Error, Equatable, CustomStringConvertible {
    /// The tuning was learned for another model.
    case wrongModel(tuning: String, expected: String, found: String)
    /// The tuning was learned for other bit widths.
    case wrongBits(tuning: String, expected: String, found: String)
    /// The file is not one that this program wrote, or is damaged.
    case invalid(file: String, reason: String)
    /// The file, or one that it stands on, is no sound safetensors file, or can't be read.
    case file(CLIPError)
    /// The model has no text tower that prompts can be learned through.
    case noTextTower(model: String)
    /// A class name leaves no room for the context vectors.
    case promptTooLong(className: String, tokens: Int, limit: Int)
    /// Student and teacher don't belong together.
    case teacherMismatch(reason: String)
    /// A training image's label is no class of the set.
    case unknownLabel(image: String, label: String)
    /// There are too few labelled images.
    case tooFewImages(found: Int, needed: Int)
    /// A checkpoint belongs to other settings, data or another model.
    case checkpointMismatch(file: String, reason: String)
    /// The loss left the range of numbers.
    case diverged(step: Int)
    /// The adapter's weights can't be packed.
    case unpackable(TensorsError)

    /// Stable, for programs.
    package var code: String {
        switch self {
        case .wrongModel: "tuning.wrong_model"
        case .wrongBits: "tuning.wrong_bits"
        case .invalid, .unpackable: "tuning.invalid"
        case .file(let error): error.code
        case .noTextTower: "tuning.no_text_tower"
        case .promptTooLong: "tuning.prompt_too_long"
        case .teacherMismatch: "tuning.teacher_mismatch"
        case .unknownLabel: "tuning.unknown_label"
        case .tooFewImages: "tuning.too_few_images"
        case .checkpointMismatch: "tuning.checkpoint_mismatch"
        case .diverged: "tuning.diverged"
        }
    }

    package var description: String {
        switch self {
        case .wrongModel(let tuning, let expected, let found):
            "\(tuning) was learned for the model \(expected.prefix(12)), this one is \(found.prefix(12)); tune this model, or use that one"
        case .wrongBits(let tuning, let expected, let found):
            "\(tuning) was learned at \(expected) bits, this model has \(found) (32 is float); tune this model, or use one of \(expected)"
        case .invalid(let file, let reason): "\(file) is no tuning that can be used: \(reason); tune again with this program"
        case .file(let error): error.description
        case .noTextTower(let model): "the model \(model) has no text tower that a prompt can be learned through"
        case .promptTooLong(let name, let tokens, let limit):
            "the class \"\(name)\" and the context vectors take \(tokens) tokens, the model has \(limit); learn fewer vectors (--context)"
        case .teacherMismatch(let reason): "the teacher can't teach this model: \(reason)"
        case .unknownLabel(let image, let label):
            "\(image) is labelled \"\(label)\", which is no class of the set; name the class set's classes as the folders are named"
        case .tooFewImages(let found, let needed): "\(found) labelled images are there, at least \(needed) are needed"
        case .checkpointMismatch(let file, let reason): "\(file) is another run's: \(reason); give the same settings and data, or remove it"
        case .diverged(let step): "the loss is no number any more at step \(step); lower the learning rates"
        case .unpackable(let error): "the adapter can't be quantized: \(error)"
        }
    }
}
