/// What a pickle's stack and memo hold. Containers live in the machine's arena and are named by index, so that a value is small, cycles
/// leak nothing and a million nested tuples don't overflow the stack when they go.
enum PickleValue {
    case none
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case mark
    case global(PickleGlobal)
    /// Index in `PickleMachine.containers`.
    case container(Int)
    /// Index in `PickleMachine.storages`.
    case storage(Int)
    /// Index in `PickleMachine.tensors`.
    case tensor(Int)
}

/// The few names that checkpoints need. None of them is code that runs: each stands for something that this reader does itself.
enum PickleGlobal: Equatable {
    case orderedDictionary
    case rebuildTensor
    case rebuildParameter
    case size
    case storage(ElementType)
    /// A TorchScript module, which is its attributes.
    case module

    /// nil for every name that is not on the list.
    init?(module: String, name: String) {
        switch (module, name) {
        case ("collections", "OrderedDict"): self = .orderedDictionary
        case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
        case ("torch", "Size"): self = .size
        case ("torch", _):
            guard let type = Self.storages[name] else { return nil }
            self = .storage(type)
        default:
            guard module == "__torch__" || module.hasPrefix("__torch__.") else { return nil }
            self = .module
        }
    }

    private static let storages: [String: ElementType] = [
        "DoubleStorage": .float64, "FloatStorage": .float32, "HalfStorage": .float16, "BFloat16Storage": .bfloat16,
        "LongStorage": .int64, "IntStorage": .int32, "ShortStorage": .int16, "CharStorage": .int8, "ByteStorage": .uint8,
        "BoolStorage": .bool,
    ]
}

/// A tuple, list, dictionary or module.
struct PickleContainer {
    enum Kind {
        case tuple
        case list
        case dictionary
        case module
    }

    let kind: Kind
    /// Of dictionaries and modules: key, value, key, value.
    var items: [PickleValue] = []
}

/// A run of elements that the pickle refers to and that lies elsewhere in the archive.
struct PickleStorage {
    let key: String
    let type: ElementType
    let count: Int
}

/// A view of a storage.
struct PickleTensor {
    let storage: Int
    let offset: Int
    let shape: [Int]
    let strides: [Int]
}
