import Foundation
import TestSupport
import Testing

/// `p4q evaluate` on labelled images, by the program itself.
@Suite(.serialized) struct EvaluateTests {
    private struct Report: Decodable {
        struct Class: Decodable {
            let label: String
            let images: Int
            let answers: [String: Int]
        }
        let bits: String
        let images: Int
        let failed: Int
        let failures: [String: Int]
        let top1: Double?
        let top5: Double?
        let expected_calibration_error: Double?
        let images_per_second: Double?
        let size_mib: Double
        let peak_rss_mib: Double
        let classes: [Class]
    }
    private struct Comparison: Decodable { let models: [Report] }

    /// Folders named after classes, with images of which some can't be used.
    private func writeData(_ folder: TemporaryFolder) throws -> String {
        for name in ["cat", "Dog", "2", "unicorn"] {
            try FileManager.default.createDirectory(
                at: folder.url.appendingPathComponent("data/\(name)"), withIntermediateDirectories: true)
        }
        try folder.write("data/cat/a.jpg", Pictures.jpeg)
        try folder.write("data/cat/b.png", Array(Pictures.png.prefix(40)))
        try folder.write("data/Dog/a.png", Pictures.png)
        try folder.write("data/2/a.jpg", Pictures.progressive)
        try folder.write("data/unicorn/a.jpg", Pictures.jpeg)
        try folder.write("data/loose.jpg", Pictures.jpeg)
        return folder.path("data")
    }

    @Test func `what classify answers is what evaluate counts, and what can't be used is counted by its code`() async throws {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let data = try writeData(folder)
        let set = try folder.write("pets.yaml", "name: pets\nclasses: [cat, dog, {name: bird, synonyms: [budgie]}, fish, horse, cow]\n")
        let model = ["--model", folder.url.path, "--class-set", set]
        let run = try await Program.run(["evaluate", "--data", data, "--json"] + model)
        #expect(run.code == 1, "\(run.errors)")
        let report = try JSONDecoder().decode(Report.self, from: Data(run.output.utf8))
        #expect(report.images == 3 && report.failed == 3 && report.bits == "float")
        #expect(report.failures == ["decode.truncated": 1, "label.unknown": 1, "label.missing": 1])
        #expect(run.errors.contains("unicorn") && run.errors.contains("loose.jpg") && run.errors.contains("b.png"))

        let images = ["cat/a.jpg", "Dog/a.png", "2/a.jpg"].map { "\(data)/\($0)" }
        let answers = try ResultLine.all(try await Program.run(["classify", "--json", "--top-k", "6"] + model + images).output)
        let labels = ["cat", "dog", "bird"]
        var (first, amongFive) = (0, 0)
        for (answer, label) in zip(answers, labels) {
            let ranking = try #require(answer.predictions).map(\.label)
            first += ranking[0] == label ? 1 : 0
            amongFive += ranking.prefix(5).contains(label) ? 1 : 0
            #expect(report.classes.first { $0.label == label }?.answers == [ranking[0]: 1])
        }
        #expect(report.top1 == Double(first) / 3 && report.top5 == Double(amongFive) / 3)
        let size = try FileManager.default.attributesOfItem(atPath: folder.path("model.safetensors"))[.size] as? Int ?? 0
        #expect(abs(report.size_mib - Double(size) / 1_048_576) <= 0.01)
        #expect(report.peak_rss_mib > 5 && (report.images_per_second ?? 0) > 0 && report.expected_calibration_error != nil)

        let table = try await Program.run(["evaluate", "--data", data, "--markdown"] + model)
        #expect(table.code == 1 && table.output.contains("|") && table.output.contains("3 left out") && table.output.contains("taken for"))
    }

    @Test func `archives bring labels in cls files, and models are compared on them`() async throws {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let set = try folder.write("pets.yaml", "name: pets\nclasses: [cat, dog, bird]\n")
        let shard = try folder.write(
            "shard.tar",
            Tar.archive([("0.jpg", Pictures.jpeg), ("0.cls", Array("1".utf8)), ("1.png", Pictures.png), ("1.cls", Array("bird\n".utf8))])
        )
        let quantized = folder.path("q")
        let quantize = try await Program.run(
            ["quantize", "--model", folder.url.path, "--class-set", set, "--calibration", shard, "--out", quantized])
        #expect(quantize.code == 0, "\(quantize.errors)")
        let run = try await Program.run(
            ["evaluate", "--compare", folder.url.path, quantized, folder.url.path, "--data", shard, shard, "--class-set", set, "--json"])
        #expect(run.code == 0, "\(run.errors)")
        let models = try JSONDecoder().decode(Comparison.self, from: Data(run.output.utf8)).models
        #expect(models.map(\.bits) == ["float", "8-8-8", "float"] && models.allSatisfy { $0.images == 4 })
        #expect(models[0].top1 == models[2].top1 && models[0].expected_calibration_error == models[2].expected_calibration_error)
        #expect(models[0].classes.map(\.images) == [0, 2, 2])
        #expect(models[1].size_mib < models[0].size_mib)
    }

    @Test func `wrong usage says what is missing`() async throws {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let set = try folder.write("pets.yaml", "name: pets\nclasses: [cat, dog]\n")
        let none = try await Program.run(["evaluate", "--model", folder.url.path, "--class-set", set])
        #expect(none.code == 64 && none.errors.contains("--data"))
        let unlabelled = try await Program.run(["evaluate", "--model", folder.url.path, "--data", folder.url.path])
        #expect(unlabelled.code == 64 && unlabelled.errors.contains("--class-set"))
        let empty = try await Program.run(["evaluate", "--model", folder.url.path, "--data", folder.url.path, "--class-set", set])
        #expect(empty.code == 64 && empty.errors.contains("no images"))
        let missing = try await Program.run(["evaluate", "--model", folder.url.path, "--data", folder.path("nowhere"), "--class-set", set])
        #expect(missing.code == 1 && missing.errors.contains("dataset.unreadable"))
    }

    @Test(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
    func `the trained CLIP has PyTorch's top-1 and top-5 on CIFAR-10`() async throws {
        struct Expected: Decodable {
            struct Accuracy: Decodable {
                let top1: Double
                let top5: Double
            }
            struct Test: Decodable { let single: Accuracy }
            let classes: [String]
            let test_tar: Test
        }
        let model = try SharedFolder.file("models/cifar10-clip")
        let expected = try JSONDecoder().decode(Expected.self, from: Data(contentsOf: model.appendingPathComponent("expected.json")))
        let data = try SharedFolder.file("data/cifar10/test.tar").path
        let run = try await Program.run(
            ["evaluate", "--model", model.path, "--data", data, "--labels", expected.classes.joined(separator: ","), "--json"])
        #expect(run.code == 0, "\(run.errors)")
        let report = try JSONDecoder().decode(Report.self, from: Data(run.output.utf8))
        #expect(report.images == 5000)
        #expect(abs(try #require(report.top1) - expected.test_tar.single.top1) <= 0.0005)
        #expect(abs(try #require(report.top5) - expected.test_tar.single.top5) <= 0.0005)
    }
}

/// Archives of a few files, as tar(1) makes them.
enum Tar {
    static func archive(_ members: [(name: String, bytes: [UInt8])]) -> [UInt8] {
        members.flatMap { member($0.name, $0.bytes) } + [UInt8](repeating: 0, count: 1024)
    }

    private static func member(_ name: String, _ bytes: [UInt8]) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) { block.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8) }
        func octal(_ value: Int, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: digits - text.count) + text
        }
        put(name, at: 0)
        put("0000644\u{0}0000000\u{0}0000000\u{0}\(octal(bytes.count, 11))\u{0}00000000000\u{0}        0", at: 100)
        put("ustar\u{0}00", at: 257)
        put("\(octal(block.reduce(0) { $0 + Int($1) }, 6))\u{0} ", at: 148)
        return block + bytes + [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
    }
}
