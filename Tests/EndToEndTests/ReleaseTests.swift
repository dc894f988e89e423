import Foundation
import Testing

/// Releases by the program itself: published, taken, brought back, refused.
@Suite(.serialized) struct ReleaseTests {
    @Test func `workers score by what was published last, wholly, and by nobody's they don't trust`() async throws {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        for (name, bytes) in [("cat/0.jpg", Pictures.all[0]), ("dog/1.png", Pictures.all[1]), ("bird/2.jpg", Pictures.all[2])] {
            let url = folder.url.appendingPathComponent("train/\(name)")
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(bytes).write(to: url)
        }
        let set = try folder.write("pets.yaml", "name: pets\nclasses: [cat, dog, bird]\n")
        let (model, keys) = (folder.path("model"), folder.path("keys"))
        func run(_ arguments: [String]) async throws -> String {
            let run = try await Program.run(arguments)
            #expect(run.code == 0, "\(arguments): \(run.errors)")
            return run.output
        }
        _ = try await run(
            ["quantize", "--model", folder.url.path, "--calibration", folder.path("train"), "--class-set", set, "--out", model])
        for seed in ["1", "2"] {
            _ = try await run([
                "tune", "--model", model, "--teacher", folder.url.path, "--train", folder.path("train"), "--class-set", set, "--out",
                folder.path("t\(seed)"), "--context", "3", "--epochs", "4", "--prompt-rate", "0.1", "--seed", seed, "--feature-cache",
                folder.path("features"),
            ])
        }
        /// What each image's cosines are, by its name.
        func cosines(_ output: String) throws -> [String: [Float]] {
            let lines = try ResultLine.all(output)
            return Dictionary(
                lines.map { line in
                    let path = line.metadata["path"] ?? line.id
                    let cosines = (line.predictions ?? []).sorted { $0.index < $1.index }.map(\.cosine)
                    return (String(path.suffix(5)), cosines)
                }, uniquingKeysWith: { first, _ in first })
        }
        let images = ["cat/0.jpg", "dog/1.png", "bird/2.jpg"].map { folder.path("train/\($0)") }
        var expected: [String: [String: [Float]]] = [:]
        for tuning in ["", "t1", "t2"] {
            let options = tuning.isEmpty ? [] : ["--tuning", folder.path(tuning)]
            expected[tuning] = try cosines(
                await run(["classify", "--model", model, "--class-set", set, "--json"] + options + images))
        }
        #expect(expected["t1"] != expected["t2"] && expected[""] != expected["t1"])

        for name in ["ann", "eve"] { _ = try await run(["keys", "new", name, "--role", "publisher", "--folder", keys]) }
        let mode = try FileManager.default.attributesOfItem(atPath: "\(keys)/ann.key_secret")[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let port = Int.random(in: 48_000..<56_000)
        let dispatcher = try await RunningDispatcher(folder, ["--bind-releases", "@tcp://127.0.0.1:*", "--http", "\(port)"])
        var events: String?
        for _ in 0..<100 where events == nil {
            try await Task.sleep(for: .milliseconds(50))
            let words = dispatcher.program.errors.split(whereSeparator: \.isWhitespace)
            events = words.first { $0.hasPrefix("releases.endpoint=") }.map { String($0.dropFirst("releases.endpoint=".count)) }
        }
        let worker = try Program([
            "worker", "--model", model, "--class-set", set, "--dispatcher", dispatcher.endpoint, "--threads", "1", "--trust",
            "\(keys)/ann.key", "--http", "\(port + 1)",
        ])
        // It learns from the dispatcher where releases are told.
        let announced = "releases.endpoint=" + (try #require(events))
        var round = 0
        /// Pushes the images and expects the scores of `tuning` under `release`.
        func check(_ tuning: String, _ release: UInt64?) async throws {
            round += 1
            #expect(try await dispatcher.run(["push", "--run", "r\(round)"] + images).code == 0)
            let collected = try await dispatcher.run(["collect", "--count", "3", "--timeout", "60"])
            let lines = try ResultLine.all(collected.output)
            #expect(lines.count == 3 && lines.allSatisfy { $0.release == release }, "\(collected.output)")
            #expect(try cosines(collected.output) == expected[tuning])
        }
        func taken(_ version: UInt64) async -> Bool {
            for _ in 0..<200 {
                if worker.errors.contains("release.version=\(version) ") || worker.errors.contains("release.version=\(version)\n") {
                    return true
                }
                try? await Task.sleep(for: .milliseconds(25))
            }
            return false
        }
        func publish(_ tuning: String, _ more: [String] = [], key: String = "ann") async throws -> (
            code: Int, output: String, errors: String
        ) {
            try await dispatcher.run(
                [
                    "releases", "publish", folder.path(tuning), "--model", model, "--class-set", set, "--publisher-key",
                    "\(keys)/\(key).key_secret",
                ] + more)
        }
        let key = ["--publisher-key", "\(keys)/ann.key_secret"]
        try await check("", nil)
        #expect(worker.errors.contains(announced), "\(worker.errors)")
        let first = try await publish("t1", ["--note", "nightly"])
        #expect(first.code == 0 && first.output == "pets 1\n", "\(first.errors)")
        #expect(await taken(1), "\(worker.errors)")
        try await check("t1", 1)
        let lone = try await dispatcher.run(["releases", "rollback", "pets"] + key)
        #expect(lone.code == 66 && lone.errors.contains("no release before the live one"), "\(lone.errors)")
        #expect(try await publish("t2", ["--shadow"]).output == "pets 2\n")
        #expect(await taken(2))
        try await check("t1", 1)
        #expect(try await dispatcher.run(["releases", "promote", "pets"] + key).output == "pets 3\n")
        #expect(await taken(3))
        try await check("t2", 3)
        #expect(try await dispatcher.run(["releases", "rollback", "pets"] + key).output == "pets 4\n")
        #expect(await taken(4))
        try await check("t1", 4)

        #expect(try await publish("t2", ["--parent", "3"]).code == 75)
        #expect(try await dispatcher.run(["releases", "pin", "pets", "4"]).code == 0)
        let pinned = try await publish("t2")
        #expect(pinned.code == 75 && pinned.errors.contains("pinned"), "\(pinned.errors)")
        #expect(try await dispatcher.run(["releases", "unpin", "pets"]).code == 0)
        let list = try await dispatcher.run(["releases", "list", "pets"]).output
        #expect(list.split(separator: "\n").count == 5 && list.contains("nightly") && list.contains("back to 1"), "\(list)")
        #expect(try await dispatcher.run(["releases", "list", "--json"]).output.contains(#""live":4"#))
        #expect(try await dispatcher.run(["releases", "show", "pets", "1"]).output.contains(#""note":"nightly""#))
        let differences = try await dispatcher.run(["releases", "diff", "pets", "1", "3"]).output
        #expect(differences.contains("content_sha256: ") && !differences.contains("model_sha256"))
        #expect(try await dispatcher.run(["releases", "show", "pets", "9"]).code == 66)
        let unknown = try await dispatcher.run(["releases", "list", "nobody"])
        #expect(unknown.code == 66 && unknown.errors.contains("nobody has no release;"), "\(unknown.errors)")

        // Whoever may publish is not yet trusted by the workers.
        #expect(try await publish("t2", key: "eve").output == "pets 5\n")
        for _ in 0..<200 where !worker.errors.contains("release.untrusted") { try await Task.sleep(for: .milliseconds(25)) }
        #expect(worker.errors.contains("release.untrusted"))
        try await check("t1", 4)
        try await watched(
            "http://127.0.0.1:\(port)", "http://127.0.0.1:\(port + 1)", push: folder.write("none.jpg", "no image at all"), dispatcher)
        // After a restart of the dispatcher everything is still there.
        #expect(await dispatcher.stop() == 0)
        let again = try await RunningDispatcher(folder, endpoint: "@" + dispatcher.endpoint)
        #expect(try await again.run(["releases", "list", "pets"]).output.split(separator: "\n").count == 6)
        worker.terminate()
        #expect(await worker.wait() == 0)
        #expect(await again.stop() == 0)
    }

    /// Dispatcher and worker tell Prometheus of the releases, and between them have every metric that rules and dashboard name.
    private func watched(_ dispatcher: String, _ worker: String, push noImage: String, _ running: RunningDispatcher) async throws {
        guard PythonPrograms.path != nil else { return }
        _ = try await running.run(["push", noImage, "--run", "no-image"])
        #expect(try await running.run(["collect", "--count", "1", "--timeout", "30"]).output.contains("decode.unsupported"))
        let operations = PythonPrograms.repository.appendingPathComponent("deploy/operations").path
        let seen = try await Samples.scrape([
            "--expect", operations + "/prometheus-rules.yml", operations + "/grafana-dashboard.json", dispatcher + "/metrics",
            worker + "/metrics",
        ])
        #expect(seen.sum("p4q_release_info", ["class_set": "pets", "mode": "live", "version": "4"]) == 1)
        #expect(seen.sum("p4q_release_info", ["class_set": "pets", "mode": "live", "version": "5"]) == 1)
        #expect(try #require(seen.sum("p4q_worker_releases_refused_total", ["code": "release.untrusted"])) >= 1)
        #expect(seen.sum("p4q_worker_releases_taken_total") == 4)
        // Told by the dispatcher, not found by looking every second.
        #expect(try #require(seen.sum("p4q_worker_release_snapshots_total")) < 30)
    }
}
