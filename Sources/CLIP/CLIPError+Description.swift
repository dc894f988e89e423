internal import Tensors

extension CLIPError: CustomStringConvertible {
    /// Stable, for programs.
    package var code: String {
        switch self {
        case .unreadable(let error): error.code
        case .unwritable: "file.unwritable"
        case .missingFile: "model.missing_file"
        case .unrecognized: "model.unrecognized"
        case .fileTooLarge: "model.file_too_large"
        case .json: "model.json_invalid"
        case .configuration: "model.configuration_invalid"
        case .safetensors(_, _, let fault): fault.code
        case .archive: "model.archive_invalid"
        case .pickle: "model.pickle_invalid"
        case .forbiddenGlobal: "model.pickle_forbidden"
        case .missingTensor: "model.missing_tensor"
        case .unknownTensor: "model.unknown_tensor"
        case .wrongShape: "model.wrong_shape"
        case .wrongType: "model.wrong_type"
        case .tensorBounds: "model.tensor_bounds"
        case .classSetUnreadable: "class_set.unreadable"
        case .classSet: "class_set.invalid"
        case .tokenizer: "tokenizer.invalid"
        case .promptTooLong: "tokenizer.too_long"
        }
    }

    package var description: String {
        switch self {
        case .unreadable(let error): error.description
        case .unwritable(let path, let reason): "\(path) can't be written: \(reason)"
        case .missingFile(let folder, let wanted): "\(folder) has no \(wanted); give the folder that the model was published in"
        case .unrecognized(let path, let reason): "\(path) doesn't hold a CLIP: \(reason)"
        case .fileTooLarge(let file, let bytes, let limit): "\(file) has \(bytes) bytes; files of its kind have no more than \(limit)"
        case .json(let file, let offset, let reason): "\(file) is not the JSON it should be, at byte \(offset): \(reason)"
        case .configuration(let file, let field, let reason): "\(file): \(field) \(reason)"
        case .safetensors(let file, let tensor, let fault):
            "\(file) is not a sound safetensors file: \(tensor.map { "tensor \(Self.shown($0)) " } ?? "it ")\(fault)"
        case .archive(let file, let entry, let reason):
            "\(file) is not a sound archive: \(entry.map { "entry \(Self.shown($0)) " } ?? "")\(reason)"
        case .pickle(let file, let offset, let reason): "\(file) has a pickle that can't be read, at its byte \(offset): \(reason)"
        case .forbiddenGlobal(let file, let name):
            "\(file) has a pickle that asks for \(Self.shown(name)); tensors and containers don't need it, and nothing of it was run."
                + " Convert the checkpoint to safetensors where you trust it"
        case .missingTensor(let file, let tensor, let shape):
            "\(file) has no tensor \(tensor) of shape \(shape), which its configuration asks for"
        case .unknownTensor(let file, let tensor, let shape):
            "\(file) has a tensor \(Self.shown(tensor)) of shape \(shape), which is no part of a CLIP of its configuration"
        case .wrongShape(let file, let tensor, let expected, let found):
            "\(file): tensor \(Self.shown(tensor)) has shape \(found) where the configuration asks for \(expected)"
        case .wrongType(let file, let tensor, let type):
            "\(file): tensor \(Self.shown(tensor)) has elements of type \(Self.shown(type)); weights are float32, float16 or bfloat16"
        case .tensorBounds(let file, let tensor, let reason): "\(file): tensor \(Self.shown(tensor)) \(reason)"
        case .classSetUnreadable(let path, let reason):
            "the class set \(path) can't be read: \(reason); give the path of a YAML or JSON file"
        case .classSet(let name, let reason): "the class set \(Self.shown(name)) can't be used: \(reason)"
        case .tokenizer(let file, let reason): "\(file) is no tokenizer of a CLIP: \(reason)"
        case .promptTooLong(let prompt, let tokens, let limit):
            "the prompt \"\(Self.shown(prompt))\" has \(tokens) tokens, the model takes \(limit); shorten it, or ask for truncation"
        }
    }

    /// Names from files can be as long as the file; a message shows their first 200 characters.
    private static func shown(_ text: String) -> String {
        text.unicodeScalars.count <= 200 ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(200))) + "..."
    }
}

extension SafetensorsFault: CustomStringConvertible {
    package var code: String {
        switch self {
        case .truncated: "safetensors.truncated"
        case .headerLength: "safetensors.header_length"
        case .header: "safetensors.header"
        case .entry: "safetensors.entry"
        case .elementType: "safetensors.element_type"
        case .shapeOverflow: "safetensors.shape_overflow"
        case .size: "safetensors.size"
        case .outOfRange: "safetensors.out_of_range"
        case .unaligned: "safetensors.unaligned"
        case .overlap: "safetensors.overlap"
        case .gap: "safetensors.gap"
        case .trailingBytes: "safetensors.trailing_bytes"
        }
    }

    package var description: String {
        switch self {
        case .truncated(let bytes): "ends after \(bytes) bytes, before its header does"
        case .headerLength(let length, let limit): "announces a header of \(length) bytes; no more than \(limit) are accepted"
        case .header(let offset, let reason): "has a damaged header, at its byte \(offset): \(reason)"
        case .entry(let reason): reason
        case .elementType(let type): "has elements of the unknown type \"\(type.prefix(40))\""
        case .shapeOverflow(let shape): "has the impossible shape \(shape)"
        case .size(let expected, let found): "takes \(found) bytes where its shape needs \(expected)"
        case .outOfRange(let begin, let end, let limit): "lies at \(begin)..<\(end), the data end at \(limit)"
        case .unaligned(let begin, let alignment): "begins at \(begin), which is no multiple of \(alignment)"
        case .overlap(let begin, let previousEnd): "begins at \(begin), inside the tensor before it, which ends at \(previousEnd)"
        case .gap(let begin, let previousEnd):
            "begins at \(begin) and leaves a gap behind the tensor before it, which ends at \(previousEnd)"
        case .trailingBytes(let bytes): "has \(bytes) bytes behind the last tensor"
        }
    }
}
