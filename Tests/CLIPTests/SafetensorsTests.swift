import CLIP
import Foundation
import Tensors
import Testing

@Suite struct SafetensorsTests {
    private func file(_ header: String, data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
        withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { Array($0) } + Array(header.utf8) + data
    }

    private func refusal(_ bytes: [UInt8]) throws -> String {
        let folder = try TemporaryFolder()
        let url = try folder.write("x.safetensors", bytes)
        let start = ContinuousClock.now
        let code = code { _ = try SafetensorsFile(url) }
        #expect(ContinuousClock.now - start < .seconds(1))
        return code
    }

    @Test func `what is written is read back, and twice the same is the same bytes`() throws {
        let folder = try TemporaryFolder()
        let floats = FloatTensor(shape: [2, 3]) { target in for index in 0..<6 { target[index] = Float(index) - 2.5 } }
        let entries = [
            SafetensorsWriter.Entry("codes", type: .int8, shape: [3], bytes: [1, 2, 255]),
            SafetensorsWriter.Entry("a \"weight\" \u{1}", floats),
            SafetensorsWriter.Entry("scalar", type: .int64, shape: [], bytes: [7, 0, 0, 0, 0, 0, 0, 0]),
            SafetensorsWriter.Entry("empty", type: .float32, shape: [0, 4], bytes: []),
        ]
        for name in ["one", "two"] {
            try SafetensorsWriter.write(entries, metadata: ["format": "pt", "é": "\n"], to: folder.url.appendingPathComponent(name))
        }
        let one = try Data(contentsOf: folder.url.appendingPathComponent("one"))
        #expect(try one == Data(contentsOf: folder.url.appendingPathComponent("two")))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).count == 2)

        let read = try SafetensorsFile(folder.url.appendingPathComponent("one"))
        #expect(read.metadata == ["format": "pt", "é": "\n"])
        #expect(read.tensors.keys.sorted() == ["a \"weight\" \u{1}", "codes", "empty", "scalar"])
        let codes = try #require(read.tensors["codes"])
        #expect(codes.withUnsafeBytes { Array($0) } == [1, 2, 255])
        let weight = try #require(read.tensors["a \"weight\" \u{1}"])
        #expect(weight.shape == [2, 3])
        #expect(weight.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) } == [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    }

    @Test func `a failed write leaves the old file and no other`() throws {
        let folder = try TemporaryFolder()
        let target = folder.url.appendingPathComponent("taken")
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        #expect(code { try SafetensorsWriter.write([], to: target) } == "file.unwritable")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["taken"])
        #expect(code { try SafetensorsWriter.write([], to: folder.url.appendingPathComponent("no/such/folder")) } == "file.unwritable")
    }

    private static let tensor = #"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#

    @Test(arguments: [
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, 8, "safetensors.size"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4, "safetensors.out_of_range"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "safetensors.out_of_range"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775804,9223372036854775807]}}"#, 8, "safetensors.out_of_range"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 8, "safetensors.entry"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e1]}}"#, 8, "safetensors.entry"),
        (#"{"a":\#(tensor),"b":\#(tensor)}"#, 4, "safetensors.overlap"),
        (#"{"a":\#(tensor),"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#, 12, "safetensors.gap"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "safetensors.gap"),
        (
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}"#, 5,
            "safetensors.unaligned"
        ),
        (#"{"a":\#(tensor)}"#, 5, "safetensors.trailing_bytes"),
        ("{}", 1, "safetensors.trailing_bytes"),
        (#"{"a":\#(tensor),"a":\#(tensor)}"#, 4, "safetensors.header"),
        (#"{"a":\#(tensor),"\u0061":\#(tensor)}"#, 4, "safetensors.header"),
        (#"{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}"#, 4, "safetensors.element_type"),
        (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#, 4, "safetensors.shape_overflow"),
        (#"{"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}"#, 0, "safetensors.shape_overflow"),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "safetensors.entry"),
        (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, 4, "safetensors.entry"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}}"#, 4, "safetensors.entry"),
        (#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}"#, 4, "safetensors.entry"),
        (#"{"a":7}"#, 0, "safetensors.entry"),
        ("[]", 0, "safetensors.header"),
        (#"{"a":1e999}"#, 0, "safetensors.header"),
        (#"{"\ud800":\#(tensor)}"#, 4, "safetensors.header"),
        (#"{"__metadata__":{"a":1}}"#, 0, "safetensors.header"),
        (#"{"__metadata__":[]}"#, 0, "safetensors.header"),
        (#"{"a":\#(tensor)} x"#, 4, "safetensors.header"),
        (#"{"a":\#(tensor)"#, 4, "safetensors.header"),
        ("", 0, "safetensors.header"),
    ])
    func `a damaged header is refused by name`(header: String, bytes: Int, code: String) throws {
        #expect(try refusal(file(header, data: [UInt8](repeating: 0, count: bytes))) == code)
    }

    @Test func `absurd lengths, depths and encodings are refused by name`() throws {
        #expect(try refusal([]) == "safetensors.truncated")
        #expect(try refusal([1, 0, 0, 0, 0, 0, 0]) == "safetensors.truncated")
        #expect(try refusal(file("{}", length: 3)) == "safetensors.truncated")
        for length: UInt64 in [.max, 1 << 63, 100_000_001, 16_777_217] {
            #expect(try refusal(file("{}", length: length)) == "safetensors.header_length")
        }
        #expect(try refusal(file(String(repeating: "[", count: 100_000))) == "safetensors.header")
        #expect(try refusal(file(#"{"a":"# + String(repeating: #"{"a":"#, count: 100_000))) == "safetensors.header")
        #expect(try refusal(file("[" + String(repeating: "0,", count: 4_000_000) + "0]")) == "safetensors.header")
        #expect(try refusal(withUnsafeBytes(of: UInt64(6)) { Array($0) } + [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x7D]) == "safetensors.header")
    }

    @Test func `an error names the tensor`() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write(
            "x.safetensors", file(#"{"some.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, data: [0, 0, 0, 0]))
        let error = #expect(throws: CLIPError.self) { _ = try SafetensorsFile(url) }
        #expect(error == .safetensors(file: url.path, tensor: "some.weight", fault: .outOfRange(begin: 0, end: 8, limit: 4)))
        #expect(error?.description.contains("some.weight") == true)
    }

    @Test func `a tensor that begins at an odd address is copied, not trapped over`() throws {
        let folder = try TemporaryFolder()
        let header = #"{"a":\#(Self.tensor)} "#
        try #require((header.utf8.count + 8) % 4 != 0)
        let url = try folder.write("x.safetensors", file(header, data: [0, 0, 0x80, 0x3F]))
        let read = try SafetensorsFile(url)
        let stored = try #require(read.tensors["a"])
        let tensor = FloatTensor(shape: [1], file: stored.file, byteOffset: stored.byteOffset)
        #expect(tensor.withUnsafeBufferPointer { $0[0] } == 1)
    }

    @Test func `cut at every byte it throws, with any bit flipped it never traps`() throws {
        let folder = try TemporaryFolder()
        let whole = file(
            #"{"__metadata__":{"format":"pt"},"a":\#(Self.tensor),"b":{"dtype":"F16","shape":[1,2],"data_offsets":[4,8]}}"#,
            data: [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(try refusal(whole) == "none")
        for count in whole.indices {
            let url = try folder.write("cut", Array(whole[..<count]))
            #expect(throws: CLIPError.self) { _ = try SafetensorsFile(url) }
        }
        var refused = 0
        for bit in 0..<whole.count * 8 {
            var flipped = whole
            flipped[bit / 8] ^= 1 << (bit % 8)
            let url = try folder.write("flipped", flipped)
            if code(of: { _ = try SafetensorsFile(url) }) != "none" { refused += 1 }
        }
        #expect(refused > whole.count * 4)
    }
}
