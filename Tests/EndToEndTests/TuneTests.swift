import Foundation
import Testing

/// Tuning by the program itself, and what it leaves in the commands that take it.
@Suite(.serialized) struct TuneTests {
    /// A folder with a float model, quantized ones, labelled images and a class set.
    private struct Place {
        let folder: TemporaryFolder
        let images: [String]
        let set: String

        init() async throws {
            folder = try TemporaryFolder()
            try RandomCLIP.write(RandomCLIP.small, to: folder.url)
            for (name, bytes) in [("cat/0.jpg", Pictures.all[0]), ("dog/1.png", Pictures.all[1]), ("bird/2.jpg", Pictures.all[2])] {
                let url = folder.url.appendingPathComponent("train/\(name)")
                try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(bytes).write(to: url)
            }
            images = ["cat/0.jpg", "dog/1.png", "bird/2.jpg"].map { [folder] in folder.path("train/\($0)") }
            set = try folder.write("pets.yaml", "name: pets\nclasses: [cat, dog, bird]\n")
        }

        func quantize(_ bits: String) async throws -> String {
            let out = folder.path(bits)
            let run = try await Program.run(
                [
                    "quantize", "--model", folder.url.path, "--calibration", folder.path("train"), "--class-set", set, "--bits", bits,
                    "--out", out,
                ])
            #expect(run.code == 0, "\(run.errors)")
            return out
        }

        func tune(_ model: String, _ out: String, _ more: [String] = []) async throws -> (code: Int, output: String, errors: String) {
            try await Program.run(
                [
                    "tune", "--model", model, "--teacher", folder.url.path, "--train", folder.path("train"), "--class-set", set, "--out",
                    folder.path(out), "--context", "3", "--epochs", "4", "--prompt-rate", "0.1", "--feature-cache", folder.path("features"),
                    "--json",
                ] + more)
        }

        /// Cosines of all images and classes, as `classify` prints them.
        func cosines(_ model: String, _ more: [String], environment: [String: String] = [:]) async throws -> [[Float]] {
            let run = try await Program.run(
                ["classify", "--model", model, "--class-set", set, "--json"] + more + images, environment: environment)
            #expect(run.code == 0, "\(run.errors)")
            return try ResultLine.all(run.output).map { ($0.predictions ?? []).sorted { $0.index < $1.index }.map(\.cosine) }
        }
    }

    @Test func `tune learns what classify and worker use, with one answer, and another model refuses it`() async throws {
        let place = try await Place()
        let model = try await place.quantize("4-8-8")
        let tune = try await place.tune(model, "t.safetensors")
        #expect(tune.code == 0 && tune.output.contains("\"images\":3"), "\(tune.errors)")
        let tuning = ["--tuning", place.folder.path("t.safetensors")]
        let plain = try await place.cosines(model, [])
        let tuned = try await place.cosines(model, tuning)
        #expect(tuned.count == 3 && tuned != plain)
        #expect(try await place.cosines(model, tuning + ["--threads", "1"], environment: ["P4Q_ISA": "scalar"]) == tuned)

        let worker = try await RunningWorker(model: model, tuning + ["--class-set", place.set])
        let collect = try Program(["collect", "--from", worker.results, "--count", "3", "--timeout", "60"])
        #expect(try await Program.run(["push", "--to", worker.jobs, "--batch", "1"] + place.images).code == 0)
        #expect(await collect.wait() == 0, "\(collect.errors)")
        let found = try ResultLine.all(collect.output).compactMap { $0.predictions?.sorted { $0.index < $1.index }.map(\.cosine) }
        #expect(found.count == 3 && Set(found) == Set(tuned))
        #expect(await worker.stop() == 0)

        let other = try await place.quantize("8-8-8")
        let wrong = try await Program.run(["classify", "--model", other, "--class-set", place.set] + tuning + place.images)
        #expect(wrong.code == 65 && wrong.errors.contains("4-8-8") && wrong.errors.contains("8-8-8"), "\(wrong.errors)")
        let missing = try await Program.run(["classify", "--model", model, "--labels", "a", "--tuning", "nowhere"] + place.images)
        #expect(missing.code == 66, "\(missing.errors)")
    }

    @Test func `an interrupted run goes on to the same result, and unknown labels are an error`() async throws {
        let place = try await Place()
        let model = try await place.quantize("8-8-8")
        #expect(try await place.tune(model, "whole").code == 0)
        let state = ["--checkpoint", place.folder.path("state.safetensors")]
        let killed = try Program(
            [
                "tune", "--model", model, "--teacher", place.folder.url.path, "--train", place.folder.path("train"), "--class-set",
                place.set,
                "--out", place.folder.path("never"), "--context", "3", "--epochs", "4", "--prompt-rate", "0.1",
            ] + state)
        while killed.process.isRunning && !FileManager.default.fileExists(atPath: place.folder.path("state.safetensors")) {
            try await Task.sleep(for: .milliseconds(2))
        }
        kill(killed.process.processIdentifier, SIGKILL)
        _ = await killed.wait()
        let resumed = try await place.tune(model, "resumed", state)
        #expect(resumed.code == 0, "\(resumed.errors)")
        let files = try ["whole", "resumed"].map { try Data(contentsOf: URL(fileURLWithPath: place.folder.path($0))) }
        #expect(files[0] == files[1])
        let search = try await place.tune(model, "found", ["--search", "--threads", "1"])
        #expect(search.code == 0 && search.errors.contains("trial 8 of 8"), "\(search.errors)")
        let mismatch = try await place.tune(model, "other", state + ["--seed", "1"])
        #expect(mismatch.code == 65 && mismatch.errors.contains("state.safetensors"), "\(mismatch.errors)")

        try place.folder.write("pets.yaml", "name: pets\nclasses: [cat, dog, horse]\n")
        let unknown = try await place.tune(model, "unknown")
        #expect(unknown.code == 65 && unknown.errors.contains("bird"), "\(unknown.errors)")
    }
}
