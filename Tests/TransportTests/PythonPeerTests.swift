import Foundation
import Messages
import Testing
import Transport

/// A Python with pyzmq and protobuf, if there is one.
enum PythonPeer {
    static let path = ProcessInfo.processInfo.environment["P4Q_PYTHON"].flatMap {
        FileManager.default.isExecutableFile(atPath: $0) ? $0 : nil
    }
    static let skipReason = "P4Q_PYTHON does not name a Python with pyzmq and protobuf"
    static let examples = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
        .appendingPathComponent("deploy/examples")

    static func start(_ script: String, _ arguments: [String], output: Pipe? = nil) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path ?? "")
        process.arguments = [examples.appendingPathComponent(script).path] + arguments
        if let output { process.standardOutput = output }
        try process.run()
        return process
    }
}

@Suite(.enabled(if: PythonPeer.path != nil, "\(PythonPeer.skipReason)"))
struct PythonPeerTests {
    @Test func `the Python producer's jobs are read`() async throws {
        let receiver = try Receiver(at: [Place.fresh(.tcp)], in: try ZeroMQContext())
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var paths: [String] = []
        for (index, size) in [0, 1, 1000, 3_000_000].enumerated() {
            let file = folder.appendingPathComponent("ä \(index).jpg")
            try Data(pattern(size)).write(to: file)
            paths.append(file.path)
        }
        let producer = try PythonPeer.start("producer.py", [receiver.endpoint] + paths)
        for (path, size) in zip(paths, [0, 1, 1000, 3_000_000]) {
            let frames = try #require(await receiver.queue.take(timeout: .seconds(30))).frames
            let batch = try ReceivedJobBatch(envelope: frames[0].bytes, payloadSizes: frames.dropFirst().map(\.count))
            #expect(try batch.entries.map { try $0.get() } == [Job(id: path, metadata: ["producer": "python"])])
            #expect(frames[1].bytes == pattern(size))
        }
        try await blocking { producer.waitUntilExit() }
        #expect(producer.terminationStatus == 0)
    }

    @Test func `the Python sink prints our results`() async throws {
        let sender = try Sender(at: [Place.fresh(.tcp)], in: try ZeroMQContext())
        let output = Pipe()
        let sink = try PythonPeer.start("sink.py", [sender.endpoint, "2"], output: output)
        let results = [
            JobResult(
                id: "ä.jpg", outcome: .scored([Prediction(label: "cat", index: 3, probability: 0.75, cosine: -0.5)], unknown: true),
                worker: "w",
                metadata: ["k": "v"]),
            JobResult(
                id: "bad", outcome: .failed(Failure(code: "decode.empty", stage: .classSet, message: "why", retryable: true)), worker: "w"),
        ]
        for envelope in try ResultBatch(id: "", worker: "w", results: results).encode() { try await sender.send([try Frame(envelope)]) }
        try await blocking { sink.waitUntilExit() }
        #expect(await sender.close(flushing: .seconds(5)).isEmpty)
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        #expect(
            text == """
                {"id": "ä.jpg", "status": "ok", "predictions": [{"label": "cat", "index": 3, "probability": 0.75, "cosine": -0.5}], \
                "unknown": true, "metadata": {"k": "v"}}
                {"id": "bad", "status": "error", "error": {"code": "decode.empty", "stage": "class_set", "message": "why", "retryable": true}, \
                "metadata": {}}

                """)
    }
}
