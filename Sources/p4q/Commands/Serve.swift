import ArgumentParser
import Foundation
import JobQueue
import ServiceLifecycle
import Services

/// `p4q serve`: dispatcher and workers as child processes of one command.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a dispatcher and workers on this machine, and start again what ends.",
        discussion: """
            Each is a process of its own, so that an image that crashes a decoder takes one worker down and not the queue. What follows -- \
            goes to the workers: p4q serve --workers 2 -- --model DIR --class-set pets.yaml. A part that crashes is started again after a \
            growing wait; one that keeps crashing, or ends for a reason that stays (64, 65, 66), ends everything with exit code 70. SIGTERM \
            stops the workers, then the dispatcher; a second one kills them. They stop as well when this process is killed.

            Of a configuration file, the dispatcher's options that are also here are read from the section dispatch too.
            """)

    @Option(name: .long, help: "Where producers and sinks connect; may be repeated.")
    var bind: [String] = ["@tcp://127.0.0.1:5555"]

    @Option(name: .long, help: "The journal's folder.", completion: .directory)
    var journal = "p4q-journal"

    @Option(name: .long, help: "Workers to run.")
    var workers = 1

    @Option(name: .long, help: "The dispatcher's HTTP port: PORT on loopback, or HOST:PORT.")
    var http: String?

    @Option(name: .long, help: "The first worker's HTTP port, PORT or HOST:PORT; the others have the next ones.")
    var workerHttp: String?

    @Option(name: .long, help: "The dispatcher's own key file, if producers and sinks come over a network.", completion: .file())
    var key: String?

    @Option(name: .long, help: "The folder of public keys that may connect.", completion: .directory)
    var allow: String?

    @Flag(name: .long, help: "Bind to a network without keys: anyone who reaches the port may do everything, and read everything.")
    var insecure = false

    @Option(
        // Its value begins with dashes.
        name: .long, parsing: .unconditional,
        help: """
            Run a trainer too, with these arguments of `p4q train` between blanks, those with blanks in quotes: "--model DIR-8 --teacher DIR \
            --class-set pets.yaml --cron '0 3 * * *'". Its store lies in the journal's folder.
            """)
    var trainer: String?

    @OptionGroup var configurationOptions: ConfigurationOptions
    @OptionGroup var logOptions: LogOptions

    @Argument(parsing: .postTerminator, help: "Arguments for `p4q worker`.")
    var workerArguments: [String] = []

    func validate() throws {
        if workers < 0 || workers > 256 { throw ValidationError("--workers is 0 to 256") }
        if (key == nil) != (allow == nil) { throw ValidationError("--key and --allow go together") }
        if key != nil && workers > 0 {
            throw ValidationError("with keys, run the workers by themselves (p4q worker --key …), and this with --workers 0")
        }
        if let workerHttp, workerPort(workerHttp, 0) == nil {
            throw ValidationError("--worker-http \(workerHttp) is not PORT or HOST:PORT")
        }
        if key != nil && trainer != nil { throw ValidationError("with keys, run the trainer by itself (p4q train --key …)") }
    }

    func run() async throws {
        let logger = logOptions.makeLogger("p4q.serve")
        let file = try configurationOptions.file()
        try checkPorts(file)
        try makeFolder()
        // Workers need no port of the machine: they come by a socket in the journal's folder.
        let local = "ipc://" + URL(fileURLWithPath: journal).appendingPathComponent("workers.sock").path
        var arguments = ["dispatch", "--journal", journal] + bind.flatMap { ["--bind", $0] } + shared(by: "dispatch", file)
        if let http { arguments += ["--http", http] }
        if insecure { arguments += ["--insecure"] }
        let (trusted, events) = try publisher()
        arguments += ["--bind-releases", "@" + events]
        if let key, let allow { arguments += ["--key", key, "--allow", allow] } else { arguments += ["--bind-workers", "@" + local] }
        let dispatcher = ChildProcess(name: "dispatcher", arguments: arguments, logger: logger)
        var parts: [any Service] = [dispatcher, ConfigurationWatcher(path: nil) { _ in dispatcher.send(SIGHUP) }]
        for index in 0..<workers {
            let name = "\(ProcessInfo.processInfo.hostName)-\(index)"
            parts.append(
                ChildProcess(
                    name: "worker-\(index)",
                    arguments: ["worker", "--dispatcher", local, "--name", name, "--trust", trusted] + shared(by: "worker", file)
                        + (workerHttp.flatMap { workerPort($0, index) }.map { ["--http", $0] } ?? []) + workerArguments, logger: logger))
        }
        if let trainer {
            let folder = URL(fileURLWithPath: journal)
            let key = folder.appendingPathComponent("publisher.key_secret").path
            let own =
                ["train", "--dispatcher", local, "--store", folder.appendingPathComponent("trainer").path, "--publisher-key", key]
                + shared(by: "train", file)
            parts.append(ChildProcess(name: "trainer", arguments: own + Self.words(trainer), logger: logger))
        }
        let children = parts.compactMap { $0 as? ChildProcess }
        // Services stop in the reverse of their order: workers first, so that the dispatcher still takes their answers.
        try await ServiceRunner.run(parts, logger: logger) { for child in children { child.send(SIGKILL) } }
    }

    /// What every part is given: the same file, of which each reads its own section, and how it logs, unless that section says it.
    private func shared(by command: String, _ file: ConfigurationFile?) -> [String] {
        let own = file?.sections[command] ?? [:]
        return (configurationOptions.config.map { ["--config", $0] } ?? []) + logOptions.arguments(without: Set(own.keys))
    }

    private func makeFolder() throws {
        do {
            try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: true)
        } catch {
            throw JobQueueError.unusableFolder(path: journal, reason: CommandFailure.reason(error))
        }
    }

    /// Several workers can't have the one port that the file may give to a worker.
    private func checkPorts(_ file: ConfigurationFile?) throws {
        guard workers > 1, workerHttp == nil, let file, let http = file.sections["worker"]?["http"] else { return }
        throw ValidationError(
            "\(file.path):\(http.line): \(workers) workers can't share worker.http; put worker-http into the section serve instead")
    }

    /// The address of a worker's HTTP port.
    private func workerPort(_ first: String, _ index: Int) -> String? {
        let parts = first.split(separator: ":").map(String.init)
        guard parts.count <= 2, let port = parts.last.flatMap({ UInt16($0) }), Int(port) + index <= 65_535 else { return nil }
        return (parts.dropLast() + ["\(Int(port) + index)"]).joined(separator: ":")
    }

    /// Words between blanks; what stands in '…' or "…" is part of one.
    private static func words(_ text: String) -> [String] {
        var (words, word, quote) = ([String](), String?.none, Character?.none)
        for character in text {
            switch character {
            case quote: quote = nil
            case "'" where quote == nil, "\"" where quote == nil: (quote, word) = (character, word ?? "")
            case " " where quote == nil:
                if let whole = word { words.append(whole) }
                word = nil
            default: word = (word ?? "") + String(character)
            }
        }
        return words + (word.map { [$0] } ?? [])
    }

    /// The pair that this machine's releases are signed with, made at the first start: its public file, and where workers hear of releases.
    private func publisher() throws -> (trusted: String, events: String) {
        let folder = URL(fileURLWithPath: journal)
        let pair = folder.appendingPathComponent("publisher").path
        if !FileManager.default.fileExists(atPath: pair + ".key_secret") {
            try? FileManager.default.removeItem(atPath: pair + ".key")
            try PublisherKey(name: "serve").write(to: pair)
        }
        return (pair + ".key", "ipc://" + folder.appendingPathComponent("releases.sock").path)
    }
}
