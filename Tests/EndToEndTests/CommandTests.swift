import Foundation
import Testing

/// What a person or a script sees of the program.
@Suite(.serialized) struct CommandTests {
    @Test(arguments: ModelForm.allCases) func `classify prints results in order, and failures cost only themselves`(form: ModelForm)
        async throws
    {
        let folder = try TemporaryFolder()
        let model = try await form.write(to: folder)
        let paths = [
            try folder.write("a.jpg", Pictures.jpeg), try folder.write("b.png", Array(Pictures.png.prefix(40))), folder.path("missing.jpg"),
            try folder.write("c.png", Pictures.png),
        ]
        let run = try await Program.run(["classify", "--model", model, "--labels", "cat, dog", "--json"] + paths)
        #expect(run.code == 1)
        let lines = try ResultLine.all(run.output)
        #expect(lines.map(\.id) == paths)
        #expect(lines.map(\.status) == ["ok", "error", "error", "ok"])
        #expect(lines[1].error?.code == "decode.truncated" && lines[2].error?.code == "dataset.unreadable")
        #expect(lines[0].predictions?.map(\.label).sorted() == ["cat", "dog"])
        let sum = lines[0].predictions?.reduce(Float(0)) { $0 + $1.probability } ?? 0
        #expect(abs(sum - 1) <= 1e-5)
        let table = try await Program.run(["classify", "--model", model, "--labels", "cat,dog", paths[0]])
        #expect(table.code == 0 && table.output.contains("probability") && table.output.contains("a.jpg"))
    }

    @Test(arguments: ModelForm.allCases) func `every flag has an environment variable, and the command line wins`(form: ModelForm)
        async throws
    {
        let folder = try TemporaryFolder()
        let model = try await form.write(to: folder)
        let image = try folder.write("a.jpg", Pictures.jpeg)
        let environment = ["P4Q_MODEL": model, "P4Q_LABELS": "cat,dog,fish", "P4Q_TOP_K": "2", "P4Q_JSON": "1"]
        let run = try await Program.run(["classify", image], environment: environment)
        #expect(try ResultLine.all(run.output).first?.predictions?.count == 2)
        let other = try await Program.run(["classify", image, "--top-k", "3"], environment: environment)
        #expect(try ResultLine.all(other.output).first?.predictions?.count == 3)
    }

    @Test func `wrong usage, missing and unusable models have exit codes and say what to do`() async throws {
        let folder = try TemporaryFolder()
        let image = try folder.write("a.jpg", Pictures.jpeg)
        let unnamed = try await Program.run(["classify", image, "--model", folder.url.path])
        #expect(unnamed.code == 64 && unnamed.errors.contains("--class-set"))
        let missing = try await Program.run(["classify", image, "--model", folder.path("nowhere"), "--labels", "a"])
        #expect(missing.code == 66 && missing.errors.contains("nowhere"))
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let long = String(repeating: "very ", count: 60)
        let tooLong = try await Program.run(["classify", image, "--model", folder.url.path, "--labels", long])
        #expect(tooLong.code == 65 && tooLong.errors.contains("tokens"))
        let cut = try await Program.run(["classify", image, "--model", folder.url.path, "--labels", long, "--truncate-prompts", "--json"])
        #expect(cut.code == 0, "\(cut.errors)")
        try folder.write("model.safetensors", Array("nonsense".utf8))
        let broken = try await Program.run(["classify", image, "--model", folder.url.path, "--labels", "a"])
        #expect(broken.code == 65 && broken.errors.contains("model.safetensors"))
        let classes = try await Program.run(["classify", image, "--class-set", folder.path("nowhere.yaml")])
        #expect(classes.code == 66 && classes.errors.contains("nowhere.yaml can't be read: there is no such file"), "\(classes.errors)")
        let set = try folder.write("set.yaml", "classes: [a]")
        let calibration = try await Program.run([
            "quantize", "--model", "builtin", "--class-set", set, "--calibration", folder.path("nowhere.tar"), "--out", folder.path("out"),
        ])
        #expect(calibration.code == 66 && calibration.errors.contains("nowhere.tar"), "\(calibration.errors)")
        let endpoint = try await Program.run(["collect", "--from", "udp://x"])
        #expect(endpoint.code == 69 && endpoint.errors.contains("udp://x"))
    }

    @Test(arguments: ModelForm.allCases) func `text features are kept between runs and make the same answer`(form: ModelForm) async throws {
        let folder = try TemporaryFolder()
        let model = try await form.write(to: folder)
        let image = try folder.write("a.png", Pictures.png)
        let arguments = ["classify", image, "--model", model, "--labels", "cat,dog", "--json", "--cache", folder.path("cache")]
        let first = try ResultLine.all(try await Program.run(arguments).output)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("cache")).count == 1)
        let second = try ResultLine.all(try await Program.run(arguments).output)
        #expect(first.first?.predictions?.map(\.cosine) == second.first?.predictions?.map(\.cosine))
    }

    @Test func `the kernels, a model's facts and completions are printed`() async throws {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        #expect(try await Program.run(["kernels"]).output.contains("in use"))
        #expect(try await Program.run(["kernels"], environment: ["P4Q_ISA": "scalar"]).output.contains("scalar        in use"))
        #expect(try await Program.run(["model", "inspect", folder.url.path, "--json"]).output.contains("\"image_side\":32"))
        #expect(try await Program.run(["--generate-completion-script", "bash"]).output.contains("classify"))
    }

    /// This processor may be one that OpenBLAS knows: then there is nothing to do, and only the second half can fail.
    @Test func `OpenBLAS has vectors where the processor has them, unless it is told otherwise`() async throws {
        let kernels = try await Program.run(["kernels"]).output
        let blas = try #require(kernels.split(separator: "\n").last { $0.hasPrefix("BLAS") })
        if !kernels.contains("avx2          -") { #expect(!blas.contains("Prescott") && !blas.contains("Barcelona"), "\(blas)") }
        #expect(try await Program.run(["kernels"], environment: ["OPENBLAS_CORETYPE": "Prescott"]).output.contains("Prescott"))
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["P4Q_PYTHON"] != nil, "P4Q_PYTHON names no Python with pyzmq and protobuf"))
    func `the Python examples feed a worker and read its results`() async throws {
        let python = try #require(ProcessInfo.processInfo.environment["P4Q_PYTHON"])
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let examples = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("deploy/examples")
        let images = try (0..<5).map { try folder.write("\($0).jpg", Pictures.jpeg) }
        let worker = try await RunningWorker(model: folder.url.path, ["--labels", "cat,dog"])
        let interpreter = URL(fileURLWithPath: python)
        let sink = try Program([examples.appendingPathComponent("sink.py").path, worker.results, "5"], executable: interpreter)
        let producer = try Program([examples.appendingPathComponent("producer.py").path, worker.jobs] + images, executable: interpreter)
        #expect(await producer.wait() == 0, "\(producer.errors)")
        #expect(await sink.wait() == 0, "\(sink.errors)")
        #expect(sink.output.split(separator: "\n").count == 5)
        #expect(await worker.stop() == 0)
    }
}
