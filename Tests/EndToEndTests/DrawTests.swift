import Foundation
import Testing

@Suite(.serialized) struct DrawTests {
    @Test func `draw writes a labelled folder or shard with captions and the class set; the same seed gives the same bytes`() async throws {
        let folder = try TemporaryFolder()
        let (first, second) = (folder.path("first"), folder.path("second"))
        for (out, threads) in [(first, "1"), (second, "2")] {
            let run = try await Program.run(
                ["draw", "--count", "60", "--seed", "4", "--domain", "field", "--format", "jpeg", "--threads", threads, "--out", out])
            #expect(run.code == 0, "\(run.errors)")
        }
        let kinds = try FileManager.default.contentsOfDirectory(atPath: first).filter { $0 != "classes.yaml" }
        var files = 0
        for kind in kinds {
            for name in try FileManager.default.contentsOfDirectory(atPath: "\(first)/\(kind)") {
                files += 1
                let data = try Data(contentsOf: URL(fileURLWithPath: "\(first)/\(kind)/\(name)"))
                #expect(try data == Data(contentsOf: URL(fileURLWithPath: "\(second)/\(kind)/\(name)")), "\(kind)/\(name)")
            }
        }
        #expect(files == 60 && kinds.count >= 40)
        let set = try String(contentsOfFile: "\(first)/classes.yaml", encoding: .utf8)
        for kind in kinds { #expect(set.contains("- \(kind)\n")) }

        let shard = folder.path("world.tar")
        #expect(try await Program.run(["draw", "--count", "3", "--out", shard]).code == 0)
        let listing = try String(decoding: Data(contentsOf: URL(fileURLWithPath: shard)), as: UTF8.self)
        for name in ["000000.png", "000000.cls", "000002.txt"] { #expect(listing.contains(name)) }
        #expect(FileManager.default.fileExists(atPath: folder.path("world.yaml")))
    }

    @Test func `draw says what is wrong with its options and places`() async throws {
        #expect(try await Program.run(["draw", "--count", "0", "--out", "x"]).code == 64)
        let run = try await Program.run(["draw", "--count", "1", "--out", "/proc/nowhere"])
        #expect(run.code == 65 && run.errors.contains("/proc/nowhere"), "\(run.errors)")
    }

    @Test func `pretrain stops on a signal with everything kept, goes on, and ends in a model that classifies`() async throws {
        let folder = try TemporaryFolder()
        let out = folder.path("model")
        let arguments = [
            "pretrain", "--out", out, "--steps", "60", "--batch", "16", "--width", "64", "--depth", "2", "--text-width", "64",
            "--text-depth",
            "1", "--image-side", "24", "--evaluate", "0",
        ]
        let first = try Program(arguments)
        let curve = "\(out)/loss.csv"
        for _ in 0..<600 where first.process.isRunning && ((try? String(contentsOfFile: curve, encoding: .utf8)) ?? "").count < 200 {
            try await Task.sleep(for: .milliseconds(50))
        }
        first.terminate()
        #expect(await first.wait() == 75, "\(first.errors)")
        let other = try await Program.run(arguments.map { $0 == "16" ? "17" : $0 })
        #expect(other.code == 65 && other.errors.contains("--restart"), "\(other.errors)")
        let second = try await Program.run(arguments)
        #expect(second.code == 0 && second.errors.contains("going on from step"), "\(second.errors)")
        #expect(try String(contentsOfFile: curve, encoding: .utf8).split(separator: "\n").count == 61)

        let pictures = folder.path("pictures")
        #expect(try await Program.run(["draw", "--count", "5", "--out", pictures]).code == 0)
        let classify = try await Program.run(
            ["classify", pictures, "--model", out, "--class-set", "\(out)/classes.yaml", "--json", "--cache", "none"])
        let results = try ResultLine.all(classify.output)
        #expect(classify.code == 0, "\(classify.errors)")
        #expect(results.count == 5)
    }

    @Test func `Without a model and classes the built-in ones are used, wherever the binary lies`() async throws {
        let folder = try TemporaryFolder()
        let moved = folder.url.appendingPathComponent("elsewhere")
        try FileManager.default.copyItem(at: Program.url, to: moved)
        let pictures = folder.path("pictures")
        #expect(try await Program.run(["draw", "--count", "55", "--split", "held-out", "--out", pictures]).code == 0)
        let program = try Program(["classify", pictures, "--json", "--cache", "none"], executable: moved)
        #expect(await program.wait() == 0, "\(program.errors)")
        let results = try ResultLine.all(program.output)
        let right = results.filter { $0.predictions?.first?.label == $0.id.split(separator: "/").dropLast().last.map(String.init) }
        #expect(results.count == 55 && right.count >= 41, "\(right.count) of \(results.count)")
    }
}
