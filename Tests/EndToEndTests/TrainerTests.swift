import CLIP
import Datasets
import Foundation
import Imaging
import Messages
import Quantization
import Services
import Tensors
import TestSupport
import Testing
import Training
import Transport
import Tuning

/// A model, a class set of three colours, and pictures of them.
struct TrainerPlace {
    static let colours: [(name: String, rgb: [Int])] = [("red", [200, 60, 60]), ("green", [60, 200, 60]), ("blue", [60, 60, 200])]

    let folder: TemporaryFolder
    let model: String
    let set: String

    init() async throws {
        folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        set = try folder.write("colours.yaml", "name: colours\nclasses: [red, green, blue]\n")
        model = folder.path("8-8-8")
        _ = try Self.pictures(folder, "calibration", count: 4) { $0 }
        let run = try await Program.run(
            [
                "quantize", "--model", folder.url.path, "--calibration", folder.path("calibration"), "--class-set", set, "--bits", "8-8-8",
                "--out", model,
            ])
        #expect(run.code == 0, "\(run.errors)")
    }

    /// `count` noisy pictures of each colour in folders that `label` names; gives the folder.
    static func pictures(
        _ folder: TemporaryFolder, _ name: String, count: Int, seed: UInt64 = 1, label: (Int) -> Int
    ) throws -> String {
        var state = seed
        func noise() -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % 91 - 45
        }
        for index in 0..<count * 3 {
            let colour = colours[index % 3]
            let rgb = (0..<32 * 32 * 3).map { UInt8(clamping: colour.rgb[$0 % 3] + noise()) }
            let path = "\(name)/\(colours[label(index % 3)].name)/\(index).png"
            try FileManager.default.createDirectory(
                at: folder.url.appendingPathComponent(path).deletingLastPathComponent(), withIntermediateDirectories: true)
            try folder.write(path, StoredPNG.encode(rgb: rgb, width: 32, height: 32))
        }
        return folder.path(name)
    }

    func trainArguments(_ endpoint: String, _ more: [String]) -> [String] {
        [
            "train", "--model", model, "--teacher", folder.url.path, "--class-set", set, "--dispatcher", endpoint, "--store",
            folder.path("store"), "--parts", "adapter", "--epochs", "40", "--batch", "16", "--adapter-rate", "0.003",
            "--adapt-ratio", "0.8", "--lambda", "0", "--gate-examples", "20", "--threads", "1",
        ] + more
    }

    var store: ExampleStore { get throws { try ExampleStore(reading: URL(fileURLWithPath: folder.path("store"))) } }
}

/// The built-in model, which has something to learn from pictures of the field.
private struct FieldPlace {
    static let set = "drawn-world"
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// `count` labelled pictures; gives their folder.
    func pictures(_ name: String, count: Int, seed: Int) async throws -> String {
        let run = try await Program.run([
            "draw", "--count", "\(count)", "--seed", "\(seed)", "--domain", "field", "--split", "training", "--format", "jpeg", "--out",
            folder.path(name), "--quiet",
        ])
        #expect(run.code == 0, "\(run.errors)")
        try FileManager.default.removeItem(atPath: folder.path(name) + "/classes.yaml")
        return folder.path(name)
    }

    /// A table of a folder's pictures whose names, and so the part that is held out, are the same in every run.
    func table(_ name: String) throws -> String {
        let manager = FileManager.default
        var lines = ["id,label,path"]
        for kind in try manager.contentsOfDirectory(atPath: folder.path(name)).sorted() {
            for file in try manager.contentsOfDirectory(atPath: folder.path("\(name)/\(kind)")).sorted() {
                lines.append("\(kind)/\(file),\(kind),\(name)/\(kind)/\(file)")
            }
        }
        return try folder.write("\(name).csv", lines.joined(separator: "\n") + "\n")
    }

    /// The same with every picture in the folder of another kind.
    func shuffled(_ name: String, count: Int, seed: Int) async throws -> String {
        let right = try await pictures(name + "-right", count: count, seed: seed)
        let manager = FileManager.default
        let kinds = try manager.contentsOfDirectory(atPath: right).sorted()
        var place = 0
        for kind in kinds {
            for file in try manager.contentsOfDirectory(atPath: "\(right)/\(kind)").sorted() {
                place += 1
                let target = "\(folder.path(name))/\(kinds[place * 7 % kinds.count])"
                try manager.createDirectory(atPath: target, withIntermediateDirectories: true)
                try manager.copyItem(atPath: "\(right)/\(kind)/\(file)", toPath: "\(target)/\(file)")
            }
        }
        return folder.path(name)
    }

    func trainArguments(_ endpoint: String, _ more: [String]) -> [String] {
        ["train", "--dispatcher", endpoint, "--store", folder.path("store")] + more
    }

    func trainOnce(_ endpoint: String) async throws -> [String: Any] {
        let run = try await Program.run(trainArguments(endpoint, ["--once"]))
        #expect(run.code == 0, "\(run.errors)")
        return try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
    }

    var store: ExampleStore { get throws { try ExampleStore(reading: URL(fileURLWithPath: folder.path("store"))) } }
}

@Suite(.serialized) struct TrainerTests {
    private static let isLong = ProcessInfo.processInfo.environment["P4Q_LONG"] != nil

    @Test func `labels become a better release, harmful ones don't, and what is forgotten is gone`() async throws {
        let place = try FieldPlace()
        let dispatcher = try await RunningDispatcher(place.folder)
        let pictures = try await place.pictures("good", count: 1000, seed: 21)
        try place.folder.write("good/fish/torn.png", [0x89, 0x50, 0x4E])
        try FileManager.default.createDirectory(atPath: pictures + "/purple", withIntermediateDirectories: true)
        try place.folder.write("good/purple/1.png", Pictures.png)
        let good = try place.table("good")
        #expect(try await dispatcher.run(["label", "push", good]).code == 0)

        let made = try await place.trainOnce(dispatcher.endpoint)
        #expect(made["result"] as? String == "published" && made["version"] as? Int == 1, "\(made)")
        let (before, after) = (try #require(made["right_before"] as? Int), try #require(made["right_after"] as? Int))
        #expect(after > before && (made["p"] as? Double ?? 1) < 0.025, "\(made)")
        let outcomes = try await dispatcher.run(["collect", "--count", "1002", "--timeout", "30"])
        let lines = outcomes.output.split(separator: "\n")
        #expect(lines.count == 1002 && lines.count { $0.contains(#""effect":"kept""#) } == 1000)
        #expect(lines.count { $0.contains(#""code":"label.unknown""#) } == 1 && lines.count { $0.contains(#""code":"decode."#) } == 1)
        #expect(try await place.trainOnce(dispatcher.endpoint)["result"] as? String == "nothing_new")

        let shuffled = try await place.shuffled("shuffled", count: 550, seed: 24)
        #expect(try await dispatcher.run(["label", "push", shuffled]).code == 0)
        let harmful = try await place.trainOnce(dispatcher.endpoint)
        #expect(harmful["result"] as? String == "rejected", "\(harmful)")

        let gone = "fish/\(try #require(try FileManager.default.contentsOfDirectory(atPath: pictures + "/fish").sorted().first))"
        #expect(try (try place.store).example(classSet: FieldPlace.set, id: "labels/" + gone) != nil)
        #expect(try await dispatcher.run(["label", "rm", gone]).code == 0)
        _ = try await place.trainOnce(dispatcher.endpoint)
        #expect(try (try place.store).example(classSet: FieldPlace.set, id: "labels/" + gone) == nil)
        #expect(try (try place.store).tombstones() == 1)
        let stats = try await Program.run(["label", "stats", "--store", place.folder.path("store")])
        #expect(stats.code == 0 && stats.output.split(separator: "\n").count == 55, "\(stats.output)")
        #expect(await dispatcher.stop() == 0)
    }

    @Test func `features are those of the tower that serves, bit for bit`() async throws {
        let place = try await TrainerPlace()
        let dispatcher = try await RunningDispatcher(place.folder)
        let folder = try TrainerPlace.pictures(place.folder, "few", count: 2) { $0 }
        let table = try place.folder.write(
            "t.csv",
            "id,label,path\n"
                + (0..<3).map { "e\($0),\(TrainerPlace.colours[$0].name),few/\(TrainerPlace.colours[$0].name)/\($0).png\n" }.joined())
        #expect(try await dispatcher.run(["label", "push", table]).code == 0)
        // Six examples are too few for anything; the features are kept all the same.
        _ = try await Program.run(place.trainArguments(dispatcher.endpoint, ["--once", "--idle", "1"]))
        let model = try QuantizedFolder.load(URL(fileURLWithPath: place.model))
        let preprocessor = try ImagePreprocessor(model.preprocessor)
        for index in 0..<3 {
            let kept = try #require(try (try place.store).example(classSet: "colours", id: "labels/e\(index)"))
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(TrainerPlace.colours[index].name)/\(index).png")))
            var crop = [UInt8](repeating: 0, count: preprocessor.sampleCount)
            try bytes.withUnsafeBytes { bytes in
                try crop.withUnsafeMutableBufferPointer {
                    try preprocessor.crop(bytes, decoder: ImageDecoder(), into: $0, workspace: ImageWorkspace())
                }
            }
            var feature = [Float](repeating: 0, count: model.imageEncoder.featureWidth)
            crop.withUnsafeBufferPointer { crop in
                feature.withUnsafeMutableBufferPointer { model.imageEncoder.encode(crops: crop, count: 1, features: $0, pool: .serial) }
            }
            #expect(Array(kept.features.prefix(feature.count)) == feature)
            #expect(kept.features.count == 2 * feature.count && kept.label == TrainerPlace.colours[index].name)
        }
        #expect(await dispatcher.stop() == 0)
    }

    /// 100 kills with `deploy/test --long`, six otherwise.
    @Test func `a trainer that is killed loses no label, uses none twice, and publishes a release whole and once`() async throws {
        let place = try FieldPlace()
        let dispatcher = try await RunningDispatcher(place.folder)
        #expect(try await dispatcher.run(["sinks", "add", "all", "--exclusive"]).code == 0)
        let kills = Self.isLong ? 100 : 6
        let each = Self.isLong ? 110 : 220
        var pushed = 0
        // The same moments in every run.
        var moment: UInt64 = 7
        for kill in 0..<kills {
            let folder = try await place.pictures("k\(kill)", count: each, seed: kill + 100)
            #expect(try await dispatcher.run(["label", "push", folder]).code == 0)
            pushed += each
            let trainer = try Program(place.trainArguments(dispatcher.endpoint, ["--after", "50"]))
            moment = moment &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            try await Task.sleep(for: .milliseconds(300 + Int(moment >> 33) % 3000))
            Glibc.kill(trainer.process.processIdentifier, SIGKILL)
            _ = await trainer.wait()
        }
        _ = try await place.trainOnce(dispatcher.endpoint)
        let sink = try await dispatcher.run(["collect", "--group", "all", "--count", "\(pushed)", "--timeout", "60"])
        let lines = try sink.output.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(lines.count == pushed && Set(lines.compactMap { $0["id"] as? String }).count == pushed)
        #expect(lines.allSatisfy { $0["status"] as? String == "learned" })
        let store = try place.store
        #expect(try store.labelCounts().reduce(0) { $0 + $1.training + $1.heldOut } == pushed)
        #expect(try store.changes(classSet: FieldPlace.set) == pushed)
        let runs = try store.runs(classSet: FieldPlace.set)
        let versions = runs.compactMap(\.version)
        #expect(!versions.isEmpty && versions == Array(1...UInt64(versions.count)), "\(runs.map { "\($0.state)" })")
        #expect(runs.allSatisfy { $0.state != .training && $0.state != .accepted })
        let context = try ZeroMQContext()
        defer { context.terminate() }
        let client = try DispatcherClient(
            to: try Endpoint(dispatcher.endpoint, default: .connect), in: context, options: SocketOptions())
        #expect(try client.releaseState(of: FieldPlace.set)?.last == UInt64(versions.count))
        // Each release is whole.
        for entry in try client.releases(of: FieldPlace.set) where entry.isKept {
            let file = place.folder.url.appendingPathComponent("content")
            try client.download(entry.release.unverifiedManifest(), to: file)
            _ = try ReleaseContent(contentsOf: file)
            try FileManager.default.removeItem(at: file)
        }
        print("\(kills) kills, \(pushed) labels, \(runs.count) runs, \(versions.count) releases")
        #expect(await dispatcher.stop() == 0)
    }
}
