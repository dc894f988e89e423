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
}
