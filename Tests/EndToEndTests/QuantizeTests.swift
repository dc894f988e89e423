import Foundation
import Testing

/// `p4q quantize` as a person runs, interrupts and repeats it.
@Suite(.serialized) struct QuantizeTests {
    private struct Manifest: Decodable, Equatable {
        struct Point: Decodable, Equatable {
            let scale: Double
            let top: Int
            let low: Double
            let high: Double
            let observed_low: Double
            let observed_high: Double
            let clipped: Double
            let snr_db: Double?
        }
        struct Weight: Decodable, Equatable {
            let bits: Int
            let snr_db: Double?
        }
        struct Calibration: Decodable, Equatable {
            let images: Int
            let images_sha256: String
            let seed: UInt64?
        }
        let calibration: Calibration
        let bits: String
        let observer: String
        let model_sha256: String
        let points: [String: Point]
        let weights: [String: Weight]

        init(_ folder: String) throws {
            let file = URL(fileURLWithPath: folder).appendingPathComponent("manifest.json")
            self = try JSONDecoder().decode(Manifest.self, from: Data(contentsOf: file))
        }
    }

    /// A model, a class set, and an archive of a few pictures of two classes.
    private func setUp() throws -> (folder: TemporaryFolder, arguments: [String], data: String) {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(at: folder.url.appendingPathComponent("model"), withIntermediateDirectories: true)
        try RandomCLIP.write(RandomCLIP.small, to: folder.url.appendingPathComponent("model"))
        let set = try folder.write("pets.yaml", "name: pets\nclasses: [cat, dog, bird]\n")
        let members = (0..<12).map { (name: "\($0 < 6 ? "cat" : "dog")/\($0).\($0 % 3 == 1 ? "png" : "jpg")", bytes: Pictures.all[$0 % 3]) }
        let data = try folder.write("data.tar", Tar.archive(members))
        return (folder, ["quantize", "--model", folder.path("model"), "--class-set", set], data)
    }

    private func files(_ folder: String) throws -> [String: Data] {
        let url = URL(fileURLWithPath: folder)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        return try Dictionary(uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: url.appendingPathComponent($0))) })
    }

    @Test func `a seed decides everything, and the manifest has each point's and each matrix's figures`() async throws {
        let (folder, arguments, data) = try setUp()
        let more = ["--calibration", data, "--samples", "6", "--batch", "3", "--bits", "4-4-8"]
        for (out, seed) in [("a", "1"), ("b", "1"), ("c", "2")] {
            let run = try await Program.run(arguments + more + ["--seed", seed, "--out", folder.path(out)])
            #expect(run.code == 0 && run.output.isEmpty, "\(run.errors)")
        }
        #expect(try files(folder.path("a")) == files(folder.path("b")))
        let (a, c) = (try Manifest(folder.path("a")), try Manifest(folder.path("c")))
        #expect(a.calibration.images == 6 && a.calibration.seed == 1)
        #expect(a.calibration.images_sha256 != c.calibration.images_sha256)
        #expect(a.points.count == 33 && a.weights.count == 28, "\(a.points.count) points, \(a.weights.count) matrices")
        for (name, point) in a.points {
            let ratio = try #require(point.snr_db, "\(name)")
            // Uniform values in their full range have 6.02 dB a bit; OMSE reaches that but for the tails of other distributions.
            // Attention's weights of random towers are nearly uniform, far from 0, which the quantizer's zero point can't leave.
            if name.hasSuffix(".probs") { continue }
            let bits = point.top == 255 ? 8.0 : 4.0
            #expect(ratio > 6.02 * bits - 14 && ratio < 6.02 * bits + 12, "\(name): \(ratio) dB")
            #expect(point.clipped >= 0 && point.clipped < 0.2, "\(name): \(point.clipped)")
            let isInside = point.observed_low >= point.low - point.scale / 2 && point.observed_high <= point.high + point.scale / 2
            #expect(isInside == (point.clipped == 0), "\(name)")
        }
        #expect(Set(a.weights.values.map(\.bits)) == [4, 8])
        for (name, weight) in a.weights {
            #expect(try #require(weight.snr_db) > (weight.bits == 8 ? 35 : 12), "\(name)")
        }
        let inspect = try await Program.run(["model", "inspect", folder.path("a")])
        #expect(inspect.code == 0 && inspect.output.contains("vision.1.fc2.in") && inspect.output.contains("4-4-8"), "\(inspect.errors)")
        #expect(try await Program.run(["model", "inspect", folder.path("a"), "--json"]).output.contains("\"snr_db\""))
        try FileManager.default.removeItem(atPath: folder.path("a/manifest.json"))
        try FileManager.default.copyItem(atPath: folder.path("c/manifest.json"), toPath: folder.path("a/manifest.json"))
        let wrong = try await Program.run(["model", "inspect", folder.path("a")])
        #expect(wrong.code == 65 && wrong.errors.contains("manifest.json describes"))
    }

    @Test func `a folder is replaced whole, and never a stranger's`() async throws {
        let (folder, arguments, data) = try setUp()
        let more = ["--calibration", data, "--out", folder.path("out")]
        #expect(try await Program.run(arguments + more + ["--bits", "8-8-8"]).code == 0)
        #expect(try await Program.run(arguments + more + ["--bits", "2-2-8", "--observer", "ema"]).code == 0)
        let manifest = try Manifest(folder.path("out"))
        #expect(manifest.bits == "2-2-8" && manifest.observer == "ema")
        #expect(try await Program.run(["model", "inspect", folder.path("out")]).code == 0)
        try folder.write("out/thesis.tex", "years of work")
        let refused = try await Program.run(arguments + more)
        #expect(refused.code == 65 && refused.errors.contains("thesis.tex"))
        #expect(try Manifest(folder.path("out")) == manifest)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
        #expect(!names.contains { $0.hasSuffix(".tmp") }, "\(names)")
    }

    @Test func `a float model is not written over, and no work is done before that is known`() async throws {
        let (folder, arguments, data) = try setUp()
        let before = try files(folder.path("model"))
        // Whatever stands under --calibration, it is not read.
        let run = try await Program.run(arguments + ["--calibration", folder.path("no such"), "--out", folder.path("model")])
        #expect(run.code == 65 && run.errors.contains("would be lost"), "\(run.errors)")
        #expect(try files(folder.path("model")) == before)
        let sweep = try await Program.run(
            arguments + ["--calibration", data, "--sweep", "--weights", "4", "--bits", "8-8-8,4-8-8", "--out", folder.path("sweep")])
        #expect(sweep.code == 0, "\(sweep.errors)")
        // Both widths are 4-8-8, and made once for each observer.
        let made = try FileManager.default.contentsOfDirectory(atPath: folder.path("sweep")).sorted()
        #expect(made == ["ema-4-8-8", "minmax-4-8-8", "omse-4-8-8", "percentile-4-8-8", "sweep.json", "sweep.md"], "\(made)")
    }

    @Test func `single images that are too large are left out, and no image at all is said`() async throws {
        let (folder, arguments, _) = try setUp()
        let images = folder.url.appendingPathComponent("images")
        try FileManager.default.createDirectory(at: images, withIntermediateDirectories: true)
        let none = try await Program.run(arguments + ["--calibration", images.path, "--out", folder.path("out")])
        #expect(none.code == 66 && none.errors.contains(images.path) && !none.errors.contains("Usage"), "\(none.errors)")
        for (index, bytes) in Pictures.all.enumerated() { try Data(bytes).write(to: images.appendingPathComponent("\(index).jpg")) }
        let limit = (Pictures.all.map(\.count).max() ?? 0) + 1
        try Data(count: limit + 1).write(to: images.appendingPathComponent("large.jpg"))
        let run = try await Program.run(
            arguments + ["--calibration", images.path, "--max-bytes", "\(limit)", "--out", folder.path("out")])
        #expect(run.code == 0 && run.errors.contains("large.jpg has \(limit + 1) bytes"), "\(run.errors)")
        #expect(try Manifest(folder.path("out")).calibration.images == Pictures.all.count)
    }

    @Test func `weights that are not the manifest's are not loaded`() async throws {
        let (folder, arguments, data) = try setUp()
        #expect(try await Program.run(arguments + ["--calibration", data, "--out", folder.path("out")]).code == 0)
        let picture = try folder.write("a.jpg", Pictures.all[0])
        let classify = ["classify", "--labels", "cat,dog", "--cache", "none", picture, "--model"]
        // The weights stand for their folder.
        #expect(try await Program.run(classify + [folder.path("out/model.safetensors")]).code == 0)
        var weights = try Data(contentsOf: folder.url.appendingPathComponent("out/model.safetensors"))
        weights[weights.count - 100] ^= 0x80
        try weights.write(to: folder.url.appendingPathComponent("out/model.safetensors"))
        let damaged = try await Program.run(classify + [folder.path("out")])
        #expect(damaged.code == 65 && damaged.errors.contains("manifest.json"), "\(damaged.errors)")
    }

    @Test func `killed at any moment, the old model or the new one is there`() async throws {
        let (folder, arguments, data) = try setUp()
        let out = folder.path("out")
        let clock = ContinuousClock.now
        #expect(try await Program.run(arguments + ["--calibration", data, "--out", out, "--bits", "8-8-8"]).code == 0)
        let whole = ContinuousClock.now - clock
        for round in 0..<24 {
            let bits = round % 2 == 0 ? "4-4-8" : "8-8-8"
            let program = try Program(arguments + ["--calibration", data, "--out", out, "--bits", bits])
            // The last fifth of a run is where files are written.
            try await Task.sleep(for: whole * (0.7 + 0.4 * Double(round) / 24))
            kill(program.process.processIdentifier, SIGKILL)
            _ = await program.wait()
            let inspect = try await Program.run(["model", "inspect", out])
            #expect(inspect.code == 0, "\(inspect.errors)")
            #expect(try ["4-4-8", "8-8-8"].contains(Manifest(out).bits))
        }
    }

    @Test(arguments: [SIGINT, SIGTERM]) func `an interrupted calibration ends at once and leaves nothing`(signal: Int32) async throws {
        let (folder, arguments, _) = try setUp()
        // It waits for images that never come.
        let program = try Program(arguments + ["--calibration", "@tcp://127.0.0.1:*", "--out", folder.path("out")])
        for _ in 0..<200 where !program.errors.contains("waiting for") { try await Task.sleep(for: .milliseconds(50)) }
        let start = ContinuousClock.now
        kill(program.process.processIdentifier, signal)
        #expect(await program.wait() == Int(128 + signal))
        #expect(ContinuousClock.now - start < .seconds(2))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() == ["data.tar", "model", "pets.yaml"])
    }

    @Test func `images that a queue delivers calibrate as files do`() async throws {
        let (folder, arguments, data) = try setUp()
        let program = try Program(
            arguments + ["--calibration", "@tcp://127.0.0.1:*", "--samples", "12", "--batch", "5", "--out", folder.path("queue")])
        var endpoint: Substring?
        for _ in 0..<200 where endpoint == nil {
            try await Task.sleep(for: .milliseconds(50))
            endpoint = program.errors.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("tcp://") }
        }
        let push = try await Program.run(["push", data, "--to", ">\(try #require(endpoint))", "--quiet"])
        #expect(push.code == 0, "\(push.errors)")
        #expect(await program.wait() == 0, "\(program.errors)")
        let manifest = try Manifest(folder.path("queue"))
        #expect(manifest.calibration.images == 12 && manifest.calibration.seed == nil)
        #expect(try await Program.run(["model", "inspect", folder.path("queue")]).output.contains("queue delivered"))
        let mixed = try await Program.run(
            arguments + ["--calibration", data, "--calibration", "@tcp://127.0.0.1:*", "--out", folder.path("x")])
        #expect(mixed.code == 64)
    }

    @Test func `a sweep writes what single runs write, and a table of it`() async throws {
        let (folder, arguments, data) = try setUp()
        let sweep = ["--calibration", data, "--batch", "4", "--sweep", "--bits", "8-8-8,2-3-4"]
        let run = try await Program.run(arguments + sweep + ["--out", folder.path("all"), "--data", data])
        #expect(run.code == 0, "\(run.errors)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path("all")).sorted()
        let variants = ["ema", "minmax", "omse", "percentile"].flatMap { ["\($0)-2-3-4", "\($0)-8-8-8"] }
        #expect(names == (variants + ["sweep.json", "sweep.md"]).sorted())
        struct Table: Decodable {
            struct Model: Decodable {
                let bits: String
                let observer: String?
                let images: Int
                let top1: Double
            }
            let models: [Model]
        }
        let table = try JSONDecoder().decode(Table.self, from: Data(contentsOf: folder.url.appendingPathComponent("all/sweep.json")))
        #expect(table.models.count == 9 && table.models[0].bits == "float" && table.models.allSatisfy { $0.images == 12 })
        #expect(run.output.split(separator: "\n").count == 10)
        let markdown = try String(contentsOf: folder.url.appendingPathComponent("all/sweep.md"), encoding: .utf8)
        #expect(markdown.split(separator: "\n").count == 11 && markdown.hasPrefix("|"))
        for (observer, bits) in [("percentile", "2-3-4"), ("omse", "8-8-8")] {
            let single = ["--calibration", data, "--batch", "4", "--bits", bits, "--observer", observer]
            #expect(try await Program.run(arguments + single + ["--out", folder.path("one")]).code == 0)
            #expect(try files(folder.path("one")) == files(folder.path("all/\(observer)-\(bits)")), "\(observer) \(bits)")
        }
    }
}
