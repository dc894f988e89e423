/// Reads a pickle of tensors and containers, protocol 2 and newer, and runs nothing: names outside `PickleGlobal` are refused before anything
/// is done with them, and what is on the list this reader does itself.
///
/// Everything has a limit, so that a file of some megabytes can't become gigabytes: values on the stack, in the memo, in containers.
struct PickleMachine {
    /// A training checkpoint with optimizer state has some ten thousand values.
    static let valueLimit = 1 << 20
    static let extentLimit = 8

    let file: String
    private let bytes: [UInt8]
    private(set) var position = 0
    private var stack: [PickleValue] = []
    private var memo: [Int: PickleValue] = [:]
    private var itemCount = 0

    private(set) var containers: [PickleContainer] = []
    private(set) var storages: [PickleStorage] = []
    private(set) var tensors: [PickleTensor] = []

    init(_ bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    /// Runs to the STOP opcode and returns the value that is left.
    mutating func run() throws(CLIPError) -> PickleValue {
        while true {
            let opcode = try byte()
            if opcode == UInt8(ascii: ".") {
                guard stack.count == 1 else { throw refused("stops with \(stack.count) values") }
                guard position == bytes.count else { throw refused("something follows its end") }
                return try pop()
            }
            try execute(opcode)
            guard stack.count <= Self.valueLimit else { throw refused("more than \(Self.valueLimit) values on its stack") }
        }
    }

    func refused(_ reason: String) -> CLIPError { .pickle(file: file, offset: position, reason: reason) }

    // MARK: Bytes

    private mutating func byte() throws(CLIPError) -> UInt8 {
        guard position < bytes.count else { throw refused("it ends too early") }
        defer { position += 1 }
        return bytes[position]
    }

    private mutating func take(_ count: Int) throws(CLIPError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - position else { throw refused("it ends too early") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// A little-endian unsigned number of up to 8 bytes.
    private mutating func unsigned(_ size: Int) throws(CLIPError) -> Int {
        let value = try take(size).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let value = Int(exactly: value) else { throw refused("a length out of range") }
        return value
    }

    private mutating func text(_ count: Int) throws(CLIPError) -> String {
        guard let text = String(validating: try take(count), as: UTF8.self) else { throw refused("a text that is not UTF-8") }
        return text
    }

    private mutating func line() throws(CLIPError) -> String {
        guard let end = bytes[position...].prefix(1_024).firstIndex(of: 0x0A) else { throw refused("a name without end") }
        let text = try text(end - position)
        position += 1
        return text
    }

    // MARK: Stack, memo, arena

    private mutating func push(_ value: PickleValue) { stack.append(value) }

    private mutating func pop() throws(CLIPError) -> PickleValue {
        guard let value = stack.popLast() else { throw refused("takes a value from an empty stack") }
        if case .mark = value { throw refused("takes a mark for a value") }
        return value
    }

    /// The values above the last mark, which goes too.
    private mutating func popMarked() throws(CLIPError) -> [PickleValue] {
        guard let mark = stack.lastIndex(where: { if case .mark = $0 { true } else { false } }) else { throw refused("misses a mark") }
        let values = Array(stack[(mark + 1)...])
        stack.removeSubrange(mark...)
        return values
    }

    private mutating func popLast(_ count: Int) throws(CLIPError) -> [PickleValue] {
        var values: [PickleValue] = []
        for _ in 0..<count { values.append(try pop()) }
        return values.reversed()
    }

    mutating func make(_ kind: PickleContainer.Kind, _ items: [PickleValue] = []) throws(CLIPError) -> PickleValue {
        try count(items.count + 1)
        containers.append(PickleContainer(kind: kind, items: items))
        return .container(containers.count - 1)
    }

    private mutating func count(_ items: Int) throws(CLIPError) {
        itemCount += items
        guard itemCount <= Self.valueLimit else { throw refused("more than \(Self.valueLimit) values in containers") }
    }

    private mutating func memoize(_ index: Int) throws(CLIPError) {
        guard let value = stack.last else { throw refused("remembers a value from an empty stack") }
        memo[index] = value
        guard memo.count <= Self.valueLimit else { throw refused("remembers more than \(Self.valueLimit) values") }
    }

    private mutating func recall(_ index: Int) throws(CLIPError) {
        guard let value = memo[index] else { throw refused("recalls value \(index), which it never remembered") }
        push(value)
    }

    /// Adds to the container below on the stack.
    private mutating func append(_ items: [PickleValue], to kinds: Set<PickleContainer.Kind>) throws(CLIPError) {
        guard case .container(let index) = stack.last, kinds.contains(containers[index].kind) else {
            throw refused("fills something that is no container")
        }
        if kinds.contains(.dictionary), items.count % 2 != 0 { throw refused("a key without a value") }
        try count(items.count)
        containers[index].items.append(contentsOf: items)
    }

    mutating func add(_ tensor: PickleTensor) throws(CLIPError) -> PickleValue {
        try count(tensor.shape.count + tensor.strides.count + 1)
        tensors.append(tensor)
        return .tensor(tensors.count - 1)
    }

    // MARK: Opcodes

    private mutating func execute(_ opcode: UInt8) throws(CLIPError) {
        switch opcode {
        case 0x80:
            let version = try byte()
            guard (2...5).contains(version) else { throw refused("protocol \(version) is not read") }
        case 0x95: _ = try take(8)
        case UInt8(ascii: "("): push(.mark)
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "1"): _ = try popMarked()
        case UInt8(ascii: "2"):
            let value = try pop()
            push(value)
            push(value)
        case UInt8(ascii: "q"): try memoize(unsigned(1))
        case UInt8(ascii: "r"): try memoize(unsigned(4))
        case 0x94: try memoize(memo.count)
        case UInt8(ascii: "h"): try recall(unsigned(1))
        case UInt8(ascii: "j"): try recall(unsigned(4))
        default:
            if try !executeScalar(opcode), try !executeContainer(opcode), try !executeObject(opcode) {
                position -= 1
                throw refused("opcode 0x\(String(opcode, radix: 16)), which tensors and containers don't need")
            }
        }
    }

    private mutating func executeScalar(_ opcode: UInt8) throws(CLIPError) -> Bool {
        switch opcode {
        case UInt8(ascii: "N"): push(.none)
        case 0x88: push(.bool(true))
        case 0x89: push(.bool(false))
        case UInt8(ascii: "J"): push(.integer(Int(Int32(truncatingIfNeeded: try unsigned(4)))))
        case UInt8(ascii: "K"): push(.integer(try unsigned(1)))
        case UInt8(ascii: "M"): push(.integer(try unsigned(2)))
        case 0x8A: push(try long(take(unsigned(1))))
        case UInt8(ascii: "G"):
            let pattern = try take(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            push(.number(Double(bitPattern: pattern)))
        case UInt8(ascii: "X"), UInt8(ascii: "T"): push(.text(try text(unsigned(4))))
        case 0x8C, UInt8(ascii: "U"): push(.text(try text(unsigned(1))))
        case 0x8D: push(.text(try text(unsigned(8))))
        default: return false
        }
        return true
    }

    /// Two's complement, little-endian. Longer ones than 8 bytes (a random generator's state) keep their place but not their value.
    private func long(_ bytes: ArraySlice<UInt8>) -> PickleValue {
        guard bytes.count <= 8 else { return .none }
        guard let sign = bytes.last else { return .integer(0) }
        return .integer(bytes.reversed().reduce(sign & 0x80 == 0 ? 0 : -1) { $0 << 8 | Int($1) })
    }

    private mutating func executeContainer(_ opcode: UInt8) throws(CLIPError) -> Bool {
        switch opcode {
        case UInt8(ascii: ")"): push(try make(.tuple))
        case UInt8(ascii: "t"): push(try make(.tuple, popMarked()))
        case 0x85...0x87: push(try make(.tuple, popLast(Int(opcode) - 0x84)))
        case UInt8(ascii: "]"): push(try make(.list))
        case UInt8(ascii: "l"): push(try make(.list, popMarked()))
        case UInt8(ascii: "a"): try append(popLast(1), to: [.list])
        case UInt8(ascii: "e"): try append(popMarked(), to: [.list])
        case UInt8(ascii: "}"): push(try make(.dictionary))
        case UInt8(ascii: "d"):
            let items = try popMarked()
            push(try make(.dictionary))
            try append(items, to: [.dictionary])
        case UInt8(ascii: "s"): try append(popLast(2), to: [.dictionary])
        case UInt8(ascii: "u"): try append(popMarked(), to: [.dictionary])
        default: return false
        }
        return true
    }

    private mutating func executeObject(_ opcode: UInt8) throws(CLIPError) -> Bool {
        switch opcode {
        case UInt8(ascii: "c"):
            let module = try line()
            push(try global(module, line()))
        case 0x93:
            let names = try popLast(2)
            guard case .text(let module) = names[0], case .text(let name) = names[1] else {
                throw refused("a global whose name is no text")
            }
            push(try global(module, name))
        case UInt8(ascii: "Q"):
            let storage = try storage(pop())
            try count(1)
            storages.append(storage)
            push(.storage(storages.count - 1))
        case UInt8(ascii: "R"):
            let call = try popLast(2)
            push(try reduce(call[0], call[1]))
        case 0x81:
            guard case .global(.module) = try popLast(2)[0] else { throw refused("makes an object that is no TorchScript module") }
            push(try make(.module))
        case UInt8(ascii: "b"): try build(state: pop())
        default: return false
        }
        return true
    }

    private func global(_ module: String, _ name: String) throws(CLIPError) -> PickleValue {
        guard let global = PickleGlobal(module: module, name: name) else { throw .forbiddenGlobal(file: file, name: "\(module).\(name)") }
        return .global(global)
    }

    /// BUILD gives a module its attributes. An OrderedDict's own attributes (`_metadata`) say nothing about tensors.
    private mutating func build(state: PickleValue) throws(CLIPError) {
        guard case .container(let target) = stack.last, case .container(let source) = state, containers[source].kind == .dictionary else {
            throw refused("sets attributes of something that has none")
        }
        switch containers[target].kind {
        case .dictionary: break
        case .module: try append(containers[source].items, to: [.module])
        case .tuple, .list: throw refused("sets attributes of something that has none")
        }
    }
}
