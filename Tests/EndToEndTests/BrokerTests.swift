import Foundation
import Messages
import Services
import Testing
import Transport

/// Our worker and our client at brokers that others made, or that are written by the letter of an RFC.
@Suite(.serialized) struct BrokerTests {
    private func clientDialect(_ broker: WorkerBroker) -> Majordomo.Dialect {
        broker == .majortomo ? Majordomo.Dialect(version: .v02, isDelimited: true, sharesNumbers: true) : broker.dialect
    }

    /// A client of its own for each question: a socket belongs to one thread.
    private func ask(_ body: [[UInt8]], _ endpoint: String, _ broker: WorkerBroker) throws -> [ReceivedResultBatch] {
        let client = try DispatcherClient(
            to: try Endpoint(endpoint, default: .connect), in: try ZeroMQContext(), options: SocketOptions(),
            dialect: clientDialect(broker))
        return try client.ask("classify", body, timeout: .seconds(60)).map { try ReceivedResultBatch(envelope: $0) }
    }

    @Test(
        .enabled(if: PythonPrograms.path != nil, "\(PythonPrograms.skipReason)"),
        arguments: [WorkerBroker.majortomo, .rfc7, .rfc18])
    func `worker and client serve and ask through another maker's broker`(kind: WorkerBroker) async throws {
        let folder = try TemporaryFolder()
        // Quantized: only then are scores the same bits in every batch.
        let path = try await ModelForm.quantized.write(to: folder)
        let images = try Pictures.all.enumerated().map { try folder.write("\($0).image", $1) }
        let broker = try PythonPrograms.start("Tests/PeerTests/brokers.py", [kind.rawValue])
        defer { broker.process.terminate() }
        for _ in 0..<200 where broker.output.isEmpty { try await Task.sleep(for: .milliseconds(50)) }
        let endpoint = try #require(broker.output.split(separator: "\n").first.map(String.init), "\(broker.errors)")
        let model = ["--model", path, "--labels", "cat,dog,fish"]
        let worker = try Program(["worker", "--dispatcher", endpoint, "--broker", kind.rawValue, "--threads", "1"] + model)

        let large = [UInt8](repeating: 0x89, count: 8 << 20)
        let bodies = Pictures.all + [[0x89], large]
        for round in 0..<3 {
            let batch = JobBatch(id: "round \(round)", jobs: bodies.indices.map { Job(id: "\($0)") })
            let results = try ask([try batch.encode()] + bodies, endpoint, kind)
            #expect(results.map(\.id) == ["round \(round)"])
            let found = results.flatMap(\.results)
            #expect(found.map(\.id) == bodies.indices.map(String.init))
            let local = try ResultLine.all(try await Program.run(["classify"] + images + model + ["--json"]).output)
            for (index, result) in found.enumerated() {
                switch result.outcome {
                case .scored(let predictions, _):
                    #expect(index < 3 && predictions.map(\.cosine) == local[index].predictions?.map(\.cosine))
                case .failed(let failure): #expect(index >= 3 && failure.code.hasPrefix("decode."), "\(failure.code)")
                case .learned: Issue.record("nothing is learned here")
                }
            }
        }
        // What can't be read is answered too: the broker waits for it, and the worker goes on.
        let refused = try ask([[1, 2, 3], [4]], endpoint, kind).flatMap(\.results)
        #expect(refused.count == 1 && refused.allSatisfy { if case .failed = $0.outcome { true } else { false } })
        if kind == .majortomo {
            let theirs = try PythonPrograms.start("Tests/PeerTests/brokers.py", ["client", endpoint, images[0]])
            #expect(await theirs.wait() == 0, "\(theirs.errors)")
            #expect(["cat", "dog", "fish"].contains { theirs.output == "0.image \($0)\n" }, "\(theirs.output)")
        }
        worker.terminate()
        #expect(await worker.wait() == 0)
        #expect(broker.process.isRunning, "\(broker.output)\(broker.errors)")
    }
}
