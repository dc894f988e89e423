import Foundation
import TestSupport
import Testing

/// What a dispatcher stands on breaks: its disk, its network, its peers, its system calls. The cases are in `Tests/FaultTests/faults.py`.
@Suite(.serialized) struct FaultTests {
    private static let isLong: Bool = ProcessInfo.processInfo.environment["P4Q_LONG"] != nil

    /// Each with its count for the ordinary run and for `deploy/test --long`; 0 leaves it out.
    @Test(
        .enabled(if: PythonPrograms.path != nil, "\(PythonPrograms.skipReason)"),
        arguments: [
            ("power-cut", 2, 50), ("power-cut-control", 6, 10), ("syscalls", 2, 60), ("full-disk", 1, 1), ("stopped-worker", 3, 30),
            ("stopped-dispatcher", 0, 30), ("partition", 3, 30), ("damaged-journal", 7, 630), ("poison", 1, 20), ("slow-sink", 0, 60),
            ("overload", 5, 60),
            ("strangers", 200, 10_000), ("endless", 40, 1_000),
        ])
    func `nothing accepted is lost when it breaks`(name: String, ordinary: Int, long: Int) async throws {
        let count = Self.isLong ? long : ordinary
        guard count > 0 else { return }
        let run = try PythonPrograms.start("Tests/FaultTests/faults.py", ["--p4q", Program.url.path, "\(name)=\(count)"])
        let code = await run.wait()
        #expect(code == 0, "\(run.output)\n\(run.errors)")
        if run.output.contains(#""verdict": "skipped""#) { print("skipped: \(run.output)") }
    }
}
