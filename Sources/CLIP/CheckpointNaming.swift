internal import Tensors

/// The tensors of a checkpoint's files under Hugging Face's names, whatever names the files give them.
struct CheckpointNaming {
    static let logitScale = "logit_scale"

    /// For messages: the path that the user gave.
    let file: String
    let isHuggingFace: Bool
    private(set) var sources: [String: TensorSource] = [:]
    /// Tensors without a place in a CLIP, by the names that the files give them.
    private(set) var unknown: [String: [Int]] = [:]
    /// OpenAI's archives carry the picture's side as a tensor.
    private(set) var imageSide: Int?

    init(_ contents: CheckpointFiles.Contents, file: String) throws(CLIPError) {
        self.file = file
        isHuggingFace = contents.tensors.keys.contains { $0.contains("text_model.") || $0.contains("vision_model.") }
        let isWrapped = contents.tensors.keys.allSatisfy { $0.hasPrefix(Self.wrapper) }
        for (origin, stored) in contents.tensors {
            let name = isWrapped ? String(origin.dropFirst(Self.wrapper.count)) : origin
            if Self.isIgnored(name) {
                if name == "input_resolution" { imageSide = stored.integer() }
                continue
            }
            let parts =
                isHuggingFace ? [(name, TensorSource(stored: stored, origin: origin))] : OpenAINames.parts(name, stored, origin: origin)
            if parts.isEmpty { unknown[origin] = stored.shape }
            for (part, source) in parts where sources.updateValue(source, forKey: part) != nil {
                throw .tensorBounds(file: file, tensor: origin, reason: "is there under two names")
            }
        }
    }

    /// What `DataParallel` puts before every name.
    private static let wrapper = "module."

    /// Buffers that published files carry and nothing reads: positions counted up, the causal mask, and OpenAI's three integers.
    private static func isIgnored(_ name: String) -> Bool {
        switch name {
        case "input_resolution", "context_length", "vocab_size", "attn_mask", "text.attn_mask", "transformer.attn_mask",
            "text_model.embeddings.position_ids", "vision_model.embeddings.position_ids":
            true
        default: false
        }
    }

    /// The sources of exactly the tensors that `configuration` asks for.
    func validated(for configuration: CLIPConfiguration) throws(CLIPError) -> [String: TensorSource] {
        let shapes = configuration.tensorShapes
        for name in shapes.keys.sorted() {
            guard let expected = shapes[name] else { continue }
            guard let source = sources[name] else { throw .missingTensor(file: file, tensor: name, shape: expected) }
            let isScale = name == Self.logitScale && source.shape == [1]
            guard source.shape == expected || isScale else {
                throw .wrongShape(file: file, tensor: source.origin, expected: expected, found: source.shape)
            }
            switch source.stored.type {
            case .float32, .float16, .bfloat16: break
            default: throw .wrongType(file: file, tensor: source.origin, type: source.stored.type.rawValue)
            }
        }
        if let (name, shape) = unknown.min(by: { $0.key < $1.key }) { throw .unknownTensor(file: file, tensor: name, shape: shape) }
        for name in sources.keys.sorted() where shapes[name] == nil {
            guard let source = sources[name] else { continue }
            throw .unknownTensor(file: file, tensor: source.origin, shape: source.stored.shape)
        }
        return sources
    }
}
