import Foundation
import Synchronization

/// The real binary, as a child process.
final class Program: Sendable {
    /// `p4q`, beside the test bundle.
    static let url: URL = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("p4q")
    }()

    let process = Process()
    private let folder: TemporaryFolder

    /// Starts `p4q` with `arguments`; stdout and stderr go to files.
    init(_ arguments: [String], input: String? = nil, environment: [String: String] = [:], executable: URL = Program.url) throws {
        folder = try TemporaryFolder()
        process.executableURL = executable
        process.arguments = arguments
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("P4Q_") }
        variables["SWIFT_BACKTRACE"] = "enable=no"
        variables["XDG_CACHE_HOME"] = folder.url.path
        process.environment = variables.merging(environment) { $1 }
        for name in ["out", "err"] { try folder.write(name, "") }
        process.standardOutput = try FileHandle(forWritingTo: folder.url.appendingPathComponent("out"))
        process.standardError = try FileHandle(forWritingTo: folder.url.appendingPathComponent("err"))
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.write("in", input ?? "")))
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    var output: String { (try? String(contentsOf: folder.url.appendingPathComponent("out"), encoding: .utf8)) ?? "" }
    var errors: String { (try? String(contentsOf: folder.url.appendingPathComponent("err"), encoding: .utf8)) ?? "" }

    /// Waits for its end; its exit code, or 1000 and the signal's number.
    func wait() async -> Int {
        while process.isRunning { try? await Task.sleep(for: .milliseconds(20)) }
        return process.terminationReason == .exit ? Int(process.terminationStatus) : 1000 + Int(process.terminationStatus)
    }

    func terminate() { kill(process.processIdentifier, SIGTERM) }

    /// Resident memory in KiB.
    var residentMemory: Int {
        let status = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS") }
        return line?.split(separator: " ").compactMap { Int($0) }.first ?? 0
    }

    /// Runs to the end.
    static func run(
        _ arguments: [String], input: String? = nil, environment: [String: String] = [:]
    ) async throws -> (code: Int, output: String, errors: String) {
        let program = try Program(arguments, input: input, environment: environment)
        let code = await program.wait()
        return (code, program.output, program.errors)
    }
}

/// One line of a result.
struct ResultLine: Decodable {
    struct Prediction: Decodable {
        let label: String
        let index: Int
        let probability: Float
        let cosine: Float
    }
    struct Problem: Decodable {
        let code: String
        let stage: String
        let retryable: Bool
    }
    struct Named: Decodable {
        let name: String
        let sha256: String
    }
    let id: String
    let status: String
    let predictions: [Prediction]?
    let error: Problem?
    let model: Named?
    let class_set: Named?
    let metadata: [String: String]
    let release: UInt64?

    static func all(_ output: String) throws -> [ResultLine] {
        try output.split(separator: "\n").map { try JSONDecoder().decode(ResultLine.self, from: Data($0.utf8)) }
    }
}

/// A worker on ports of its own, stopped with the test.
final class RunningWorker: Sendable {
    let program: Program
    let jobs: String
    let results: String

    /// Starts it and waits until it is ready, a minute at most.
    init(model: String, _ arguments: [String], environment: [String: String] = [:]) async throws {
        let ports = ["--pull", "@tcp://127.0.0.1:*", "--push", "@tcp://127.0.0.1:*"]
        program = try Program(["worker", "--model", model] + ports + arguments, environment: environment)
        var found: [Substring] = []
        for _ in 0..<600 where found.count < 2 && program.process.isRunning {
            try await Task.sleep(for: .milliseconds(100))
            let words = program.errors.split(whereSeparator: \.isWhitespace)
            found = ["jobs.endpoint=", "results.endpoint="].compactMap { name in
                words.first { $0.hasPrefix(name) }?.dropFirst(name.count)
            }
        }
        guard found.count == 2 else { throw NotReady(log: program.errors) }
        (jobs, results) = (String(found[0]), String(found[1]))
    }

    struct NotReady: Error { let log: String }

    /// Stops it as an operator does; its exit code.
    func stop() async -> Int {
        program.terminate()
        return await program.wait()
    }
}
