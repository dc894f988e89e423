import Foundation
import Testing

/// Being watched: metrics as Prometheus reads them, traces from job to result, the files for operators.
@Suite(.serialized) struct WatchTests {
    private static let script = "Tests/WatchTests/scrape.py"
    private static let trace = "0af7651916cd43dd8448eb211c80319c"

    private func startWorker(_ folder: TemporaryFolder, _ endpoint: String, _ arguments: [String]) throws -> Program {
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        return try Program(
            ["worker", "--model", folder.url.path, "--labels", "cat,dog,fish", "--dispatcher", endpoint, "--threads", "1"] + arguments)
    }

    private func pictures(_ folder: TemporaryFolder) throws -> String {
        try FileManager.default.createDirectory(at: folder.url.appendingPathComponent("images"), withIntermediateDirectories: true)
        for index in 0..<12 { try folder.write("images/\(index).jpg", Pictures.all[index % 3]) }
        try folder.write("images/torn.png", Array(Pictures.png.prefix(60)))
        try folder.write("images/text.jpg", "no image at all")
        return folder.path("images")
    }

    @Test(.enabled(if: PythonPrograms.path != nil, "\(PythonPrograms.skipReason)"))
    func `Prometheus' parser reads what dispatcher and worker tell, and it is what happened`()
        async throws
    {
        let folder = try TemporaryFolder()
        let images = try pictures(folder)
        let port = Int.random(in: 40_000..<48_000)
        let (first, second) = ("http://127.0.0.1:\(port)", "http://127.0.0.1:\(port + 1)")
        let dispatcher = try await RunningDispatcher(folder, ["--http", "\(port)", "--max-jobs", "20"])
        #expect(try await dispatcher.run(["push", images, "--run", "r", "--priority", "7", "--traceparent", "no"]).code == 64)
        #expect(try await dispatcher.run(["push", images, "--run", "r", "--priority", "7"]).code == 0)
        #expect(try await dispatcher.run(["push", images, "--run", "r"]).code == 0)
        // More than six more find no room, and their producer waits.
        let waiting = try Program(["push", images, "--run", "s", "--dispatcher", dispatcher.endpoint])
        try await Task.sleep(for: .milliseconds(1100))
        kill(waiting.process.processIdentifier, SIGKILL)
        let before = try await Samples.scrape([first + "/metrics"])
        let level = ["service": "classify", "priority": "7"]
        #expect(before.sum("p4q_queue_jobs", level.merging(["state": "ready"]) { $1 }) == 14)
        #expect(try #require(before.sum("p4q_queue_oldest_seconds", level)) > 1)
        #expect(try #require(before.sum("p4q_queue_bytes", level)) > 1000)
        #expect(before.sum("p4q_jobs_duplicate_total") == 14)
        #expect(try #require(before.sum("p4q_jobs_busy_total", ["reason": "total.jobs"])) > 0)
        #expect(before.sum("p4q_workers") == 0)

        // What KEDA is told to look at.
        struct Stats: Decodable {
            struct Service: Decodable { let name: String; let open: Int }
            let services: [Service]
        }
        let stats = try JSONDecoder().decode(Stats.self, from: Data(try await dispatcher.run(["queue", "figures"]).output.utf8))
        #expect(stats.services.first { $0.name == "classify" }?.open == 20)

        let worker = try startWorker(folder, dispatcher.endpoint, ["--http", "\(port + 1)"])
        let open = Int(try #require(before.sum("p4q_queue_jobs", ["state": "open"])))
        let collected = try await dispatcher.run(["collect", "--count", "\(open)", "--timeout", "60"])
        #expect(try ResultLine.all(collected.output).count == open)
        let after = try await Samples.scrape([first + "/metrics", second + "/metrics"])
        #expect(after.sum("p4q_queue_jobs") ?? 0 == 0)
        #expect(after.sum("p4q_images_total") == Double(open))
        #expect(try #require(after.sum("p4q_images_total", ["format": "jpeg", "outcome": "scored"])) >= 8)
        #expect(
            after.sum("p4q_images_total", ["format": "png", "outcome": "decode.truncated"])
                == after.sum("p4q_jobs_rejected_total", ["code": "decode.truncated"]))
        #expect(try #require(after.sum("p4q_images_total", ["format": "none", "outcome": "decode.unsupported"])) >= 1)
        #expect(after.sum("p4q_outcomes_total") == Double(open))
        #expect(after.sum("p4q_stage_seconds_count", ["stage": "total"]) == Double(open))
        #expect(try #require(after.sum("p4q_worker_canaries_total", ["result": "right"])) >= 6)
        #expect(after.sum("p4q_worker_canaries_total", ["result": "wrong"]) == 0)
        #expect(after.sum("p4q_model_info", ["bits": "32"]) == 1)
        #expect(after.sum("p4q_workers", ["state": "idle"]) == 1)
        #expect(after.sum("p4q_metrics_dropped_series") == 0)
        #expect(after.sum("process_cpu_seconds_total") ?? 0 > 0)

        let status = try await dispatcher.run(["status"])
        #expect(status.output.contains("wait for lease  p50 ") && !status.output.contains("p99 -"))
        worker.terminate()
        #expect(await worker.wait() == 0)
        #expect(await dispatcher.stop() == 0)
    }

    @Test(.enabled(if: PythonPrograms.path != nil, "\(PythonPrograms.skipReason)"))
    func `the files for operators can be read, and the configuration among them is valid`() async throws {
        let operations = PythonPrograms.repository.appendingPathComponent("deploy/operations").path
        let program = try PythonPrograms.start(Self.script, ["--files", operations])
        #expect(await program.wait() == 0, "\(program.errors)")
        let valid = try await Program.run(["config", "validate", operations + "/p4q.yaml"])
        #expect(valid.code == 0 && valid.output.contains("and limits"), "\(valid.errors)")
    }

    @Test func `a trace context goes from the producer through the worker's log to the result, whatever becomes of the job`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(folder)
        let dispatcher = try await RunningDispatcher(folder)
        let context = "00-\(Self.trace)-b7ad6b7169203331-01"
        #expect(try await dispatcher.run(["push", images, "--run", "a", "--traceparent", context]).code == 0)
        // A producer that can't set the field, and one whose caller does not record.
        let other = "00-\(String(Self.trace.reversed()))-b7ad6b7169203331-00"
        #expect(
            try await dispatcher.run(["push", folder.path("images/0.jpg"), "--run", "b", "--metadata", "traceparent=\(other)"]).code == 0)
        #expect(try await dispatcher.run(["push", folder.path("images/0.jpg"), "--run", "c"]).code == 0)
        let worker = try startWorker(folder, dispatcher.endpoint, ["--log-format", "json", "--log-level", "debug"])
        let collected = try await dispatcher.run(["collect", "--count", "16", "--timeout", "60"])
        struct Traced: Decodable { let id, status: String; let traceparent: String? }
        let lines = try collected.output.split(separator: "\n").map { try JSONDecoder().decode(Traced.self, from: Data($0.utf8)) }
        #expect(lines.count { $0.id.hasPrefix("a/") && $0.traceparent == context } == 14)
        #expect(lines.contains { $0.id.hasPrefix("a/") && $0.status == "error" })
        #expect(lines.first { $0.id.hasPrefix("b/") }?.traceparent == other)
        #expect(lines.first { $0.id.hasPrefix("c/") }.map { $0.traceparent == nil } == true)

        // A job that dies without a worker keeps it too.
        worker.terminate()
        #expect(await worker.wait() == 0)
        #expect(
            try await dispatcher.run(["push", folder.path("images/1.jpg"), "--run", "d", "--deadline", "1", "--traceparent", context]).code
                == 0
        )
        let dead = try await dispatcher.run(["collect", "--count", "1", "--timeout", "30"])
        #expect(dead.output.contains("dead.expired") && dead.output.contains(context))

        struct Line: Decodable {
            let level, message: String
            let trace: String?
            enum CodingKeys: String, CodingKey { case level, message, trace = "trace.id" }
        }
        let log = worker.errors.split(separator: "\n").compactMap { try? JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        let done = log.filter { $0.message == "job done" }
        #expect(done.count { $0.trace == Self.trace && $0.level == "info" } == 14)
        #expect(done.count { $0.trace == String(Self.trace.reversed()) && $0.level == "debug" } == 1)
        #expect(done.count == 15)
        #expect(await dispatcher.stop() == 0)
    }
}
