import Foundation

/// A pickle written by hand, opcode by opcode, as torch writes it.
struct PickleWriter {
    var bytes: [UInt8] = [0x80, 2]

    mutating func op(_ opcode: Character) { bytes += Array(opcode.utf8) }
    mutating func raw(_ values: UInt8...) { bytes += values }

    mutating func text(_ text: String) {
        op("X")
        bytes += withUnsafeBytes(of: UInt32(text.utf8.count).littleEndian) { Array($0) } + Array(text.utf8)
    }

    mutating func integer(_ value: Int) {
        op("J")
        bytes += withUnsafeBytes(of: Int32(value).littleEndian) { Array($0) }
    }

    mutating func global(_ module: String, _ name: String) { bytes += Array("c\(module)\n\(name)\n".utf8) }

    mutating func tuple(_ values: [Int]) {
        op("(")
        for value in values { integer(value) }
        op("t")
    }

    mutating func orderedDictionary() {
        global("collections", "OrderedDict")
        op(")")
        op("R")
    }

    mutating func storage(_ key: String, count: Int, type: String) {
        op("(")
        text("storage")
        global("torch", type)
        text(key)
        text("cpu")
        integer(count)
        op("t")
        op("Q")
    }

    mutating func tensor(key: String, count: Int, offset: Int = 0, shape: [Int], strides: [Int]? = nil, type: String = "FloatStorage") {
        global("torch._utils", "_rebuild_tensor_v2")
        op("(")
        storage(key, count: count, type: type)
        integer(offset)
        tuple(shape)
        tuple(strides ?? Self.rowMajor(shape))
        raw(0x89)
        orderedDictionary()
        op("t")
        op("R")
    }

    static func rowMajor(_ shape: [Int]) -> [Int] {
        shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
    }
}

/// A ZIP archive written by hand.
struct ZipWriter {
    struct Entry {
        var name: String
        var data: [UInt8]
        var localName: String?
        var method: UInt16 = 0
        var flags: UInt16 = 0
        var checksum: UInt32?
        var size: Int?
        var headerOffset: Int?
        var attributes: UInt32 = 0
        var storesWideSizes = false
    }

    var entries: [Entry] = []
    var count: Int?
    var hasWideEnd = false
    var prefix: [UInt8] = []
    var suffix: [UInt8] = []

    mutating func add(_ name: String, _ data: [UInt8]) { entries.append(Entry(name: name, data: data)) }

    func bytes() -> [UInt8] {
        var file = prefix
        var directory: [UInt8] = []
        for entry in entries {
            let offset = entry.headerOffset ?? file.count
            let checksum = entry.checksum ?? Self.checksum(entry.data)
            let local = Array((entry.localName ?? entry.name).utf8)
            let padding = (64 - (file.count + 30 + local.count + 4) % 64) % 64
            let size = entry.size ?? entry.data.count
            file += word(0x0403_4B50) + half(20) + half(entry.flags) + half(entry.method) + word(0)
            file +=
                word(checksum) + word(UInt32(entry.data.count)) + word(UInt32(size)) + half(UInt16(local.count)) + half(UInt16(padding + 4))
            file += local + half(0x4246) + half(UInt16(padding)) + [UInt8](repeating: 0x5A, count: padding) + entry.data
            let name = Array(entry.name.utf8)
            let wide = entry.storesWideSizes
            let extra = wide ? half(1) + half(24) + long(size) + long(entry.data.count) + long(offset) : []
            directory += word(0x0201_4B50) + half(0x0314) + half(20) + half(entry.flags) + half(entry.method) + word(0) + word(checksum)
            directory += word(wide ? .max : UInt32(entry.data.count)) + word(wide ? .max : UInt32(size)) + half(UInt16(name.count))
            directory +=
                half(UInt16(extra.count)) + half(0) + half(0) + half(0) + word(entry.attributes) + word(wide ? .max : UInt32(offset))
            directory += name + extra
        }
        let start = file.count
        let count = self.count ?? entries.count
        file += directory
        if hasWideEnd {
            let end = file.count
            file +=
                word(0x0606_4B50) + long(44) + half(45) + half(45) + word(0) + word(0) + long(count) + long(count) + long(directory.count)
                + long(start)
            file += word(0x0706_4B50) + word(0) + long(end) + word(1)
        }
        let (size, offset): (UInt32, UInt32) = hasWideEnd ? (.max, .max) : (UInt32(directory.count), UInt32(start))
        let shown = UInt16(truncatingIfNeeded: count)
        return file + word(0x0605_4B50) + half(0) + half(0) + half(shown) + half(shown) + word(size) + word(offset) + half(0) + suffix
    }

    private func half(_ value: UInt16) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    private func word(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    private func long(_ value: Int) -> [UInt8] { withUnsafeBytes(of: UInt64(value).littleEndian) { Array($0) } }

    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { $0 >> 8 ^ table[Int(($0 ^ UInt32($1)) & 0xFF)] }
    }

    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 0 ? 0 : 0xEDB8_8320) }
    }
}

/// What torch would save of some tensors.
enum TorchFile {
    /// A dictionary, perhaps under "state_dict" and with "module." before the names.
    static func dictionary(_ tensors: [String: TinyTensor], isWrapped: Bool = false, isHalf: Bool = false) -> ZipWriter {
        var zip = ZipWriter()
        var pickle = PickleWriter()
        if isWrapped {
            pickle.op("}")
            pickle.op("(")
            pickle.text("epoch")
            pickle.integer(3)
            pickle.text("state_dict")
        }
        pickle.orderedDictionary()
        pickle.op("(")
        var storages: [ZipWriter.Entry] = []
        for (index, (name, tensor)) in tensors.sorted(by: { $0.key < $1.key }).enumerated() {
            pickle.text(isWrapped ? "module." + name : name)
            pickle.tensor(
                key: "\(index)", count: tensor.values.count, shape: tensor.shape, strides: tensor.strides,
                type: isHalf ? "HalfStorage" : "FloatStorage")
            storages.append(ZipWriter.Entry(name: "model/data/\(index)", data: isHalf ? tensor.halfBytes : tensor.bytes))
        }
        pickle.op("u")
        if isWrapped { pickle.op("u") }
        pickle.op(".")
        zip.add("model/data.pkl", pickle.bytes)
        zip.add("model/byteorder", Array("little".utf8))
        zip.entries += storages
        return zip
    }

    /// A tree of TorchScript modules.
    static func script(_ tensors: [String: TinyTensor]) -> ZipWriter {
        var zip = ZipWriter()
        var pickle = PickleWriter()
        var storages: [ZipWriter.Entry] = []
        func module(_ members: [(path: ArraySlice<String>, tensor: TinyTensor)]) {
            pickle.global("__torch__.model", "Module")
            pickle.op(")")
            pickle.raw(0x81)
            pickle.op("}")
            pickle.op("(")
            pickle.text("training")
            pickle.raw(0x89)
            for (name, group) in Dictionary(grouping: members, by: { $0.path.first ?? "" }).sorted(by: { $0.key < $1.key }) {
                pickle.text(name)
                if group.count == 1, group[0].path.count == 1 {
                    let key = "\(storages.count)"
                    let tensor = group[0].tensor
                    pickle.tensor(key: key, count: tensor.values.count, shape: tensor.shape, type: "HalfStorage")
                    storages.append(ZipWriter.Entry(name: "archive/data/\(key)", data: tensor.halfBytes))
                } else {
                    module(group.map { ($0.path.dropFirst(), $0.tensor) })
                }
            }
            pickle.op("u")
            pickle.op("b")
        }
        module(tensors.map { ($0.key.split(separator: ".").map(String.init)[...], $0.value) })
        pickle.op(".")
        zip.entries += storages
        zip.add("archive/data.pkl", pickle.bytes)
        zip.add("archive/code/__torch__.py", Array("class Module(Module): pass".utf8))
        return zip
    }
}
