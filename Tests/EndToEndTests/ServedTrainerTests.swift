import Foundation
import Services
import TestSupport
import Testing
import Training

/// `p4q serve` with everything: dispatcher, workers and trainer as children.
private final class RunningServer: Sendable {
    let program: Program
    let endpoint: String
    let journal: String

    init(_ folder: TemporaryFolder, _ arguments: [String]) throws {
        journal = folder.path("journal")
        endpoint = "ipc://" + folder.path("q.sock")
        program = try Program(["serve", "--bind", "@" + endpoint, "--journal", journal] + arguments)
    }

    func run(_ arguments: [String]) async throws -> (code: Int, output: String, errors: String) {
        try await Program.run(arguments + ["--dispatcher", endpoint])
    }

    /// Waits for a word of the logs; false after `limit`.
    func says(_ text: String, count: Int = 1, within limit: Duration) async throws -> Bool {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            if program.errors.components(separatedBy: text).count > count { return true }
            try await Task.sleep(for: .milliseconds(200))
        }
        return false
    }
}

@Suite(.serialized) struct ServedTrainerTests {
    private static let isLong = ProcessInfo.processInfo.environment["P4Q_LONG"] != nil

    /// Draws labelled pictures; gives their paths and kinds.
    private func draw(_ folder: TemporaryFolder, _ name: String, count: Int, seed: Int) async throws -> [(path: String, kind: String)] {
        let run = try await Program.run([
            "draw", "--count", "\(count)", "--seed", "\(seed)", "--domain", "field", "--split", "training", "--format", "jpeg", "--out",
            folder.path(name), "--quiet",
        ])
        #expect(run.code == 0, "\(run.errors)")
        try FileManager.default.removeItem(atPath: folder.path(name) + "/classes.yaml")
        let manager = FileManager.default
        return try manager.contentsOfDirectory(atPath: folder.path(name)).sorted().flatMap { kind in
            try manager.contentsOfDirectory(atPath: folder.path("\(name)/\(kind)")).sorted().map { ("\(name)/\(kind)/\($0)", kind) }
        }
    }

    @Test func `labels in JSON Lines become a shadow that the fleet tries, which is promoted by rule, and a report`() async throws {
        let folder = try TemporaryFolder()
        let server = try RunningServer(
            folder,
            [
                "--workers", "2", "--trainer",
                "--after 1000 --shadow --shadow-images 200 --keep-images --http 127.0.0.1:0 --held-out-share 0.3 --log-level debug",
            ])
        #expect(try await server.says("worker ready", count: 3, within: .seconds(60)), "\(server.program.errors)")
        // By CSV and JSON Lines the names, and so the part that is held out, are the same in every run.
        let pictures = try await draw(folder, "good", count: 1000, seed: 21)
        let lines = pictures.map { #"{"id": "\#($0.path)", "label": "\#($0.kind)", "path": "\#($0.path)"}"# }
        let table = try folder.write("good.jsonl", lines.joined(separator: "\n") + "\n")
        let pushed = try await server.run(["label", "push", table])
        #expect(pushed.code == 0 && pushed.errors.contains("1000 labelled images accepted"), "\(pushed.errors)")
        #expect(try await server.says("published", within: .seconds(180)), "\(server.program.errors)")
        let tried = try await server.run(["releases", "list", "--json"]).output
        #expect(tried.contains(#""shadow":1"#) && !tried.contains(#""live":"#), "\(tried)")
        let shown = try await server.run(["releases", "show", "drawn-world", "1"])
        #expect(shown.output.contains(#""gate":{"#) && shown.output.contains(#""held_out":"#), "\(shown.output)")

        _ = try await draw(folder, "fresh", count: 220, seed: 31)
        #expect(try await server.run(["push", folder.path("fresh"), "--run", "one"]).code == 0)
        #expect(try await server.says("shadow.promoted", within: .seconds(60)), "\(server.program.errors)")
        #expect(try await server.says("release.mode=live", count: 2, within: .seconds(10)))
        let live = try await server.run(["releases", "list", "--json"]).output
        #expect(live.contains(#""live":2"#), "\(live)")
        #expect(try await server.run(["push", folder.path("fresh"), "--run", "two"]).code == 0)
        let collected = try await server.run(["collect", "--count", "1440", "--timeout", "60"])
        let results = collected.output.split(separator: "\n")
        #expect(results.count == 1440 && results.count { $0.contains(#""effect":"kept""#) } == 1000)
        #expect(results.count { $0.contains(#""release":2"#) } == 220)

        let store = server.journal + "/trainer"
        let stats = try await Program.run(["label", "stats", "--store", store])
        #expect(stats.output.contains(#""kind":"shadow.promoted""#), "\(stats.output)")
        let page = folder.path("report.html")
        #expect(try await Program.run(["report", "--store", store, "--out", page]).code == 0)
        let text = try String(contentsOfFile: page, encoding: .utf8)
        for part in ["Accuracy on", "Changes by class", "Confusion", "Calibration", "Answers that changed", "Labels", "shadow.promoted"] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(text.contains("data:image/jpeg;base64,") && !text.contains("<script") && !text.contains("http://127"))
        #expect(try await Program.run(["report", "--store", store, "--class-set", "none", "--out", page]).code == 66)
        server.program.terminate()
        #expect(await server.program.wait() == 0)
    }

    /// Waits for the minute's turn.
    @Test(.enabled(if: isLong)) func `a trainer retrains when cron says so`() async throws {
        let folder = try TemporaryFolder()
        let server = try RunningServer(folder, ["--workers", "0", "--trainer", "--cron '* * * * *' --name cron"])
        let pictures = try await draw(folder, "few", count: 110, seed: 5)
        let lines = pictures.map { #"{"id": "\#($0.path)", "label": "\#($0.kind)", "path": "\#($0.path)"}"# }
        #expect(try await server.run(["label", "push", try folder.write("few.jsonl", lines.joined(separator: "\n"))]).code == 0)
        #expect(try await server.says("training run", within: .seconds(75)), "\(server.program.errors)")
        server.program.terminate()
        #expect(await server.program.wait() == 0)
    }
}
