import Foundation
import Services
import Testing
import Transport

struct EventEndpointTests {
    private func choose(_ offered: [String], at dispatcher: String, isEncrypted: Bool = false) throws -> String? {
        EventEndpoint.choose(offered, dispatcher: try Endpoint(dispatcher, default: .connect), isEncrypted: isEncrypted)?.address
    }

    @Test func `a wildcard stands for the host that the dispatcher was reached at`() throws {
        for offered in ["tcp://0.0.0.0:5556", "tcp://*:5556", "tcp://[::]:5556"] {
            #expect(try choose([offered], at: "tcp://host.example:5555") == "tcp://host.example:5556")
            #expect(try choose([offered], at: "tcp://127.0.0.1:5555") == "tcp://127.0.0.1:5556")
            #expect(try choose([offered], at: "ipc:///tmp/d.sock") == "tcp://127.0.0.1:5556")
        }
    }

    @Test func `what can't be reached from here is not chosen`() throws {
        #expect(try choose(["tcp://127.0.0.1:5556"], at: "tcp://host.example:5555") == nil)
        #expect(try choose(["ipc:///nowhere/r.sock"], at: "tcp://127.0.0.1:5555") == nil)
        #expect(try choose(["inproc://r", "what?", ""], at: "tcp://127.0.0.1:5555") == nil)
        // In clear over a network, where everything else stays on this machine.
        #expect(try choose(["tcp://10.0.0.7:5556"], at: "tcp://127.0.0.1:5555") == nil)
        #expect(try choose(["tcp://10.0.0.7:5556"], at: "tcp://127.0.0.1:5555", isEncrypted: true) == "tcp://10.0.0.7:5556")
    }

    @Test func `the dispatcher's own transport goes first`() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-\(UUID().uuidString)").path
        try Data().write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let offered = ["tcp://127.0.0.1:5556", "ipc://" + path]
        #expect(try choose(offered, at: "ipc:///tmp/d.sock") == "ipc://" + path)
        #expect(try choose(offered, at: "tcp://127.0.0.1:5555") == "tcp://127.0.0.1:5556")
        #expect(try choose([offered[1]], at: "tcp://127.0.0.1:5555") == "ipc://" + path)
    }
}
