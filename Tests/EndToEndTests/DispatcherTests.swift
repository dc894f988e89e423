import Foundation
import TestSupport
import Testing

/// A dispatcher with its journal in a folder of its own, on a port of its own.
final class RunningDispatcher: Sendable {
    let program: Program
    let endpoint: String

    init(_ folder: TemporaryFolder, _ arguments: [String] = [], endpoint: String = "@tcp://127.0.0.1:*") async throws {
        program = try Program(["dispatch", "--bind", endpoint, "--journal", folder.path("journal")] + arguments)
        var found: Substring?
        for _ in 0..<300 where found == nil && program.process.isRunning {
            try await Task.sleep(for: .milliseconds(50))
            found = program.errors.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("endpoints=") }?.dropFirst("endpoints=".count)
        }
        guard let found else { throw RunningWorker.NotReady(log: program.errors) }
        self.endpoint = String(found)
    }

    /// `p4q` with this dispatcher.
    func run(_ arguments: [String]) async throws -> (code: Int, output: String, errors: String) {
        try await Program.run(arguments + ["--dispatcher", endpoint])
    }

    func stop() async -> Int {
        program.terminate()
        return await program.wait()
    }
}

@Suite(.serialized) struct DispatcherTests {
    private func pictures(_ count: Int, in folder: TemporaryFolder) throws -> String {
        try FileManager.default.createDirectory(at: folder.url.appendingPathComponent("images"), withIntermediateDirectories: true)
        for index in 0..<count {
            let picture = Pictures.all[index % 3]
            try folder.write("images/\(index).jpg", index % 10 == 3 ? Array(picture.prefix(picture.count / 2)) : picture)
        }
        return folder.path("images")
    }

    private func startWorker(_ folder: TemporaryFolder, _ endpoint: String, _ arguments: [String] = []) throws -> Program {
        if !FileManager.default.fileExists(atPath: folder.path("config.json")) { try RandomCLIP.write(RandomCLIP.small, to: folder.url) }
        return try Program(
            ["worker", "--model", folder.url.path, "--labels", "cat,dog,fish", "--dispatcher", endpoint, "--threads", "1"] + arguments)
    }

    @Test func `what was accepted is scored once, across a restart, and a run that goes on sends only what is missing`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(60, in: folder)
        var dispatcher = try await RunningDispatcher(folder)
        #expect(try await dispatcher.run(["sinks", "add", "one", "--exclusive"]).code == 0)
        let pushed = try await dispatcher.run(["push", images, "--run", "r1"])
        #expect(pushed.code == 0 && pushed.errors.contains("60 images accepted"))

        // Nobody has worked yet: the journal alone knows of the jobs.
        kill(dispatcher.program.process.processIdentifier, SIGKILL)
        _ = await dispatcher.program.wait()
        let endpoint = dispatcher.endpoint
        dispatcher = try await RunningDispatcher(folder, endpoint: "@" + endpoint)
        let again = try await dispatcher.run(["push", images, "--run", "r1", "--resume"])
        #expect(again.code == 0 && again.errors.contains("0 images accepted, 60 were there already"))

        let worker = try startWorker(folder, endpoint)
        let out = folder.path("one.jsonl")
        let sink = try await dispatcher.run(["collect", "--group", "one", "--out", out, "--count", "60", "--timeout", "60"])
        #expect(sink.code == 0)
        let other = try await dispatcher.run(["collect", "--count", "60", "--timeout", "30"])
        let lines = try ResultLine.all(try String(contentsOfFile: out, encoding: .utf8))
        #expect(lines.count == 60 && Set(lines.map(\.id)).count == 60)
        #expect(lines.count { $0.status == "error" && $0.error?.code.hasPrefix("decode.") == true } == 6)
        #expect(Set(lines.map(\.id)) == Set(try ResultLine.all(other.output).map(\.id)))
        #expect(lines.allSatisfy { $0.metadata["path"]?.hasPrefix(images) == true })

        // A torn last line is cut off; what it had was acknowledged, so nothing comes again.
        let text = try String(contentsOfFile: out, encoding: .utf8)
        try (text + #"{"id":"torn","se"#).write(toFile: out, atomically: false, encoding: .utf8)
        let resumed = try await dispatcher.run(["collect", "--group", "one", "--out", out, "--timeout", "2"])
        #expect(resumed.code == 0 && resumed.errors.contains("torn last line"))
        #expect(try String(contentsOfFile: out, encoding: .utf8) == text)

        let known = try await dispatcher.run(["queue", "job", lines[0].id, "nobody/knows"])
        #expect(known.code == 1 && known.output.contains("\(lines[0].id)\tscored") || known.output.contains("rejected"))
        #expect(known.output.contains("nobody/knows\tunknown"))
        worker.terminate()
        #expect(await worker.wait() == 0)
        #expect(await dispatcher.stop() == 0)
    }

    @Test func `a queue can be looked at, paused, emptied and its dead letters run again`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(12, in: folder)
        let dispatcher = try await RunningDispatcher(folder, ["--http", "127.0.0.1:0"])
        #expect(try await dispatcher.run(["queue", "pause", "classify"]).code == 0)
        #expect(try await dispatcher.run(["push", images, "--deadline", "1"]).code == 0)
        let dead = try await dispatcher.run(["collect", "--count", "12", "--timeout", "30"])
        #expect(try ResultLine.all(dead.output).allSatisfy { $0.error?.code == "dead.expired" })
        let letters = try await dispatcher.run(["queue", "dead"]).output
        #expect(letters.contains(#""outcome":"dead_expired""#))
        #expect(try await dispatcher.run(["push", images]).code == 0)
        #expect(try await dispatcher.run(["queue", "peek", "classify", "--limit", "2"]).output.contains(#""service":"classify""#))
        #expect(try await dispatcher.run(["queue", "purge", "classify"]).code == 64)
        #expect(try await dispatcher.run(["queue", "purge", "classify", "--yes"]).output.contains("12 jobs"))
        let status = try await dispatcher.run(["status"])
        #expect(status.code == 0 && status.output.contains("dead_purged") && status.output.contains("classify: paused"))
        #expect(try await dispatcher.run(["top", "--count", "2", "--interval", "0.2"]).output.contains("outcomes_per_second="))
        #expect(try await dispatcher.run(["sinks", "rm", "nothing"]).code == 1)
        #expect(dispatcher.program.errors.contains("audit.call"))
        #expect(await dispatcher.stop() == 0)
    }

    @Test func `a second dispatcher on a journal is sent away`() async throws {
        let folder = try TemporaryFolder()
        let dispatcher = try await RunningDispatcher(folder)
        let second = try await Program.run(["dispatch", "--bind", "@tcp://127.0.0.1:*", "--journal", folder.path("journal")])
        #expect(second.code == 75 && second.errors.contains("another dispatcher"))
        #expect(await dispatcher.stop() == 0)
    }

    @Test func `a backup of a running journal restores what was accepted, and logs can be JSON`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(30, in: folder)
        let dispatcher = try await RunningDispatcher(folder)
        #expect(try await dispatcher.run(["push", images, "--run", "r1"]).code == 0)
        let saved = try await dispatcher.run(["journal", "backup", folder.path("backup")])
        #expect(saved.code == 0, "\(saved.errors)")
        #expect(try await dispatcher.run(["journal", "backup", folder.path("backup")]).code == 1)
        #expect(try await dispatcher.run(["queue", "purge", "classify", "--yes"]).code == 0)
        #expect(await dispatcher.stop() == 0)

        let restored = try await Program.run(["journal", "restore", folder.path("backup"), folder.path("restored")])
        #expect(restored.code == 0, "\(restored.errors)")
        #expect(try await Program.run(["journal", "restore", folder.path("images"), folder.path("x")]).code == 66)
        let second = try Program(
            ["dispatch", "--bind", "@tcp://127.0.0.1:45731", "--journal", folder.path("restored"), "--log-format", "json"])
        func ask(_ arguments: [String]) async throws -> (code: Int, output: String, errors: String) {
            try await Program.run(arguments + ["--dispatcher", "tcp://127.0.0.1:45731"])
        }
        let again = try await ask(["push", images, "--run", "r1"])
        #expect(again.code == 0 && again.errors.contains("0 images accepted, 30 were there already"), "\(again.errors)")
        let worker = try startWorker(folder, "tcp://127.0.0.1:45731")
        let out = folder.path("out.jsonl")
        #expect(try await ask(["collect", "--out", out, "--count", "30"]).code == 0)
        let ids = try String(contentsOfFile: out, encoding: .utf8).split(separator: "\n").map { $0.prefix { $0 != "," } }
        #expect(ids.count == 30 && Set(ids).count == 30)
        worker.terminate()
        _ = await worker.wait()
        second.terminate()
        #expect(await second.wait() == 0)
        let lines = second.errors.split(separator: "\n")
        struct Line: Decodable { let time, level, logger, message: String }
        #expect(!lines.isEmpty && lines.allSatisfy { (try? JSONDecoder().decode(Line.self, from: Data($0.utf8))) != nil })
    }

    @Test func `with keys, each may do what its roles say, and a revoked one nothing`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(3, in: folder)
        let (keys, allow) = (folder.path("keys"), folder.path("allow"))
        for name in ["server", "pat", "sue", "eve"] { #expect(try await Program.run(["keys", "new", name, "--folder", keys]).code == 0) }
        for (name, role) in [("pat", "producer"), ("sue", "sink,admin")] {
            #expect(try await Program.run(["keys", "allow", "\(keys)/\(name).key", "--role", role, "--allow", allow]).code == 0)
        }
        #expect(try await Program.run(["dispatch", "--bind", "@tcp://0.0.0.0:*", "--journal", folder.path("j2")]).code == 64)
        let dispatcher = try await RunningDispatcher(folder, ["--key", "\(keys)/server.key_secret", "--allow", allow])
        func run(_ name: String, _ arguments: [String]) async throws -> (code: Int, output: String, errors: String) {
            try await dispatcher.run(arguments + ["--key", "\(keys)/\(name).key_secret", "--server-key", "\(keys)/server.key"])
        }
        #expect(try await run("pat", ["push", images]).code == 0)
        #expect(try await run("sue", ["queue", "figures"]).output.contains(#""openJobs":3"#))
        let forbidden = try await run("sue", ["push", images])
        #expect(forbidden.code == 77 && forbidden.errors.contains("needs the role producer"))
        #expect(try await run("pat", ["queue", "figures"]).code == 77)
        #expect(try await run("eve", ["queue", "figures"]).code == 69)
        #expect(try await dispatcher.run(["queue", "figures"]).code == 69)
        #expect(try await Program.run(["keys", "revoke", "sue", "--allow", allow]).code == 0)
        let twice = try await Program.run(["keys", "revoke", "sue", "--allow", allow])
        #expect(twice.code == 66 && twice.errors.contains("has no key of sue"), "\(twice.errors)")
        let nowhere = try await Program.run(["keys", "list", "--allow", folder.path("nowhere")])
        #expect(nowhere.code == 66 && nowhere.errors.contains("there is no folder of keys"), "\(nowhere.errors)")
        try await Task.sleep(for: .milliseconds(2500))
        #expect(try await run("sue", ["queue", "figures"]).code == 69)
        #expect(try await run("pat", ["push", images]).code == 0)
        #expect(dispatcher.program.errors.contains("refused"))
        #expect(await dispatcher.stop() == 0)
    }

    @Test func `serve runs everything, and starts again what was killed`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(30, in: folder)
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let socket = "ipc://" + folder.path("s.sock")
        let serve = try Program(
            ["serve", "--bind", "@" + socket, "--journal", folder.path("journal"), "--", "--model", folder.url.path, "--labels", "cat,dog"])
        var workers: [Int32] = []
        for _ in 0..<200 where workers.isEmpty || !serve.errors.contains("worker ready") {
            try await Task.sleep(for: .milliseconds(100))
            workers = serve.errors.split(whereSeparator: \.isNewline).filter { $0.contains("part=worker-0") && $0.contains("pid=") }
                .compactMap { line in
                    line.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("pid=") }.flatMap { Int32($0.dropFirst(4)) }
                }
        }
        let pid = try #require(workers.first)
        kill(pid, SIGKILL)
        #expect(try await Program.run(["push", images, "--dispatcher", socket]).code == 0)
        let sink = try await Program.run(["collect", "--dispatcher", socket, "--count", "30", "--timeout", "60"])
        #expect(try sink.code == 0 && Set(ResultLine.all(sink.output).map(\.id)).count == 30)
        serve.terminate()
        #expect(await serve.wait() == 0)
    }

    @Test func `side doors take from a plain producer and feed a plain sink`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(20, in: folder)
        let dispatcher = try await RunningDispatcher(folder, ["--pull", "@tcp://127.0.0.1:*", "--push", "@tcp://127.0.0.1:*"])
        let doors = try await doors(of: dispatcher)
        let worker = try startWorker(folder, dispatcher.endpoint)
        let sink = try Program(["collect", "--from", doors[1], "--count", "20", "--timeout", "60"])
        #expect(try await Program.run(["push", images, "--to", doors[0]]).code == 0)
        #expect(await sink.wait() == 0)
        #expect(Set(try ResultLine.all(sink.output).map(\.id)).count == 20)
        worker.terminate()
        #expect(await worker.wait() == 0)
        #expect(await dispatcher.stop() == 0)
    }

    /// The addresses of the side doors, jobs and results.
    private func doors(of dispatcher: RunningDispatcher) async throws -> [String] {
        var doors: [String] = []
        for _ in 0..<50 where doors.count < 2 {
            try await Task.sleep(for: .milliseconds(50))
            let words = dispatcher.program.errors.split(whereSeparator: \.isWhitespace)
            doors = ["jobs.endpoint=", "results.endpoint="].compactMap { name in
                words.first { $0.hasPrefix(name) }.map { String($0.dropFirst(name.count)) }
            }
        }
        try #require(doors.count == 2)
        return doors
    }

    @Test func `a side door goes on when its dispatcher has stood still`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(20, in: folder)
        let dispatcher = try await RunningDispatcher(folder, ["--pull", "@tcp://127.0.0.1:*", "--push", "@tcp://127.0.0.1:*"])
        let doors = try await doors(of: dispatcher)
        let worker = try startWorker(folder, dispatcher.endpoint)
        // Whether its own tick or its door's sign of life comes first is chance.
        for _ in 0..<4 {
            kill(dispatcher.program.process.processIdentifier, SIGSTOP)
            try await Task.sleep(for: .seconds(4))
            kill(dispatcher.program.process.processIdentifier, SIGCONT)
            try await Task.sleep(for: .milliseconds(1500))
        }
        let sink = try Program(["collect", "--from", doors[1], "--count", "20", "--timeout", "30"])
        #expect(try await Program.run(["push", images, "--to", doors[0]]).code == 0)
        #expect(await sink.wait() == 0, "\(sink.errors)")
        worker.terminate()
        #expect(await worker.wait() == 0)
        #expect(await dispatcher.stop() == 0)
    }

    @Test func `a reader that is slower than the dispatcher's patience gets each result once`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(400, in: folder)
        let dispatcher = try await RunningDispatcher(folder)
        let worker = try startWorker(folder, dispatcher.endpoint)
        #expect(try await dispatcher.run(["push", images]).code == 0)
        // The first delivery is larger than a pipe; nothing is read until the dispatcher has given its reader up.
        let script = "\"$0\" collect --dispatcher \"$1\" --count 400 --timeout 60 | (sleep 6; cat)"
        let sink = try Program(["-c", script, Program.url.path, dispatcher.endpoint], executable: URL(fileURLWithPath: "/bin/sh"))
        #expect(await sink.wait() == 0)
        let ids = try ResultLine.all(sink.output).map(\.id)
        #expect(ids.count == 400 && Set(ids).count == 400)
        worker.terminate()
        #expect(await worker.wait() == 0)
        #expect(await dispatcher.stop() == 0)
    }

    // MARK: Peers of other makers

    @Test(.enabled(if: PythonPrograms.path != nil, "\(PythonPrograms.skipReason)"))
    func `clients and workers of other makers, in both protocol versions, echo a byte to eight megabytes`() async throws {
        let folder = try TemporaryFolder()
        let dispatcher = try await RunningDispatcher(folder)
        let peers = try PythonPrograms.start("Tests/PeerTests/majortomo_peer.py", [dispatcher.endpoint])
        let code = await peers.wait()
        #expect(code == 0, "\(peers.output)\(peers.errors)")
        #expect(peers.output.split(separator: "\n").count { $0.hasSuffix(": ok") } == 9)
        #expect(await dispatcher.stop() == 0)
    }

    @Test func `what has no label is not sent, and inputs without an image are an error`() async throws {
        let folder = try TemporaryFolder()
        for name in ["labelled/cat", "nothing"] {
            try FileManager.default.createDirectory(at: folder.url.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        for index in 0..<2 { try folder.write("labelled/cat/\(index).png", Pictures.png) }
        let dispatcher = try await RunningDispatcher(folder)
        let bare = try await dispatcher.run(["label", "push", folder.path("labelled/cat")])
        #expect(bare.code == 1 && bare.errors.contains("2 images have no label") && bare.errors.contains("0.png"), "\(bare.errors)")
        #expect(bare.errors.contains("0 labelled images accepted") && bare.errors.contains("the folder above"), "\(bare.errors)")
        let table = try folder.write("t.csv", "path,label\nlabelled/cat/0.png,cat\n")
        #expect(try await dispatcher.run(["label", "push", table, "--run", "table"]).code == 0)
        let labelled = try await dispatcher.run(["label", "push", folder.path("labelled")])
        #expect(labelled.code == 0 && labelled.errors.contains("2 labelled images accepted"), "\(labelled.errors)")

        let empty = folder.path("nothing")
        for command in [["push"], ["label", "push"]] {
            let run = try await dispatcher.run(command + [empty])
            #expect(run.code == 66 && run.errors.contains("no PNG or JPEG in \(empty)"), "\(run.errors)")
        }
        for command in [["push", "--to", "tcp://127.0.0.1:9"], ["classify"]] {
            let run = try await Program.run(command + [empty])
            #expect(run.code == 66 && run.output.isEmpty && run.errors.contains("no PNG or JPEG in \(empty)"), "\(run.errors)")
        }
        #expect(await dispatcher.stop() == 0)
    }

    @Test(.enabled(if: PythonPrograms.path != nil, "\(PythonPrograms.skipReason)"))
    func `the Python producer and sink of the examples work with the dispatcher`() async throws {
        let folder = try TemporaryFolder()
        let images = try pictures(5, in: folder)
        let paths = (0..<5).map { "\(images)/\($0).jpg" }
        let dispatcher = try await RunningDispatcher(folder)
        let producer = try PythonPrograms.start("deploy/examples/dispatch_producer.py", [dispatcher.endpoint] + paths)
        #expect(await producer.wait() == 0)
        #expect(producer.output.split(separator: "\n").count { $0.hasSuffix("accepted\t") } == 5)
        let again = try PythonPrograms.start("deploy/examples/dispatch_producer.py", [dispatcher.endpoint] + paths)
        #expect(await again.wait() == 0)
        #expect(again.output.split(separator: "\n").count { $0.hasSuffix("duplicate\t") } == 5)
        let worker = try startWorker(folder, dispatcher.endpoint)
        let groups: [(String, [String])] = [("default", []), ("one", ["--exclusive", "--from", "earliest"])]
        for (group, arguments) in groups {
            if group != "default" { #expect(try await dispatcher.run(["sinks", "add", group] + arguments).code == 0) }
            let out = folder.path("\(group).jsonl")
            let sink = try PythonPrograms.start("deploy/examples/dispatch_sink.py", [dispatcher.endpoint, group, out, "5"])
            #expect(await sink.wait() == 0)
            let lines = try String(contentsOfFile: out, encoding: .utf8).split(separator: "\n")
            #expect(lines.count == 5 && lines.allSatisfy { $0.contains(images) })
        }
        worker.terminate()
        #expect(await worker.wait() == 0)
        #expect(await dispatcher.stop() == 0)
    }
}
