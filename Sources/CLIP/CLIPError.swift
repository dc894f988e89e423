package import Tensors

/// What can be wrong with a model's files, its tokenizer, or what it is asked.
package enum CLIPError: Error, Equatable {
    /// A file couldn't be opened or mapped.
    case unreadable(TensorsError)
    /// A file couldn't be written; what was there before is still there.
    case unwritable(path: String, reason: String)
    /// A file that the model needs isn't in its folder.
    case missingFile(folder: String, wanted: String)
    /// Neither a folder nor a file that holds a CLIP.
    case unrecognized(path: String, reason: String)
    /// A file is larger than its kind ever is.
    case fileTooLarge(file: String, bytes: Int, limit: Int)
    /// A JSON file breaks the grammar or a limit.
    case json(file: String, offset: Int, reason: String)
    /// A setting of the model is missing, out of range or not one that this program can run.
    case configuration(file: String, field: String, reason: String)

    case safetensors(file: String, tensor: String?, fault: SafetensorsFault)
    /// A ZIP archive (`torch.save`, TorchScript) is damaged or hostile.
    case archive(file: String, entry: String?, reason: String)
    /// A pickle is damaged, too large, or uses what tensors and containers don't need.
    case pickle(file: String, offset: Int, reason: String)
    /// A pickle names code that a checkpoint has no business calling. Nothing was run.
    case forbiddenGlobal(file: String, name: String)

    /// The configuration asks for a tensor that isn't there.
    case missingTensor(file: String, tensor: String, shape: [Int])
    /// A tensor is there that no part of the model uses.
    case unknownTensor(file: String, tensor: String, shape: [Int])
    case wrongShape(file: String, tensor: String, expected: [Int], found: [Int])
    case wrongType(file: String, tensor: String, type: String)
    /// A tensor's place, extents or strides reach beyond the memory that it names.
    case tensorBounds(file: String, tensor: String, reason: String)

    /// A class set's file is not there, or closed to us.
    case classSetUnreadable(path: String, reason: String)
    /// A class set is not one: a field is missing, misspelt or out of range.
    case classSet(name: String, reason: String)

    /// A vocabulary or merge list is not what byte-level BPE needs.
    case tokenizer(file: String, reason: String)
    /// A prompt has more tokens, start and end among them, than the text tower has positions.
    case promptTooLong(prompt: String, tokens: Int, limit: Int)
}

/// How a safetensors file can be damaged.
package enum SafetensorsFault: Error, Equatable {
    case truncated(bytes: Int)
    case headerLength(UInt64, limit: Int)
    case header(offset: Int, reason: String)
    case entry(reason: String)
    case elementType(String)
    case shapeOverflow([Int])
    case size(expected: Int, found: Int)
    case outOfRange(begin: Int, end: Int, limit: Int)
    case unaligned(begin: Int, alignment: Int)
    case overlap(begin: Int, previousEnd: Int)
    case gap(begin: Int, previousEnd: Int)
    case trailingBytes(Int)
}
