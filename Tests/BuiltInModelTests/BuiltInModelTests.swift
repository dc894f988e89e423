import BuiltInModel
import CLIP
import Drawing
import Foundation
import Imaging
import Quantization
import Tensors
import Testing
import Tuning

@Suite struct BuiltInModelTests {
    private func inFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-builtin-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    /// `embed.c` names the digest of the model's folder so that a new model is compiled in; a stale build or a forgotten line shows here.
    @Test func `The executable holds the files of the source tree`() throws {
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/CBuiltInModel/model")
        for model in BuiltInModel.allCases {
            #expect(model.files.map(\.name).contains("model.safetensors"))
            for file in model.files {
                let own = source.appendingPathComponent(model.rawValue).appendingPathComponent(file.name)
                let shared = source.appendingPathComponent("builtin").appendingPathComponent(file.name)
                let stored = try Data(contentsOf: FileManager.default.fileExists(atPath: own.path) ? own : shared)
                #expect(stored == Data(file.bytes), "\(model.rawValue)/\(file.name)")
            }
        }
    }

    @Test func `Both forms together stay under 12 MB`() {
        let bytes = BuiltInModel.allCases.flatMap(\.files).reduce(0) { $0 + $1.bytes.count }
        #expect(bytes > 1 << 20 && bytes < 12_000_000, "\(bytes) bytes")
    }

    @Test func `It is unpacked once, repaired when damaged, and put elsewhere where a place can't be written`() throws {
        try inFolder { cache in
            let folder = try BuiltInModel.float.folder(in: [cache])
            let weights = folder.appendingPathComponent("model.safetensors")
            let date = try weights.resourceValues(forKeys: [.contentModificationDateKey]).contentModificationDate
            #expect(try BuiltInModel.float.folder(in: [cache]).path == folder.path)
            #expect(try weights.resourceValues(forKeys: [.contentModificationDateKey]).contentModificationDate == date)
            let good = try Data(contentsOf: weights)
            var bad = good
            bad[bad.count / 2] ^= 1
            try bad.write(to: weights)
            #expect(try Data(contentsOf: BuiltInModel.float.folder(in: [cache]).appendingPathComponent("model.safetensors")) == good)
            let nowhere = URL(fileURLWithPath: "/proc/p4q")
            #expect(try BuiltInModel.float.folder(in: [nowhere, cache]).path == folder.path)
            #expect(throws: BuiltInModel.Unwritable.self) { try BuiltInModel.float.folder(in: [nowhere]) }
        }
    }

    /// The published figures, on the first 1,100 of the held-out pictures: each kind twenty times.
    @Test(arguments: BuiltInModel.allCases)
    func `It names what held-out pictures show: at least 85 % of its own world, and well below that in the field`(_ builtIn: BuiltInModel)
        throws
    {
        try inFolder { cache in
            let folder = try builtIn.folder(in: [cache])
            let model = builtIn == .float ? try CLIPModel.load(folder) : try QuantizedFolder.load(folder)
            let text = try #require(model.text)
            let pool = ThreadPool(threads: 2)
            func accuracy(_ domain: DrawingDomain) throws -> Double {
                try DrawnAccuracy.measure(
                    image: model.imageEncoder, text: text.encoder, tokenizer: text.tokenizer, preprocessor: model.preprocessor,
                    domain: domain, count: 1100, pool: pool)
            }
            let (world, field) = (try accuracy(.world), try accuracy(.field))
            #expect(world >= 0.85, "\(world)")
            #expect((0.50...0.80).contains(field), "\(field)")
        }
    }
}
