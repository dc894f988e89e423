import Foundation
import Testing

/// A quantized folder in place of a float one, by the program itself.
@Suite(.serialized) struct QuantizedTests {
    @Test func `quantize writes a folder that classify, worker, embed and preprocess take, with one answer everywhere`() async throws {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let images = try (0..<3).map { try folder.write("\($0).\($0 == 1 ? "png" : "jpg")", Pictures.all[$0]) }
        let set = try folder.write("pets.yaml", "name: pets\nclasses: [cat, dog, bird]\n")
        let quantized = folder.path("quantized")
        let quantize = try await Program.run(
            ["quantize", "--model", folder.url.path, "--class-set", set, "--bits", "4-8-8", "--out", quantized]
                + images.flatMap { ["--calibration", $0] })
        #expect(quantize.code == 0, "\(quantize.errors)")
        var answers: [String] = []
        for (set, threads) in [("scalar", "1"), ("", "1"), ("", "2")] {
            let environment = set.isEmpty ? [:] : ["P4Q_ISA": set]
            let run = try await Program.run(
                ["embed", "--model", quantized, "--threads", threads, "--text", "a cat"] + images.flatMap { ["--image", $0] },
                environment: environment)
            #expect(run.code == 0, "\(run.errors)")
            answers.append(run.output)
        }
        #expect(Set(answers).count == 1 && answers[0].split(separator: "\n").count == 4)
        let local = try await Program.run(["classify", "--model", quantized, "--class-set", set, "--json"] + images)
        let expected = try ResultLine.all(local.output)
        #expect(local.code == 0 && expected.count == 3, "\(local.errors)")
        #expect(try await Program.run(["preprocess", "--model", quantized, images[0]]).code == 0)

        let worker = try await RunningWorker(model: quantized, ["--class-set", set])
        let collect = try Program(["collect", "--from", worker.results, "--count", "3", "--timeout", "60"])
        #expect(try await Program.run(["push", "--to", worker.jobs, "--batch", "1"] + images).code == 0)
        #expect(await collect.wait() == 0, "\(collect.errors)")
        let found = try ResultLine.all(collect.output).sorted { ($0.metadata["path"] ?? $0.id) < ($1.metadata["path"] ?? $1.id) }
        #expect(found.map { $0.predictions?.map(\.cosine) } == expected.map { $0.predictions?.map(\.cosine) })
        #expect(await worker.stop() == 0)
    }

    @Test func `widths of parts and layers are taken from options and a file, kept in config.json, and used when it is loaded`()
        async throws
    {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let image = try folder.write("a.jpg", Pictures.jpeg)
        let set = try folder.write("pets.yaml", "classes: [cat, dog]\n")
        let overrides = try folder.write(
            "plan.yaml", "- {match: vision.0.*, weights: 8, activations: 8}\n- {match: text.*.qkv, attention: 3, observer: minmax}\n")
        let out = folder.path("out")
        let base = ["quantize", "--model", folder.url.path, "--class-set", set, "--calibration", image, "--out", out]
        let run = try await Program.run(base + ["--bits", "8-8-8", "--weights", "4", "--activations", "4", "--overrides", overrides])
        #expect(run.code == 0, "\(run.errors)")
        struct Configuration: Decodable {
            struct Quantization: Decodable {
                struct Exception: Decodable {
                    let match: String
                    let weights: Int?
                    let attention: Int?
                    let observer: String?
                }
                let recipe: String
                let bits: String
                let overrides: [Exception]
            }
            let quantization_config: Quantization
        }
        let found = try JSONDecoder().decode(Configuration.self, from: Data(contentsOf: URL(fileURLWithPath: out + "/config.json")))
            .quantization_config
        #expect(found.recipe == "paper" && found.bits == "4-4-8" && found.overrides.map(\.match) == ["vision.0.*", "text.*.qkv"])
        #expect(found.overrides[0].weights == 8 && found.overrides[1].attention == 3 && found.overrides[1].observer == "minmax")
        let classify = try await Program.run(["classify", "--model", out, "--labels", "cat,dog", "--json", image])
        let answers = try ResultLine.all(classify.output)
        #expect(classify.code == 0 && answers.first?.status == "ok", "\(classify.errors)")

        let misspelt = try folder.write("wrong.yaml", "- {match: vision.0.fc3, weights: 8}\n")
        let wrong = try await Program.run(base + ["--overrides", misspelt])
        #expect(wrong.code == 65 && wrong.errors.contains("vision.0.fc3") && wrong.errors.contains("vision.0.fc1"), "\(wrong.errors)")
        #expect(try await Program.run(base + ["--weights", "5"]).code == 64)
        #expect(try await Program.run(base + ["--recipe", "reference", "--attention", "4"]).code == 64)
        let percentile = try await Program.run(base + ["--recipe", "reference", "--observer", "percentile"])
        #expect(percentile.code == 65 && percentile.errors.contains("percentile"), "\(percentile.errors)")
        let other = folder.path("reference")
        let reference = try await Program.run(base.dropLast() + [other, "--recipe", "reference", "--bits", "4-4-8"])
        #expect(reference.code == 0, "\(reference.errors)")
        let text = try String(contentsOfFile: other + "/config.json", encoding: .utf8)
        #expect(text.contains("\"channel_scales\" : \"folded\"") && text.contains("\"recipe\" : \"reference\""), "\(text)")
    }
}
