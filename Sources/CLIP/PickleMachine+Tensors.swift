/// The calls that checkpoints ask for, done here instead.
extension PickleMachine {
    /// The items of a tuple.
    private func tuple(_ value: PickleValue) throws(CLIPError) -> [PickleValue] {
        guard case .container(let index) = value, containers[index].kind == .tuple else { throw refused("no tuple where one is needed") }
        return containers[index].items
    }

    private func integer(_ value: PickleValue) throws(CLIPError) -> Int {
        guard case .integer(let integer) = value, integer >= 0 else { throw refused("no count where one is needed") }
        return integer
    }

    private func integers(_ value: PickleValue) throws(CLIPError) -> [Int] {
        let items = try tuple(value)
        guard items.count <= Self.extentLimit else { throw refused("a tensor with \(items.count) extents") }
        var integers: [Int] = []
        for item in items { integers.append(try integer(item)) }
        return integers
    }

    /// A persistent id: ("storage", type, key, device, count).
    func storage(_ id: PickleValue) throws(CLIPError) -> PickleStorage {
        let items = try tuple(id)
        guard items.count == 5 || items.count == 6, case .text("storage") = items[0], case .global(.storage(let type)) = items[1],
            case .text(let key) = items[2]
        else { throw refused("a reference to something that is no storage") }
        if items.count == 6 {
            guard case .none = items[5] else { throw refused("a view of a storage, as torch before 1.6 wrote it") }
        }
        return PickleStorage(key: key, type: type, count: try integer(items[4]))
    }

    mutating func reduce(_ callable: PickleValue, _ arguments: PickleValue) throws(CLIPError) -> PickleValue {
        let arguments = try tuple(arguments)
        guard case .global(let global) = callable else { throw refused("calls something that can't be called") }
        switch global {
        case .orderedDictionary: return try orderedDictionary(arguments)
        case .rebuildTensor: return try rebuildTensor(arguments)
        case .rebuildParameter:
            guard let data = arguments.first, case .tensor = data, arguments.count == 3 else {
                throw refused("a parameter that is no tensor")
            }
            return data
        case .size:
            guard arguments.count == 1 else { throw refused("a size that is no tuple") }
            return try make(.tuple, tuple(arguments[0]))
        case .storage, .module: throw refused("calls something that can't be called")
        }
    }

    /// (), or a list of pairs as Python 2 wrote it.
    private mutating func orderedDictionary(_ arguments: [PickleValue]) throws(CLIPError) -> PickleValue {
        guard let pairs = arguments.first else { return try make(.dictionary) }
        guard arguments.count == 1, case .container(let index) = pairs, containers[index].kind == .list else {
            throw refused("an OrderedDict made of something but pairs")
        }
        var items: [PickleValue] = []
        for pair in containers[index].items {
            guard case .container(let index) = pair, containers[index].kind != .dictionary, containers[index].items.count == 2 else {
                throw refused("an OrderedDict made of something but pairs")
            }
            items += containers[index].items
        }
        return try make(.dictionary, items)
    }

    /// (storage, offset, shape, strides, requires_grad, hooks[, metadata])
    private mutating func rebuildTensor(_ arguments: [PickleValue]) throws(CLIPError) -> PickleValue {
        guard arguments.count == 6 || arguments.count == 7, case .storage(let storage) = arguments[0] else {
            throw refused("a tensor without a storage")
        }
        let tensor = PickleTensor(
            storage: storage, offset: try integer(arguments[1]), shape: try integers(arguments[2]), strides: try integers(arguments[3]))
        guard tensor.shape.count == tensor.strides.count else {
            throw refused("a tensor with \(tensor.shape.count) extents and \(tensor.strides.count) strides")
        }
        return try add(tensor)
    }
}
