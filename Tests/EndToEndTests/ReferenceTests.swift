import Foundation
import TestSupport
import Testing

/// The program against values that other programs made.
@Suite(.serialized, .enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
struct ReferenceTests {
    private struct Expected: Decodable {
        struct Single: Decodable { let top1: Double }
        struct Accuracy: Decodable { let single: Single }
        struct Prediction: Decodable {
            let label: String
            let cosine: Float
        }
        let classes: [String]
        let test_tar: Accuracy
        let predictions_single: [String: Prediction]
    }

    @Test(arguments: [ModelForm.float, .quantized]) func `CIFAR-10 through push, worker and collect has PyTorch's accuracy and labels`(
        form: ModelForm
    ) async throws {
        let folder = try TemporaryFolder()
        let model = try SharedFolder.file("models/cifar10-clip")
        let expected = try JSONDecoder().decode(Expected.self, from: Data(contentsOf: model.appendingPathComponent("expected.json")))
        let path = try await form.quantize(
            model.path, images: [SharedFolder.file("data/cifar10/train.tar").path], classes: expected.classes, in: folder)
        let worker = try await RunningWorker(model: path, ["--labels", expected.classes.joined(separator: ","), "--top-k", "1"])
        let collect = try Program(["collect", "--from", worker.results, "--count", "5000", "--timeout", "120", "--quiet"])
        let push = try await Program.run(["push", SharedFolder.file("data/cifar10/test.tar").path, "--to", worker.jobs, "--quiet"])
        #expect(push.code == 0, "\(push.errors)")
        #expect(await collect.wait() == 0, "\(collect.errors)")
        let results = try ResultLine.all(collect.output)
        #expect(Set(results.map(\.id)).count == 5000)
        let right = results.filter { $0.predictions?.first?.label == $0.metadata["label"] }.count
        #expect(abs(Double(right) / 5000 - expected.test_tar.single.top1) <= (form == .float ? 0.001 : 0.01), "\(right) of 5000")
        let same = results.filter { expected.predictions_single[$0.id]?.label == $0.predictions?.first?.label }.count
        #expect(Double(same) >= (form == .float ? 0.998 : 0.97) * Double(expected.predictions_single.count), "\(same) labels are PyTorch's")
        #expect(await worker.stop() == 0)
    }

    private struct Embedding: Decodable {
        let id: String
        let kind: String
        let embedding: [Float]
    }
    private struct ModelCase: Decodable {
        let images: [String]
        let prompts: [String]
    }

    @Test(arguments: ["quickgelu-safetensors", "gelu-float16", "openai-jit", "published-legacy"])
    func `embed prints transformers' features for files and texts`(name: String) async throws {
        let folder = try SharedFolder.file("oracles/models/\(name)")
        let reference = try JSONDecoder().decode(ModelCase.self, from: Data(contentsOf: folder.appendingPathComponent("expected.json")))
        let tensors = try ReferenceTensors(folder.appendingPathComponent("expected.safetensors"))
        var arguments = ["embed", "--model", folder.path, "--json"]
        for image in reference.images { arguments += ["--image", try SharedFolder.file("oracles/\(image)").path] }
        for prompt in reference.prompts { arguments += ["--text", prompt] }
        let run = try await Program.run(arguments)
        #expect(run.code == 0, "\(run.errors)")
        let lines = try run.output.split(separator: "\n").map { try JSONDecoder().decode(Embedding.self, from: Data($0.utf8)) }
        #expect(lines.map(\.kind) == reference.images.map { _ in "image" } + reference.prompts.map { _ in "text" })
        let width = tensors.shape("image_features")[1]
        let expected = tensors.floats("image_features") + tensors.floats("text_features")
        for (row, line) in lines.enumerated() {
            let wanted = Array(expected[row * width..<(row + 1) * width])
            let norm = wanted.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let difference = zip(line.embedding, wanted).reduce(Float(0)) { max($0, abs($1.0 - $1.1 / norm)) }
            #expect(difference <= 1e-4, "\(line.id)")
        }
    }

    @Test func `tokenize prints the reference's ids`() async throws {
        struct Case: Decodable {
            let text: String
            let ids: [Int32]
        }
        struct Line: Decodable { let ids: [Int32] }
        let text = try String(contentsOf: SharedFolder.file("oracles/tokenizer/cases.jsonl"), encoding: .utf8)
        let cases = try text.split(separator: "\n").map { try JSONDecoder().decode(Case.self, from: Data($0.utf8)) }
        let input = try cases.map { String(decoding: try JSONEncoder().encode($0.text), as: UTF8.self) }.joined(separator: "\n")
        let run = try await Program.run(["tokenize", "--model", SharedFolder.file("oracles/tokenizer").path], input: input + "\n")
        let lines = try run.output.split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)).ids }
        #expect(lines == cases.map(\.ids))
    }

    @Test(arguments: [ModelForm.float, .quantized, .reference])
    func `photographs are classified by a random ViT-B/32, locally and by a worker alike`(form: ModelForm) async throws {
        try await classifyPhotographs(RandomShape(name: "ViT-B/32", width: 768, depth: 12, patch: 32), form)
    }

    @Test(
        .enabled(if: ProcessInfo.processInfo.environment["P4Q_LONG"] != nil, "takes minutes and gigabytes; deploy/test --long runs it"),
        arguments: [
            RandomShape(name: "ViT-B/16", width: 768, depth: 12, patch: 16),
            RandomShape(name: "ViT-L/14", width: 1024, depth: 24, patch: 14),
        ])
    func `photographs are classified by larger random shapes`(shape: RandomShape) async throws {
        try await classifyPhotographs(shape, .float)
    }

    private func classifyPhotographs(_ shape: RandomShape, _ form: ModelForm) async throws {
        let folder = try TemporaryFolder()
        let photos = try FileManager.default.contentsOfDirectory(atPath: SharedFolder.file("data/photos").path).sorted().prefix(12)
            .map { try SharedFolder.file("data/photos/\($0)").path }
        let model = try await form.write(shape.configuration, to: folder, isHalf: true, images: Array(photos.prefix(4)))
        let local = try await Program.run(["classify", "--model", model, "--labels", "cat,dog,fish", "--json"] + photos)
        #expect(local.code == 0, "\(local.errors)")
        let expected = try ResultLine.all(local.output)
        #expect(expected.map(\.id) == photos)
        let worker = try await RunningWorker(model: model, ["--labels", "cat,dog,fish"])
        let collect = try Program(["collect", "--from", worker.results, "--count", "\(photos.count)", "--timeout", "300"])
        #expect(try await Program.run(["push", "--to", worker.jobs] + photos).code == 0)
        #expect(await collect.wait() == 0, "\(collect.errors)")
        let found = Dictionary(uniqueKeysWithValues: try ResultLine.all(collect.output).map { ($0.metadata["path"] ?? $0.id, $0) })
        for line in expected {
            let other = try #require(found[line.id]?.predictions?.first)
            let mine = try #require(line.predictions?.first)
            // A quantized model has one answer, whatever the batch.
            #expect(form == .float ? abs(mine.cosine - other.cosine) <= 1e-5 : mine.cosine == other.cosine)
        }
        #expect(await worker.stop() == 0)
    }
}
