package import Foundation

/// A plain safetensors reader for the tests' reference values, independent of the program's own.
package struct ReferenceTensors {
    package struct Entry: Sendable {
        package let type: String
        package let shape: [Int]
        package let bytes: Data
    }

    package let entries: [String: Entry]

    package init(_ url: URL) throws {
        let data = try Data(contentsOf: url)
        let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: Any] ?? [:]
        var entries: [String: Entry] = [:]
        for (name, value) in header {
            guard let fields = value as? [String: Any], let type = fields["dtype"] as? String, let shape = fields["shape"] as? [Int],
                let range = fields["data_offsets"] as? [Int]
            else { continue }
            entries[name] = Entry(type: type, shape: shape, bytes: Data(data[(8 + length + range[0])..<(8 + length + range[1])]))
        }
        self.entries = entries
    }

    package func shape(_ name: String) -> [Int] { entries[name]?.shape ?? [] }

    /// The elements of a float32 tensor, row-major; empty if there is none of that name.
    package func floats(_ name: String) -> [Float] { elements(name, "F32") }
    package func int8s(_ name: String) -> [Int8] { elements(name, "I8") }
    package func int32s(_ name: String) -> [Int32] { elements(name, "I32") }

    private func elements<Element: BitwiseCopyable>(_ name: String, _ type: String) -> [Element] {
        guard let entry = entries[name], entry.type == type else { return [] }
        return entry.bytes.withUnsafeBytes { raw in
            (0..<raw.count / MemoryLayout<Element>.stride).map {
                raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.stride, as: Element.self)
            }
        }
    }
}
