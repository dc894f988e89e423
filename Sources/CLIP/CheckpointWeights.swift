internal import Crypto
internal import Synchronization
internal import Tensors

/// Where a tensor under Hugging Face's name comes from.
struct TensorSource: Sendable {
    let stored: StoredTensor
    /// The name in the file.
    let origin: String
    /// Of the leading dimension, where several tensors lie in one.
    var rows: Range<Int>?
    /// [N, M] in the file, [M, N] wanted.
    var isTransposed = false

    /// As it will be handed out.
    var shape: [Int] {
        var shape = stored.shape
        if let rows { shape[0] = rows.count }
        return isTransposed ? shape.reversed() : shape
    }
}

/// The tensors of a checkpoint, converted once, when first asked for.
final class CheckpointWeights: Sendable {
    private struct Cache {
        /// Whole tensors by their names in the file.
        var origins: [String: FloatTensor] = [:]
        var tensors: [String: FloatTensor] = [:]
        var sha256: String?
    }

    private let sources: [String: TensorSource]
    let files: [MappedFile]
    private let cache = Mutex(Cache())

    init(sources: [String: TensorSource], files: [MappedFile]) {
        self.sources = sources
        self.files = files
    }

    /// Tensors that lie in no file; their digest is that of no bytes.
    init(tensors: [String: FloatTensor]) {
        sources = [:]
        files = []
        cache.withLock { $0.tensors = tensors }
    }

    func tensor(_ name: String) -> FloatTensor {
        cache.withLock { cache in
            if let tensor = cache.tensors[name] { return tensor }
            guard let source = sources[name] else { preconditionFailure("the checkpoint has no tensor \(name)") }
            guard let whole = cache.origins[source.origin] ?? source.stored.floats() else {
                preconditionFailure("\(source.origin) was not checked to be floating-point")
            }
            var tensor = whole
            if let rows = source.rows {
                cache.origins[source.origin] = whole
                tensor = whole.rows(rows)
            }
            if source.isTransposed { tensor = tensor.transposed() }
            if source.shape == [1], name == CheckpointNaming.logitScale { tensor = tensor.reshaped([]) }
            cache.tensors[name] = tensor
            return tensor
        }
    }

    var sha256: String {
        cache.withLock { cache in
            if let digest = cache.sha256 { return digest }
            var hash = SHA256()
            for file in files { file.withUnsafeBytes { hash.update(bufferPointer: $0) } }
            let digest = hash.finalize().hexadecimal
            cache.sha256 = digest
            return digest
        }
    }
}
