import CLIP
import Foundation
import Testing

/// Archives and pickles that mean harm, or are damaged: each refused by name, fast, and without a trap.
@Suite struct TorchArchiveTests {
    private let folder: TemporaryFolder
    private let model = TinyCLIP()

    init() throws {
        folder = try TemporaryFolder()
        try folder.write("config.json", TinyCLIP.json)
    }

    private func refusal(_ bytes: [UInt8]) throws -> String {
        try folder.write("pytorch_model.bin", bytes)
        // The processor time of this thread, because a busy machine makes waiting longer, not the work.
        let start = threadNanoseconds()
        let found = code { _ = try Checkpoint.load(folder.url) }
        #expect(threadNanoseconds() - start < 1_000_000_000)
        return found
    }

    /// Nanoseconds of the processor that this thread has had.
    private func threadNanoseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    private func refusalOfArchive(_ change: (inout ZipWriter) -> Void) throws -> String {
        var zip = TorchFile.dictionary(model.tensors)
        change(&zip)
        return try refusal(zip.bytes())
    }

    /// The code for an archive of one storage of four elements with this pickle.
    private func refusalOfPickle(_ build: (inout PickleWriter) -> Void) throws -> String {
        var pickle = PickleWriter()
        build(&pickle)
        var zip = ZipWriter()
        zip.add("model/data.pkl", pickle.bytes)
        zip.add("model/data/0", [UInt8](repeating: 0, count: 16))
        return try refusal(zip.bytes())
    }

    @Test func `the archive that the others are variants of is sound`() throws {
        #expect(try refusalOfArchive { _ in } == "none")
        #expect(try refusalOfArchive { $0.hasWideEnd = true } == "none")
        #expect(try refusalOfArchive { zip in for index in zip.entries.indices { zip.entries[index].storesWideSizes = true } } == "none")
    }

    @Test func `archives that lie are refused`() throws {
        let invalid = "model.archive_invalid"
        #expect(try refusalOfArchive { $0.suffix = [0] } == invalid)
        #expect(try refusalOfArchive { $0.prefix = [0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 60) } == invalid)
        #expect(try refusalOfArchive { $0.entries[0].localName = "model/data.pkk" } == invalid)
        #expect(try refusalOfArchive { $0.entries[3].headerOffset = 0x7FFF_FFFF } == invalid)
        #expect(try refusalOfArchive { $0.entries.append(.init(name: "model/data/0", data: [])) } == invalid)
        #expect(try refusalOfArchive { $0.entries[0].checksum = 1 } == invalid)
        #expect(try refusalOfArchive { $0.entries[0].flags = 1 } == invalid)
        #expect(try refusalOfArchive { $0.entries[0].method = 12 } == invalid)
        #expect(try refusalOfArchive { $0.entries[0].attributes = 0xA1FF_0000 } == invalid)
        #expect(try refusalOfArchive { $0.entries[4].size = 1 << 30 } == invalid)
        #expect(try refusalOfArchive { $0.count = 2 } == invalid)
        #expect(try refusalOfArchive { $0.count = 60_000 } == invalid)
        #expect(
            try refusalOfArchive {
                $0.hasWideEnd = true; $0.count = 1 << 40
            } == invalid)
        for name in ["../x", "model/../../x", "/etc/passwd", "model\\x", "a\u{0}b", "model/..", ""] {
            #expect(try refusalOfArchive { $0.entries.append(.init(name: name, data: [])) } == invalid, "\(name)")
        }
    }

    @Test func `entries that share their bytes are refused`() throws {
        var zip = TorchFile.dictionary(model.tensors)
        zip.entries.append(.init(name: zip.entries[0].name, data: []))
        zip.entries[zip.entries.count - 1].headerOffset = 0
        #expect(try refusal(zip.bytes()) == "model.archive_invalid")
    }

    @Test func `a pickle that inflates beyond its size is refused`() throws {
        let bomb = [UInt8]("not deflate at all".utf8)
        #expect(
            try refusalOfArchive { $0.entries[0] = .init(name: "model/data.pkl", data: bomb, method: 8, size: 1 << 20) }
                == "model.archive_invalid")
        #expect(
            try refusalOfArchive { $0.entries[0] = .init(name: "model/data.pkl", data: bomb, method: 8, size: 1 << 31) }
                == "model.archive_invalid")
        #expect(try refusalOfArchive { $0.entries[3].method = 8 } == "model.tensor_bounds")
    }

    @Test(arguments: [
        ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("torch.jit", "_load"),
        ("torch.jit._pickle", "build_intlist"), ("numpy.core.multiarray", "_reconstruct"), ("numpy", "load"), ("torch", "load"),
        ("torch._utils", "_rebuild_sparse_tensor"), ("collections", "Counter"), ("__torch__x", "Module"), ("torch.serialization", "load"),
        ("", ""),
    ])
    func `a name outside the list is refused before anything is done with it`(module: String, name: String) throws {
        let byLine = try refusalOfPickle { pickle in
            pickle.global(module, name)
            pickle.op("(")
            pickle.text("touch /tmp/owned")
            pickle.op("t")
            pickle.op("R")
            pickle.op(".")
        }
        let byStack = try refusalOfPickle { pickle in
            pickle.text(module)
            pickle.text(name)
            pickle.raw(0x93)
            pickle.op(".")
        }
        #expect(byLine == "model.pickle_forbidden")
        #expect(byStack == "model.pickle_forbidden")
    }

    @Test func `listed names can't be called as anything else`() throws {
        let invalid = "model.pickle_invalid"
        #expect(
            try refusalOfPickle {
                $0.global("__torch__", "M"); $0.op(")"); $0.op("R"); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.global("torch", "FloatStorage"); $0.op(")"); $0.op("R"); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.global("torch._utils", "_rebuild_tensor_v2"); $0.op(")"); $0.op("R"); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.global("torch._utils", "_rebuild_parameter"); $0.op(")"); $0.op("R"); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.global("collections", "OrderedDict"); $0.op(")"); $0.raw(0x81); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.text("x"); $0.op(")"); $0.op("R"); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.op(")"); $0.op("}"); $0.op("b"); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.op(")"); $0.op("Q"); $0.op(".")
            } == invalid)
    }

    @Test(arguments: ["i", "o", "P", "I", "F", "S", "V", "p", "g", "\u{0}"]) func `opcodes that checkpoints don't need are refused`(
        opcode: String
    ) throws {
        #expect(
            try refusalOfPickle {
                $0.op(Character(opcode)); $0.op("\n"); $0.op("\n"); $0.op(".")
            } == "model.pickle_invalid")
    }

    @Test func `bombs are refused within their limits`() throws {
        let invalid = "model.pickle_invalid"
        let count = 3_000_000
        #expect(
            try refusalOfPickle {
                $0.bytes += [UInt8](repeating: UInt8(ascii: "N"), count: count); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.bytes += [UInt8](repeating: UInt8(ascii: "]"), count: count); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.op(")"); $0.bytes += [UInt8](repeating: 0x85, count: count); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.op("N"); $0.bytes += [UInt8](repeating: 0x94, count: count); $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.bytes += (0..<count / 2).flatMap { _ in [UInt8(ascii: "]"), 0x94] }; $0.op(".")
            } == invalid)
        #expect(
            try refusalOfPickle {
                $0.op("X"); $0.bytes += [0xFF, 0xFF, 0xFF, 0xFF]
            } == invalid)
        #expect(try refusalOfPickle { $0.bytes += [0x8D] + [UInt8](repeating: 0xFF, count: 8) } == invalid)
        #expect(try refusalOfPickle { $0.bytes += [UInt8](repeating: 0x20, count: 9 << 20) } == "model.archive_invalid")
        // Thirty modules, each twice inside the next: a billion paths.
        #expect(
            try refusalOfPickle { pickle in
                pickle.global("__torch__", "M"); pickle.op(")"); pickle.raw(0x81)
                for _ in 0..<30 {
                    pickle.op("q"); pickle.raw(0)
                    pickle.global("__torch__", "M"); pickle.op(")"); pickle.raw(0x81); pickle.op("}"); pickle.op("(")
                    for name in ["a", "b"] { pickle.text(name); pickle.op("h"); pickle.raw(0) }
                    pickle.op("u"); pickle.op("b"); pickle.op("q"); pickle.raw(0)
                }
                pickle.op("q"); pickle.raw(1); pickle.op("0"); pickle.raw(0x30)
                pickle.op("h"); pickle.raw(1); pickle.op(".")
            } != "none")
    }

    /// A dictionary of one tensor that views the storage of four elements.
    private func view(offset: Int, shape: [Int], strides: [Int], count: Int = 4, key: String = "0") throws -> String {
        try refusalOfPickle { pickle in
            pickle.op("}"); pickle.op("("); pickle.text("logit_scale")
            pickle.tensor(key: key, count: count, offset: offset, shape: shape, strides: strides)
            pickle.op("u"); pickle.op(".")
        }
    }

    @Test func `tensors that reach beyond their storage are refused by name`() throws {
        let (bounds, huge) = ("model.tensor_bounds", 0x7FFF_FFFF)
        #expect(try view(offset: 0, shape: [4], strides: [1]) == "model.wrong_shape")
        #expect(try view(offset: 1, shape: [4], strides: [1]) == bounds)
        #expect(try view(offset: 0, shape: [5], strides: [1]) == bounds)
        #expect(try view(offset: 0, shape: [2], strides: [4]) == bounds)
        #expect(try view(offset: huge, shape: [1], strides: [1]) == bounds)
        #expect(try view(offset: 0, shape: [huge, huge, huge], strides: [0, 0, 0]) == bounds)
        #expect(try view(offset: 0, shape: [huge], strides: [0]) == bounds)
        #expect(try view(offset: 0, shape: [2, 2, 2], strides: [huge, huge, huge]) == bounds)
        #expect(try view(offset: 0, shape: [4], strides: [1], count: 5) == bounds)
        #expect(try view(offset: 0, shape: [4], strides: [1], key: "7") == bounds)
        #expect(try view(offset: 0, shape: [4], strides: [1], key: "../data.pkl") == bounds)
        #expect(try view(offset: -1, shape: [1], strides: [1]) == "model.pickle_invalid")
        #expect(try view(offset: 0, shape: [-1], strides: [1]) == "model.pickle_invalid")
        #expect(try view(offset: 0, shape: [4], strides: [1, 1]) == "model.pickle_invalid")
    }

    @Test func `other byte orders and other archives are refused`() throws {
        #expect(try refusalOfArchive { $0.entries[1].data = Array("big".utf8) } == "model.unrecognized")
        #expect(try refusalOfArchive { $0.entries[0].name = "model/date.pkl" } == "model.unrecognized")
        #expect(try refusalOfArchive { $0.add("other/data.pkl", []) } == "model.unrecognized")
    }

    /// Three tensors of the model: read as a whole, the first thing wrong with it is that the others are missing.
    private var small: ZipWriter { TorchFile.dictionary(model.tensors.filter { $0.key.hasSuffix("embedding.weight") }) }
    private static let isRead = "model.missing_tensor"

    @Test func `cut at every byte it throws, with bits flipped anywhere it never traps`() throws {
        let whole = small.bytes()
        #expect(try refusal(whole) == Self.isRead)
        for count in whole.indices { #expect(try refusal(Array(whole[..<count])) != Self.isRead) }
        for index in whole.indices {
            var flipped = whole
            flipped[index] ^= 1 << (index % 8)
            _ = try refusal(flipped)
        }
    }

    @Test func `a pickle with any byte changed never traps, its checksum made right`() throws {
        let pickle = small.entries[0].data
        for index in pickle.indices {
            var changed = small
            changed.entries[0].data = Array(pickle[..<index])
            #expect(try refusal(changed.bytes()) != Self.isRead)
            for bit in 0..<8 {
                changed.entries[0].data = pickle
                changed.entries[0].data[index] ^= 1 << bit
                _ = try refusal(changed.bytes())
            }
        }
    }
}
