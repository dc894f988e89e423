import Foundation
import TestSupport
import Testing

/// Releases over encrypted connections, publishing socket included.
@Suite(.serialized) struct ReleaseSecurityTests {
    @Test func `with keys, workers hear of releases on an encrypted publishing socket, and strangers hear nothing`() async throws {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        for (name, bytes) in [("cat/0.jpg", Pictures.all[0]), ("dog/1.png", Pictures.all[1])] {
            let url = folder.url.appendingPathComponent("train/\(name)")
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(bytes).write(to: url)
        }
        let set = try folder.write("pets.yaml", "name: pets\nclasses: [cat, dog]\n")
        let (model, keys, allowed) = (folder.path("model"), folder.path("keys"), folder.path("allowed"))
        func run(_ arguments: [String]) async throws {
            let run = try await Program.run(arguments)
            #expect(run.code == 0, "\(arguments): \(run.errors)")
        }
        try await run(["quantize", "--model", folder.url.path, "--calibration", folder.path("train"), "--class-set", set, "--out", model])
        try await run([
            "tune", "--model", model, "--teacher", folder.url.path, "--train", folder.path("train"), "--class-set", set, "--out",
            folder.path("t"), "--context", "3", "--epochs", "2", "--feature-cache", "none",
        ])
        for name in ["dispatcher", "worker", "boss", "stranger"] { try await run(["keys", "new", name, "--folder", keys]) }
        try await run(["keys", "new", "ann", "--role", "publisher", "--folder", keys])
        try await run(["keys", "allow", "\(keys)/worker.key", "--role", "worker", "--allow", allowed])
        try await run(["keys", "allow", "\(keys)/boss.key", "--role", "publisher", "--allow", allowed])
        let dispatcher = try await RunningDispatcher(
            folder,
            ["--bind-releases", "@tcp://127.0.0.1:*", "--key", "\(keys)/dispatcher.key_secret", "--allow", allowed])
        var events: String?
        for _ in 0..<100 where events == nil {
            try await Task.sleep(for: .milliseconds(50))
            let words = dispatcher.program.errors.split(whereSeparator: \.isWhitespace)
            events = words.first { $0.hasPrefix("releases.endpoint=") }.map { String($0.dropFirst("releases.endpoint=".count)) }
        }
        func worker(_ key: String) throws -> Program {
            try Program([
                "worker", "--model", model, "--class-set", set, "--dispatcher", dispatcher.endpoint, "--threads", "1", "--trust",
                "\(keys)/ann.key", "--releases", events ?? "", "--key", "\(keys)/\(key).key_secret", "--server-key",
                "\(keys)/dispatcher.key",
            ])
        }
        let (good, bad) = (try worker("worker"), try worker("stranger"))
        for _ in 0..<200 where !good.errors.contains("worker ready") { try await Task.sleep(for: .milliseconds(50)) }
        // Beyond the snapshot at the start: what comes now comes by the publishing socket.
        try await Task.sleep(for: .seconds(2))
        let published = try await dispatcher.run([
            "releases", "publish", folder.path("t"), "--model", model, "--class-set", set, "--publisher-key", "\(keys)/ann.key_secret",
            "--key", "\(keys)/boss.key_secret", "--server-key", "\(keys)/dispatcher.key",
        ])
        #expect(published.code == 0 && published.output == "pets 1\n", "\(published.errors)")
        let start = ContinuousClock.now
        for _ in 0..<100 where !good.errors.contains("release.version=1") { try await Task.sleep(for: .milliseconds(20)) }
        #expect(good.errors.contains("release.version=1"), "\(good.errors)")
        // The worker takes the snapshot again only after three seconds of silence; beacons come each second.
        #expect(ContinuousClock.now - start < .seconds(1))
        #expect(!good.errors.contains("can't be followed"))
        #expect(!bad.errors.contains("release.version=1"))
        for program in [good, bad] {
            program.terminate()
            _ = await program.wait()
        }
        #expect(await dispatcher.stop() == 0)
    }
}
