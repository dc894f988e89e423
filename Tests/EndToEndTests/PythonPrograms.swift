import Foundation

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
