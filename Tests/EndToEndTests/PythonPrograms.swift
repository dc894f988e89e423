import Foundation
import Testing

/// Programs of this repository that are written in Python, run with the interpreter that has the packages they need.
enum PythonPrograms {
    static let path: String? = ProcessInfo.processInfo.environment["P4Q_PYTHON"].flatMap {
        FileManager.default.isExecutableFile(atPath: $0) ? $0 : nil
    }
    static let skipReason = "P4Q_PYTHON does not name a Python with pyzmq, protobuf and majortomo"
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Starts `script`, a path in the repository.
    static func start(_ script: String, _ arguments: [String], environment: [String: String] = [:]) throws -> Program {
        guard let path else { throw Missing() }
        return try Program(
            [repository.appendingPathComponent(script).path] + arguments, environment: environment,
            executable: URL(fileURLWithPath: path))
    }

    struct Missing: Error {}
}

/// What programs tell Prometheus, as Prometheus' own parser reads it.
struct Samples: Decodable {
    struct Sample: Decodable {
        let labels: [String: String]
        let value: Double

        init(from decoder: any Decoder) throws {
            var list = try decoder.unkeyedContainer()
            labels = try list.decode([String: String].self)
            value = try list.decode(Double.self)
        }
    }

    let found: [String: [Sample]]

    init(from decoder: any Decoder) throws { found = try decoder.singleValueContainer().decode([String: [Sample]].self) }

    /// - Parameter arguments: of `Tests/WatchTests/scrape.py`.
    static func scrape(_ arguments: [String]) async throws -> Samples {
        let program = try PythonPrograms.start("Tests/WatchTests/scrape.py", arguments)
        let code = await program.wait()
        #expect(code == 0, "\(program.errors)")
        return try JSONDecoder().decode(Samples.self, from: Data(program.output.utf8))
    }

    /// The sum of the samples with these labels; nil if there are none.
    func sum(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        let matching = found[name]?.filter { sample in labels.allSatisfy { sample.labels[$0] == $1 } }
        guard let matching, !matching.isEmpty else { return nil }
        return matching.reduce(0) { $0 + $1.value }
    }
}
