/// Reads a pickle of numbers, texts, lists, dictionaries and NumPy arrays of bytes, protocol 2 and newer, as Python 2 and 3 write them. It runs
/// nothing: a pickle that names anything else is refused.
///
/// Lists and dictionaries live in an arena, so that a list that contains itself leaks nothing and deep nesting overflows no stack.
/// Source: CPython's Lib/pickletools.py
struct ArrayPickle {
    enum Value {
        /// None or false.
        case none
        case mark
        case integer(Int)
        case bytes(ArraySlice<UInt8>)
        case tuple(Int)
        /// Index of a list.
        case list(Int)
        /// Index of a dictionary: key, value, key, value.
        case dictionary(Int)
        case global(Global)
        /// Of bytes, row-major.
        case array(shape: [Int], ArraySlice<UInt8>)
        case byteType
    }

    enum Global: String {
        case reconstruct = "_reconstruct"
        case frombuffer = "_frombuffer"
        case ndarray
        case dtype
        case encode

        private static let modules: [Global: Set<String>] = [
            .reconstruct: ["numpy.core.multiarray", "numpy._core.multiarray"],
            .frombuffer: ["numpy.core.numeric", "numpy._core.numeric"],
            .ndarray: ["numpy"], .dtype: ["numpy"], .encode: ["_codecs"],
        ]

        init?(_ module: String, _ name: String) {
            guard let global = Global(rawValue: name), Self.modules[global]?.contains(module) == true else { return nil }
            self = global
        }
    }

    private static let valueLimit = 1 << 22

    private let file: String
    private let bytes: [UInt8]
    private var position = 0
    private var stack: [Value] = []
    private var memo: [Int: Value] = [:]
    private var containers: [[Value]] = []
    private var values = 0
    private var decodedBytes = 0

    init(_ bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    /// The pickle's value, which must be a dictionary: its members whose keys are texts.
    mutating func dictionary() throws(DatasetError) -> [String: Value] {
        guard case .dictionary(let index) = try run() else { throw refused("its value is no dictionary") }
        var members: [String: Value] = [:]
        let items = containers[index]
        for place in stride(from: 0, to: items.count - 1, by: 2) {
            if case .bytes(let key) = items[place] { members[String(decoding: key, as: UTF8.self)] = items[place + 1] }
        }
        return members
    }

    /// The numbers of a list; what is none is left out.
    func integers(_ list: Int) -> [Int] {
        containers[list].compactMap { if case .integer(let number) = $0 { number } else { nil } }
    }

    /// The texts of a list; what is none is left out.
    func texts(_ list: Int) -> [String] {
        containers[list].compactMap { if case .bytes(let text) = $0 { String(decoding: text, as: UTF8.self) } else { nil } }
    }

    private func refused(_ reason: String) -> DatasetError {
        .unreadable(path: file, reason: "it is a pickle that is not read: \(reason), at byte \(position)")
    }

    private mutating func run() throws(DatasetError) -> Value {
        while true {
            let opcode = try byte()
            if opcode == UInt8(ascii: ".") { return try pop() }
            if try !executeScalar(opcode), try !executeContainer(opcode), try !executeObject(opcode) {
                throw refused("opcode 0x\(String(opcode, radix: 16)), which arrays don't need")
            }
        }
    }

    // MARK: Stack and input

    private mutating func take(_ count: Int) throws(DatasetError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - position else { throw refused("it ends in the middle of a value") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    private mutating func byte() throws(DatasetError) -> UInt8 {
        let one = try take(1)
        return one[one.startIndex]
    }

    /// Little-endian.
    private mutating func unsigned(_ count: Int) throws(DatasetError) -> Int {
        let value = try take(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let number = Int(exactly: value) else { throw refused("a number of \(value)") }
        return number
    }

    private mutating func line() throws(DatasetError) -> String {
        guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { throw refused("a name without an end") }
        defer { position = end + 1 }
        return String(decoding: bytes[position..<end], as: UTF8.self)
    }

    private mutating func push(_ value: Value) throws(DatasetError) {
        values += 1
        guard values <= Self.valueLimit else { throw refused("more than \(Self.valueLimit) values") }
        stack.append(value)
    }

    private mutating func pop() throws(DatasetError) -> Value {
        guard let value = stack.popLast() else { throw refused("it takes a value that is not there") }
        return value
    }

    private mutating func popLast(_ count: Int) throws(DatasetError) -> [Value] {
        guard stack.count >= count else { throw refused("it takes values that are not there") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    /// What lies above the last mark, which goes too.
    private mutating func popMarked() throws(DatasetError) -> [Value] {
        guard let mark = stack.lastIndex(where: { if case .mark = $0 { true } else { false } }) else { throw refused("there is no mark") }
        defer { stack.removeLast(stack.count - mark) }
        return Array(stack[(mark + 1)...])
    }

    private mutating func make(_ items: [Value] = []) -> Int {
        containers.append(items)
        return containers.count - 1
    }

    private mutating func memoize(_ key: Int) throws(DatasetError) {
        guard let value = stack.last else { throw refused("it remembers a value that is not there") }
        memo[key] = value
    }

    private mutating func recall(_ key: Int) throws(DatasetError) {
        guard let value = memo[key] else { throw refused("it recalls value \(key), which it never had") }
        try push(value)
    }

    // MARK: Opcodes

    private mutating func executeScalar(_ opcode: UInt8) throws(DatasetError) -> Bool {
        switch opcode {
        case 0x80: _ = try take(1)
        case 0x95: _ = try take(8)
        case UInt8(ascii: "N"), 0x89: try push(.none)
        case 0x88: try push(.integer(1))
        case UInt8(ascii: "J"): try push(.integer(Int(Int32(truncatingIfNeeded: try unsigned(4)))))
        case UInt8(ascii: "K"): try push(.integer(try unsigned(1)))
        case UInt8(ascii: "M"): try push(.integer(try unsigned(2)))
        case UInt8(ascii: "U"), UInt8(ascii: "C"), 0x8C: try push(.bytes(take(unsigned(1))))
        case UInt8(ascii: "T"), UInt8(ascii: "B"), UInt8(ascii: "X"): try push(.bytes(take(unsigned(4))))
        case 0x8D, 0x8E, 0x96: try push(.bytes(take(unsigned(8))))
        default: return false
        }
        return true
    }

    private mutating func executeContainer(_ opcode: UInt8) throws(DatasetError) -> Bool {
        switch opcode {
        case UInt8(ascii: "("): try push(.mark)
        case UInt8(ascii: ")"): try push(.tuple(make()))
        case UInt8(ascii: "t"): try push(.tuple(make(popMarked())))
        case 0x85...0x87: try push(.tuple(make(popLast(Int(opcode) - 0x84))))
        case UInt8(ascii: "]"): try push(.list(make()))
        case UInt8(ascii: "}"): try push(.dictionary(make()))
        case UInt8(ascii: "a"): try append(popLast(1))
        case UInt8(ascii: "e"): try append(popMarked())
        case UInt8(ascii: "s"): try append(popLast(2))
        case UInt8(ascii: "u"): try append(popMarked())
        case UInt8(ascii: "q"): try memoize(unsigned(1))
        case UInt8(ascii: "r"): try memoize(unsigned(4))
        case 0x94: try memoize(memo.count)
        case UInt8(ascii: "h"): try recall(unsigned(1))
        case UInt8(ascii: "j"): try recall(unsigned(4))
        default: return false
        }
        return true
    }

    private mutating func append(_ items: [Value]) throws(DatasetError) {
        switch stack.last {
        case .list(let index), .dictionary(let index): containers[index] += items
        default: throw refused("it adds to something that is no list and no dictionary")
        }
    }

    private mutating func executeObject(_ opcode: UInt8) throws(DatasetError) -> Bool {
        switch opcode {
        case UInt8(ascii: "c"):
            let module = try line()
            try push(global(module, line()))
        case 0x93:
            let names = try popLast(2)
            guard case .bytes(let module) = names[0], case .bytes(let name) = names[1] else { throw refused("a name that is no text") }
            try push(global(String(decoding: module, as: UTF8.self), String(decoding: name, as: UTF8.self)))
        case UInt8(ascii: "R"):
            let call = try popLast(2)
            guard case .global(let callable) = call[0], case .tuple(let arguments) = call[1] else { throw refused("a call of no function") }
            try push(result(of: callable, containers[arguments]))
        case UInt8(ascii: "b"):
            let state = try pop()
            try push(build(pop(), state))
        default: return false
        }
        return true
    }

    private func global(_ module: String, _ name: String) throws(DatasetError) -> Value {
        guard let global = Global(module, name) else {
            throw refused("it names \(module.prefix(60)).\(name.prefix(60)), and nothing but arrays is read")
        }
        return .global(global)
    }

    private mutating func result(of callable: Global, _ arguments: [Value]) throws(DatasetError) -> Value {
        switch callable {
        case .reconstruct: return .array(shape: [], [])
        case .dtype:
            guard case .bytes(let name)? = arguments.first, Array(name) == Array("u1".utf8) else {
                throw refused("an array of something but bytes")
            }
            return .byteType
        case .frombuffer:
            guard arguments.count == 4, case .bytes(let content) = arguments[0], case .byteType = arguments[1],
                case .bytes(let order) = arguments[3], Array(order) == [UInt8(ascii: "C")]
            else { throw refused("an array of something but bytes, row by row") }
            return try array(arguments[2], content)
        case .encode:
            guard case .bytes(let text)? = arguments.first else { throw refused("an encoding of something that is no text") }
            return .bytes(try latin1(text))
        case .ndarray: throw refused("a call of numpy.ndarray")
        }
    }

    /// What `__setstate__` does: an array's state is (version, shape, type, is column-major, content); a type's is of no interest here.
    private func build(_ value: Value, _ state: Value) throws(DatasetError) -> Value {
        guard case .tuple(let index) = state else { throw refused("a state that is no tuple") }
        switch value {
        case .byteType: return value
        case .array:
            let items = containers[index]
            guard items.count == 5, case .byteType = items[2], case .bytes(let content) = items[4], case .none = items[3] else {
                throw refused("an array of something but bytes, row by row")
            }
            return try array(items[1], content)
        default: throw refused("a state of something that has none")
        }
    }

    private func array(_ shape: Value, _ content: ArraySlice<UInt8>) throws(DatasetError) -> Value {
        guard case .tuple(let index) = shape else { throw refused("a shape that is no tuple") }
        let extents = integers(index)
        var count = 1
        for extent in extents {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !overflow else { throw refused("an array of shape \(extents)") }
            count = product
        }
        guard extents.count == containers[index].count, count == content.count else {
            throw refused("an array of shape \(extents) with \(content.count) bytes")
        }
        return .array(shape: extents, content)
    }

    /// The bytes that a text's characters below 256 stand for: how Python 3 writes bytes in protocol 2. All together are no more than the file,
    /// so that a text that is recalled again and again can't fill the memory.
    private mutating func latin1(_ text: ArraySlice<UInt8>) throws(DatasetError) -> ArraySlice<UInt8> {
        decodedBytes += text.count
        guard decodedBytes <= bytes.count else { throw refused("more decoded bytes than the file has") }
        var content: [UInt8] = []
        content.reserveCapacity(text.count)
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            guard let byte = UInt8(exactly: scalar.value) else { throw refused("a byte of \(scalar.value)") }
            content.append(byte)
        }
        return content[...]
    }
}
