internal import Foundation
internal import Tensors

/// A file of `torch.save` (since torch 1.6) or TorchScript: a ZIP archive with a pickle of names, shapes and strides, and an entry of elements
/// for each storage, which is read in place.
///
///     model/data.pkl     the pickle
///     model/byteorder    "little"
///     model/data/0 ...   the storages
struct TorchArchive {
    let tensors: [String: StoredTensor]

    private let archive: ZipArchive
    private let folder: Substring
    private let path: String

    init(_ file: MappedFile) throws(CLIPError) {
        path = file.url.path
        archive = try ZipArchive(file)
        let pickles = archive.entries.values.filter { $0.name.hasSuffix("/data.pkl") && $0.name.split(separator: "/").count == 2 }
        guard let pickle = pickles.first, pickles.count == 1 else {
            throw .unrecognized(path: path, reason: "the archive has no data.pkl, or several; it was not written by torch")
        }
        folder = pickle.name.prefix { $0 != "/" }
        if let order = archive.entries["\(folder)/byteorder"], try archive.contents(order) != Array("little".utf8) {
            throw .unrecognized(path: path, reason: "its tensors are not little-endian")
        }
        var machine = PickleMachine(try archive.contents(pickle), file: path)
        let root = try machine.run()
        var collector = TensorCollector(machine: machine)
        try collector.collect(root)
        var tensors: [String: StoredTensor] = [:]
        for (name, tensor) in collector.found { tensors[name] = try Self.place(tensor, name, machine, archive, folder: folder) }
        self.tensors = tensors
    }

    /// Where a tensor's elements lie in the file, its extents checked against its storage and that against its entry.
    private static func place(
        _ tensor: PickleTensor, _ name: String, _ machine: PickleMachine, _ archive: ZipArchive, folder: Substring
    ) throws(CLIPError) -> StoredTensor {
        let path = machine.file
        let storage = machine.storages[tensor.storage]
        guard let entry = archive.entries["\(folder)/data/\(storage.key)"] else {
            throw .tensorBounds(
                file: path, tensor: name, reason: "lies in storage \(storage.key.prefix(40)), which the archive doesn't have")
        }
        guard entry.isStored else {
            throw .tensorBounds(file: path, tensor: name, reason: "lies in a compressed entry, which can't be mapped")
        }
        let (storageBytes, overflow) = storage.count.multipliedReportingOverflow(by: storage.type.size)
        guard !overflow, storageBytes <= entry.size else {
            throw .tensorBounds(
                file: path, tensor: name, reason: "lies in a storage that announces \(storage.count) elements but has \(entry.size) bytes")
        }
        guard let span = span(tensor), tensor.offset <= storage.count, span.reach <= storage.count - tensor.offset,
            span.count <= storage.count
        else {
            throw .tensorBounds(
                file: path, tensor: name,
                reason:
                    "of shape \(tensor.shape), strides \(tensor.strides) and offset \(tensor.offset) reaches beyond its storage of \(storage.count) elements"
            )
        }
        return StoredTensor(
            file: archive.file, type: storage.type, shape: tensor.shape, strides: isContiguous(tensor) ? nil : tensor.strides,
            byteOffset: entry.offset + tensor.offset * storage.type.size)
    }

    /// How many elements the tensor has, and how many of its storage lie between its first and behind its last; nil where they leave Int.
    private static func span(_ tensor: PickleTensor) -> (count: Int, reach: Int)? {
        guard let count = SafetensorsFile.byteCount(shape: tensor.shape, type: .uint8) else { return nil }
        guard count > 0 else { return (0, 0) }
        var reach = 1
        for (extent, stride) in zip(tensor.shape, tensor.strides) {
            let (distance, overflow) = (extent - 1).multipliedReportingOverflow(by: stride)
            let (sum, carry) = reach.addingReportingOverflow(distance)
            guard !overflow, !carry else { return nil }
            reach = sum
        }
        return (count, reach)
    }

    private static func isContiguous(_ tensor: PickleTensor) -> Bool {
        var expected = 1
        for (extent, stride) in zip(tensor.shape, tensor.strides).reversed() where extent != 1 {
            guard stride == expected else { return tensor.shape.contains(0) }
            expected *= extent
        }
        return true
    }
}

/// Finds the tensors in what a pickle left: a dictionary of them, perhaps inside a training checkpoint's, or a tree of modules.
private struct TensorCollector {
    let machine: PickleMachine
    private(set) var found: [String: PickleTensor] = [:]
    private var visited = 0

    private static let depthLimit = 32
    private static let tensorLimit = 20_000
    private static let visitLimit = 200_000
    /// Where training scripts put the weights beside the epoch and the optimizer.
    private static let wrappers = ["state_dict", "model_state_dict", "model"]

    init(machine: PickleMachine) { self.machine = machine }

    mutating func collect(_ root: PickleValue) throws(CLIPError) {
        guard case .container(let index) = root else { throw unrecognized("its pickle is no dictionary") }
        switch machine.containers[index].kind {
        case .module: try collectModule(index, prefix: "", depth: 0)
        case .dictionary:
            for name in Self.wrappers {
                guard case .container(let inner) = try members(index).last(where: { $0.name == name })?.value else { continue }
                return try collect(inner: inner)
            }
            try collectDictionary(index)
        case .tuple, .list: throw unrecognized("its pickle is no dictionary")
        }
    }

    private mutating func collect(inner index: Int) throws(CLIPError) {
        switch machine.containers[index].kind {
        case .module: try collectModule(index, prefix: "", depth: 0)
        case .dictionary: try collectDictionary(index)
        case .tuple, .list: throw unrecognized("its weights are no dictionary")
        }
    }

    private func unrecognized(_ reason: String) -> CLIPError { .unrecognized(path: machine.file, reason: reason) }

    private func members(_ index: Int) throws(CLIPError) -> [(name: String, value: PickleValue)] {
        let items = machine.containers[index].items
        var members: [(String, PickleValue)] = []
        for position in stride(from: 0, to: items.count - 1, by: 2) {
            guard case .text(let name) = items[position] else { continue }
            members.append((name, items[position + 1]))
        }
        return members
    }

    private mutating func collectDictionary(_ index: Int) throws(CLIPError) {
        for (name, value) in try members(index) {
            if case .tensor(let tensor) = value { try add(name, tensor) }
        }
    }

    private mutating func collectModule(_ index: Int, prefix: String, depth: Int) throws(CLIPError) {
        guard depth < Self.depthLimit else { throw unrecognized("its modules are nested deeper than \(Self.depthLimit)") }
        for (name, value) in try members(index) {
            visited += 1
            guard visited <= Self.visitLimit else { throw unrecognized("its modules have more than \(Self.visitLimit) attributes") }
            switch value {
            case .tensor(let tensor): try add(prefix + name, tensor)
            case .container(let inner) where machine.containers[inner].kind == .module:
                try collectModule(inner, prefix: prefix + name + ".", depth: depth + 1)
            default: break
            }
        }
    }

    private mutating func add(_ name: String, _ tensor: Int) throws(CLIPError) {
        guard found.updateValue(machine.tensors[tensor], forKey: name) == nil else {
            throw .tensorBounds(file: machine.file, tensor: name, reason: "is there twice")
        }
        guard found.count <= Self.tensorLimit else { throw unrecognized("it has more than \(Self.tensorLimit) tensors") }
    }
}
