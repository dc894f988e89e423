import ArgumentParser
import Foundation
import Messages
import Services
import Transport

/// `p4q bench queue`: jobs through a dispatcher over real sockets.
struct BenchQueue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue",
        abstract: "Jobs a second accepted, leased, completed and acknowledged by a dispatcher, over sockets.",
        discussion: """
            Starts a dispatcher as a process of its own (durable: every commit waits for the disk), and drives it from this process with a \
            producer, workers that answer at once, and sinks. Everything shares the machine's cores. A job counts when its outcome's \
            acknowledgement is durable.
            """)

    @Option(name: .long, help: "The folder for the journal; a temporary one in the current folder if left out.", completion: .directory)
    var folder: String?

    @Option(name: .long, help: "Bytes of a job's payload.")
    var payloadBytes = 100

    @Option(name: .long, help: "Jobs in a request.")
    var batch = 256

    @Option(name: .long, help: "Requests in flight.")
    var window = 16

    @Option(name: .long, help: "Jobs that may be open at a time.")
    var open = 16_384

    @Option(name: .long, help: "Workers, each with one batch in flight.")
    var workers = 8

    @Option(name: .long, help: "Sinks of one shared group.")
    var sinks = 8

    @Option(name: .long, help: "How long to measure.")
    var seconds = 10.0

    @Flag(name: .long, help: "Start the dispatcher with --fast-and-lossy.")
    var fastAndLossy = false

    @Flag(name: .long, help: "Connect by TCP on the loopback interface instead of a Unix socket.")
    var tcp = false

    @Flag(name: .long, help: "Print a JSON object.")
    var json = false

    func validate() throws {
        guard (1...256).contains(batch), window > 0, open >= batch, workers > 0, sinks > 0, seconds > 0, payloadBytes >= 0 else {
            throw ValidationError("--batch must be 1 to 256, --open at least --batch, the others positive")
        }
    }

    func run() async throws {
        let path = folder ?? "p4q-bench-queue-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { if folder == nil { try? FileManager.default.removeItem(atPath: path) } }
        let address = try tcp ? Self.freePort() : "ipc://" + URL(fileURLWithPath: path).appendingPathComponent("bench.sock").path
        let dispatcher = try start(path, address)
        defer {
            dispatcher.terminate()
            dispatcher.waitUntilExit()
        }
        let context = try ZeroMQContext()
        let load = QueueLoad(
            .init(
                endpoint: try Endpoint(address, default: .connect), payloadBytes: payloadBytes, batch: batch, window: window, open: open,
                workers: workers, sinks: sinks), context: context)
        _ = try look(address, context, dispatcher)
        load.start()
        try await Task.sleep(for: .seconds(min(2, seconds / 2)))
        let before = try look(address, context, dispatcher)
        try await Task.sleep(for: .seconds(seconds))
        let after = try look(address, context, dispatcher)
        load.stop()
        if let failure = load.failure { throw failure }
        try report(before, after)
    }

    private struct Look {
        let status: DispatcherStatus
        let time: ContinuousClock.Instant
        let own: Double
        let dispatcher: Double
    }

    /// Over a connection of its own: between two looks this task may have changed its thread.
    private func look(_ address: String, _ context: ZeroMQContext, _ dispatcher: Process) throws -> Look {
        let client = try DispatcherClient(to: try Endpoint(address, default: .connect), in: context, options: SocketOptions())
        let status = try DispatcherStatus(json: try client.ask(.figures, timeout: .seconds(20)).json)
        return Look(
            status: status, time: .now, own: BenchPipeline.processorSeconds(),
            dispatcher: Self.processorSeconds(of: dispatcher.processIdentifier))
    }

    private func start(_ path: String, _ address: String) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments =
            ["dispatch", "--bind", "@" + address, "--journal", path + "/journal", "--log-level", "warning"]
            + (fastAndLossy ? ["--fast-and-lossy"] : [])
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return process
    }

    private func report(_ before: Look, _ after: Look) throws {
        let elapsed = BenchPipeline.seconds(after.time - before.time)
        func grown(_ value: (DispatcherStatus) -> UInt64) -> Double { Double(value(after.status) - value(before.status)) }
        let jobs = grown { $0.acknowledged }
        let most = max(jobs, 1)
        try printReport(
            [
                ("jobs_per_second", rounded(jobs / elapsed, 0)), ("accepted_per_second", rounded(grown { $0.accepted } / elapsed, 0)),
                ("megabytes_per_second", rounded(jobs * Double(payloadBytes) / elapsed / 1e6)), ("jobs", Int(jobs)),
                ("payload_bytes", payloadBytes), ("jobs_per_request", batch), ("workers", workers), ("sinks", sinks),
                ("rows_per_job", rounded(grown { $0.rows } / most, 3)), ("syncs_per_job", rounded(grown { $0.syncs } / most, 5)),
                ("jobs_per_commit", rounded(jobs / max(grown { $0.commits }, 1))), ("durable", !fastAndLossy),
                ("dispatcher_core_us_per_job", rounded((after.dispatcher - before.dispatcher) / most * 1e6)),
                ("drivers_core_us_per_job", rounded((after.own - before.own) / most * 1e6)),
                ("busy", Int(grown { $0.busy })), ("processor", processorName()),
            ], json: json)
    }

    /// User and system time of another process, from its `stat`.
    private static func processorSeconds(of pid: Int32) -> Double {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// An address of a port that was free a moment ago.
    private static func freePort() throws -> String {
        let context = try ZeroMQContext()
        let socket = try Socket(.router, in: context)
        return try socket.attach(try Endpoint("@tcp://127.0.0.1:*", default: .bind))
    }
}
