package import Foundation
package import Tensors

/// A safetensors file, mapped, its header checked: every tensor lies inside the file, in order, without gaps and overlaps.
///
///     8 bytes   N, length of the header, little-endian
///     N bytes   JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {"key": "text"}}
///     the rest  the tensors; offsets count from here
package struct SafetensorsFile: Sendable {
    /// The format's own limit is 100 MB; the largest CLIPs' headers have under 300 kB.
    static let headerLimit = 16 << 20

    package let file: MappedFile
    package let metadata: [String: String]
    package let tensors: [String: StoredTensor]

    package init(_ url: URL) throws(CLIPError) {
        let file: MappedFile
        do throws(TensorsError) {
            file = try MappedFile(url)
        } catch {
            throw .unreadable(error)
        }
        try self.init(file)
    }

    /// A file's bytes that came another way; `name` stands for the file in errors.
    package init(copying bytes: [UInt8], name: String) throws(CLIPError) {
        let file: MappedFile
        do throws(TensorsError) {
            file = try MappedFile(copying: bytes, name: name)
        } catch {
            throw .unreadable(error)
        }
        try self.init(file)
    }

    package init(_ file: MappedFile) throws(CLIPError) {
        self.file = file
        let name = file.url.path
        do throws(Refusal) {
            let (header, dataStart) = try Self.header(of: file)
            (metadata, tensors) = try Self.entries(header, file: file, dataStart: dataStart)
        } catch {
            throw .safetensors(file: name, tensor: error.tensor, fault: error.fault)
        }
    }

    private struct Refusal: Error {
        var tensor: String?
        let fault: SafetensorsFault
    }

    private static func header(of file: MappedFile) throws(Refusal) -> (header: [String: JSONValue], dataStart: Int) {
        try file.withUnsafeBytes { (bytes) throws(Refusal) in
            guard bytes.count >= 8 else { throw Refusal(fault: .truncated(bytes: bytes.count)) }
            let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
            guard length <= headerLimit else { throw Refusal(fault: .headerLength(length, limit: headerLimit)) }
            let end = 8 + Int(length)
            guard end <= bytes.count else { throw Refusal(fault: .truncated(bytes: bytes.count)) }
            let document: JSONValue
            do throws(JSONValue.Fault) {
                document = try JSONValue.parse(UnsafeRawBufferPointer(rebasing: bytes[8..<end]), limits: .header)
            } catch {
                throw Refusal(fault: .header(offset: error.offset, reason: error.reason))
            }
            guard let header = document.object else { throw Refusal(fault: .header(offset: 0, reason: "it is no object")) }
            return (header, end)
        }
    }

    private struct Entry {
        let name: String
        let type: ElementType
        let shape: [Int]
        let begin: Int
        let end: Int
    }

    private static func entries(
        _ header: [String: JSONValue], file: MappedFile, dataStart: Int
    ) throws(Refusal) -> ([String: String], [String: StoredTensor]) {
        let size = file.count - dataStart
        var metadata: [String: String] = [:]
        var entries: [Entry] = []
        for (name, value) in header {
            if name == "__metadata__" {
                metadata = try self.metadata(value)
            } else {
                do throws(SafetensorsFault) {
                    entries.append(try entry(name, value, size: size))
                } catch {
                    throw Refusal(tensor: name, fault: error)
                }
            }
        }
        try checkOrder(&entries, size: size)
        var tensors: [String: StoredTensor] = [:]
        for entry in entries {
            tensors[entry.name] = StoredTensor(
                file: file, type: entry.type, shape: entry.shape, strides: nil, byteOffset: dataStart + entry.begin)
        }
        return (metadata, tensors)
    }

    private static func metadata(_ value: JSONValue) throws(Refusal) -> [String: String] {
        guard let object = value.object else { throw Refusal(fault: .header(offset: 0, reason: "__metadata__ is no object")) }
        var metadata: [String: String] = [:]
        for (key, value) in object {
            guard let text = value.string else { throw Refusal(fault: .header(offset: 0, reason: "__metadata__ holds something but text")) }
            metadata[key] = text
        }
        return metadata
    }

    private static func entry(_ name: String, _ value: JSONValue, size: Int) throws(SafetensorsFault) -> Entry {
        guard let fields = value.object, let typeName = fields["dtype"]?.string, let shapeValues = fields["shape"]?.array,
            let offsets = fields["data_offsets"]?.array, offsets.count == 2, fields.count == 3
        else { throw .entry(reason: "has no dtype, shape and data_offsets, or something else beside them") }
        guard let type = ElementType(rawValue: typeName) else { throw .elementType(typeName) }
        guard shapeValues.count <= 8 else { throw .entry(reason: "has \(shapeValues.count) extents") }
        var shape: [Int] = []
        for value in shapeValues {
            guard let extent = value.integer, extent >= 0 else { throw .entry(reason: "has an extent that is no count") }
            shape.append(extent)
        }
        guard let begin = offsets[0].integer, let end = offsets[1].integer, begin >= 0, end >= 0 else {
            throw .entry(reason: "has offsets that are no byte counts")
        }
        guard let byteCount = self.byteCount(shape: shape, type: type) else { throw .shapeOverflow(shape) }
        guard begin <= end, end <= size else { throw .outOfRange(begin: begin, end: end, limit: size) }
        guard end - begin == byteCount else { throw .size(expected: byteCount, found: end - begin) }
        guard begin % type.size == 0 else { throw .unaligned(begin: begin, alignment: type.size) }
        return Entry(name: name, type: type, shape: shape, begin: begin, end: end)
    }

    /// Bytes of a tensor, nil where the product leaves Int.
    static func byteCount(shape: [Int], type: ElementType) -> Int? {
        var product = type.size
        for extent in shape where extent > 0 {
            let (next, overflow) = product.multipliedReportingOverflow(by: extent)
            guard !overflow else { return nil }
            product = next
        }
        return shape.contains(0) ? 0 : product
    }

    private static func checkOrder(_ entries: inout [Entry], size: Int) throws(Refusal) {
        entries.sort { ($0.begin, $0.end, $0.name) < ($1.begin, $1.end, $1.name) }
        var previousEnd = 0
        for entry in entries {
            if entry.begin < previousEnd {
                throw Refusal(tensor: entry.name, fault: .overlap(begin: entry.begin, previousEnd: previousEnd))
            }
            if entry.begin > previousEnd { throw Refusal(tensor: entry.name, fault: .gap(begin: entry.begin, previousEnd: previousEnd)) }
            previousEnd = entry.end
        }
        guard previousEnd == size else { throw Refusal(fault: .trailingBytes(size - previousEnd)) }
    }
}
