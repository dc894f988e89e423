import Foundation
import Testing

/// `p4q serve`: its parts, when they crash and when it does.
@Suite(.serialized) struct ServeTests {
    /// A serve whose sockets are files, so that none is another test's.
    private func serve(_ folder: TemporaryFolder, _ arguments: [String]) throws -> Program {
        try Program(["serve", "--bind", "@ipc://" + folder.path("s"), "--journal", folder.path("journal")] + arguments)
    }

    /// Waits for a word of the log, half a minute at most.
    private func says(_ program: Program, _ text: String) async throws -> Bool {
        for _ in 0..<300 {
            if program.errors.contains(text) { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    private func parts(_ program: Program) -> [Int32] {
        program.errors.split(whereSeparator: \.isWhitespace).filter { $0.hasPrefix("pid=") }.compactMap { Int32($0.dropFirst(4)) }
    }

    /// Whether all of `parts` have ended within ten seconds.
    private func haveEnded(_ parts: [Int32]) async throws -> Bool {
        for _ in 0..<100 {
            if parts.allSatisfy({ kill($0, 0) != 0 || isZombie($0) }) { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    /// Where nobody waits for orphans, they stay in the table.
    private func isZombie(_ pid: Int32) -> Bool {
        let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        return status?.split(separator: ")").last?.hasPrefix(" Z") ?? true
    }

    @Test(.timeLimit(.minutes(1))) func `a worker that can't start ends everything, and says so`() async throws {
        let folder = try TemporaryFolder()
        let program = try serve(folder, ["--", "--model", folder.path("nothing")])
        #expect(await program.wait() == 70)
        #expect(program.errors.contains("worker-0 has ended (exit 66), and would again"), "\(program.errors)")
        #expect(try await haveEnded(parts(program)))
    }

    @Test(.timeLimit(.minutes(2))) func `a dispatcher that never gets its port ends everything, after some tries`() async throws {
        let folder = try TemporaryFolder()
        let other = try await RunningDispatcher(folder)
        let program = try Program(["serve", "--workers", "0", "--bind", "@" + other.endpoint, "--journal", folder.path("own")])
        #expect(await program.wait() == 70)
        #expect(program.errors.contains("dispatcher keeps ending (exit 69)"), "\(program.errors)")
        #expect(await other.stop() == 0)
    }

    @Test(.timeLimit(.minutes(2)), arguments: [[SIGKILL], [SIGINT, SIGINT], [SIGTERM, SIGINT]])
    func `no part outlives it, and the next one has the journal`(signals: [Int32]) async throws {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let worker = ["--", "--model", folder.url.path, "--labels", "cat,dog"]
        let first = try serve(folder, worker)
        #expect(try await says(first, "worker ready"), "\(first.errors)")
        let parts = parts(first)
        #expect(parts.count == 2)
        for signal in signals {
            kill(first.process.processIdentifier, signal)
            try await Task.sleep(for: .milliseconds(10))
        }
        _ = await first.wait()
        #expect(try await haveEnded(parts), "\(first.errors)")
        let second = try serve(folder, worker)
        #expect(try await says(second, "worker ready"), "\(second.errors)")
        #expect(!second.errors.contains("ended by itself"), "\(second.errors)")
        second.terminate()
        #expect(await second.wait() == 0)
    }

    @Test(.timeLimit(.minutes(1))) func `the dispatcher's section of a file and the kind of log reach the dispatcher`() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "p4q.yaml",
            """
            common: {journal: \(folder.path("common"))}
            dispatch: {bind: ["@ipc://\(folder.path("a"))", "@ipc://\(folder.path("b"))"], journal: \(folder.path("j"))}
            """)
        let shown = try await Program.run(["config", "show", "serve", "--origin", "--config", file])
        #expect(shown.output.contains("  journal: \(folder.path("j"))  # \(file):2 (dispatch)"), "\(shown.output)")
        let program = try Program(["serve", "--workers", "0", "--config", file, "--log-format", "json"])
        #expect(try await says(program, #""message":"dispatcher ready""#), "\(program.errors)")
        for socket in ["a", "b"] { #expect(FileManager.default.fileExists(atPath: folder.path(socket)), "\(program.errors)") }
        #expect(FileManager.default.fileExists(atPath: folder.path("j")) && !FileManager.default.fileExists(atPath: folder.path("common")))
        program.terminate()
        #expect(await program.wait() == 0)
        for line in program.errors.split(separator: "\n") {
            let fields = try JSONDecoder().decode([String: String].self, from: Data(line.utf8))
            let time = try #require(fields["time"])
            #expect(try Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(time).timeIntervalSinceNow > -60, "\(line)")
        }
    }

    @Test func `what would listen nowhere, or to everybody, is refused`() async throws {
        let folder = try TemporaryFolder()
        let open = try await Program.run(["serve", "--workers", "0", "--key", folder.path("k"), "--journal", folder.path("j")])
        #expect(open.code == 64 && open.errors.contains("--key and --allow go together"), "\(open.errors)")
        let file = try folder.write("picture", "no folder")
        let folderless = try await Program.run(["serve", "--journal", file])
        #expect(
            folderless.code == 66 && folderless.errors.contains("can't use \(file) for the journal: File exists"), "\(folderless.errors)")
        for option in ["--bind", "--bind-workers", "--bind-releases"] {
            let connecting = try await Program.run(["dispatch", option, ">tcp://127.0.0.1:5999", "--journal", "memory"])
            #expect(connecting.code == 64 && connecting.errors.contains("nothing would listen"), "\(connecting.errors)")
        }
    }

    @Test func `an HTTP port that is taken is said before anything is ready, and names are found`() async throws {
        let folder = try TemporaryFolder()
        let port = Int.random(in: 48_000..<52_000)
        let dispatcher = try await RunningDispatcher(folder, ["--http", "localhost:\(port)"])
        let second = try await Program.run(
            ["dispatch", "--bind", "@ipc://" + folder.path("d"), "--journal", "memory", "--http", "\(port)"])
        #expect(second.code == 69 && second.errors.contains("can't listen on 127.0.0.1:\(port)"), "\(second.errors)")
        #expect(!second.errors.contains("dispatcher ready"))
        #expect(await dispatcher.stop() == 0)
        let nowhere = try await Program.run(["dispatch", "--journal", "memory", "--http", "nowhere.invalid:1"])
        #expect(nowhere.code == 64 && nowhere.errors.contains("nowhere.invalid has no IPv4 address"), "\(nowhere.errors)")
    }

    @Test func `a sink hears that nobody answers, or that it is turned away`() async throws {
        let folder = try TemporaryFolder()
        let silent = try await Program.run(["collect", "--dispatcher", "ipc://" + folder.path("none"), "--timeout", "1"])
        #expect(silent.code == 69 && silent.errors.contains("does not answer"), "\(silent.errors)")
        let dispatcher = try await RunningDispatcher(folder)
        let away = try await dispatcher.run(["collect", "--timeout", "2", "--group", "nobody"])
        #expect(away.code == 77 && away.errors.contains("turns group nobody away"), "\(away.errors)")
        #expect(try await dispatcher.run(["collect", "--timeout", "2"]).code == 0)
        let push = try await dispatcher.run(["push", folder.path("x"), "--service", "clasify"])
        #expect(push.code == 64 && push.errors.contains("classify, classify/NAME or train"), "\(push.errors)")
        #expect(await dispatcher.stop() == 0)
    }
}
