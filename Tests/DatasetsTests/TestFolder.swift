import Datasets
import Foundation

/// A folder that is removed with its owner.
final class TestFolder {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-datasets-\(UUID().uuidString)")
    var path: String { url.path }

    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: url) }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = url.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: file)
        return file.path
    }
}

/// What a source gave, in order.
struct Collected: Equatable {
    var ids: [String] = []
    var labels: [String?] = []
    var bytes: [[UInt8]] = []
    var errors: [DatasetError] = []

    init(_ source: ImageSource) {
        while true {
            do throws(DatasetError) {
                guard let item = try source.next() else { return }
                let loaded = try item.load()
                ids.append(item.id)
                labels.append(item.label)
                bytes.append(loaded)
            } catch {
                errors.append(error)
            }
        }
    }
}

/// Writes tar archives by hand, the wrong ones too.
struct TarWriter {
    private(set) var bytes: [UInt8] = []

    mutating func add(
        _ name: String, _ content: [UInt8] = [], type: Character = "0", prefix: String = "", size: [UInt8]? = nil,
        magic: [UInt8] = Array("ustar\u{0}00".utf8)
    ) {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ value: [UInt8], at offset: Int) { block.replaceSubrange(offset..<offset + value.count, with: value) }
        put(Array(name.utf8.prefix(100)), at: 0)
        put(Array("0000644\u{0}0000000\u{0}0000000\u{0}".utf8), at: 100)
        let octal = String(content.count, radix: 8)
        put(size ?? Array((String(repeating: "0", count: 11 - octal.count) + octal + "\u{0}").utf8), at: 124)
        put(Array("00000000000\u{0}        ".utf8), at: 136)
        put(Array(String(type).utf8), at: 156)
        put(magic, at: 257)
        put(Array(prefix.utf8), at: 345)
        let sum = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
        put(Array((String(repeating: "0", count: 6 - sum.count) + sum + "\u{0} ").utf8), at: 148)
        bytes += block + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    /// A pax header with these records.
    mutating func addPax(_ records: [(String, String)], type: Character = "x") {
        let text = records.map { key, value in
            let rest = key.utf8.count + value.utf8.count + 3
            var length = rest + 1
            while String(length).count + rest != length { length = String(length).count + rest }
            return "\(length) \(key)=\(value)\n"
        }
        add("pax", Array(text.joined().utf8), type: type)
    }

    mutating func end() { bytes += [UInt8](repeating: 0, count: 1024) }
}
